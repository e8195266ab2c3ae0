// Connects a stream object (javascript/protocol.js, which the server serves beside these files) to a
// WebSocket and to the time.

import { ConnectionLost, ServerError, StreamProtocol } from "./javascript/protocol.js";
import { Problem } from "./problem.js";

const HIGH_WATER = 1 << 20; // bytes in the browser's send buffer above which no more are added
const POLL_MS = 40; // interval at which the send buffer is checked while it is that full
const ASK_MS = 5_000; // timeout of the HTTP request that finds out why no websocket was opened
/** Problem codes by the status of the answer; 426 means that the server would open a websocket. */
const REFUSED = { 400: "too_large", 401: "not_authorised", 403: "refused", 431: "too_large" };

export class Link {
  #stream;
  #url;
  #onEvent;
  #onState;
  #finish;
  /** @type {WebSocket | null} */
  #socket = null;
  #pumping = 0;
  #timer = 0;
  #shown = ""; // the state that was reported last

  /**
   * @param {object} options
   * @param {string} options.url URL of the websocket
   * @param {object} options.settings the fields of `start`
   * @param {number} options.silentS seconds without an expected answer after which the connection
   *   is considered lost
   * @param {(message: object) => void} options.onEvent
   * @param {(state: "live" | "waiting", ms?: number) => void} options.onState whether there is a
   *   connection, and in how many milliseconds the next attempt is made
   */
  constructor({ url, settings, silentS, onEvent, onState }) {
    this.#url = url;
    this.#onEvent = onEvent;
    this.#onState = onState;
    this.#stream = new StreamProtocol(settings, { reconnectS: Infinity, silentS, keepAlive: true });
    /** Resolves when the stream is over: with null, or with the `Problem` that ended it. */
    this.finished = new Promise((resolve) => (this.#finish = resolve));
    addEventListener("online", this);
  }

  /** Whether there is a connection that carries audio. */
  get live() {
    return this.#stream.state === "LIVE";
  }

  /** Number of samples passed to `send` so far. */
  get taken() {
    return this.#stream.continuity.log.end;
  }

  /** The sample before which all captions are final. */
  get settled() {
    return this.#stream.continuity.timeline.settled;
  }

  /** Number of samples that are stored because they are not settled. */
  get kept() {
    return this.taken - this.#stream.continuity.log.start;
  }

  open() {
    this.#passOn(() => this.#stream.open());
  }

  /**
   * Sends samples.
   * @param {Int16Array} samples
   */
  send(samples) {
    const data = new Uint8Array(samples.buffer, samples.byteOffset, samples.byteLength);
    this.#hand(() => this.#stream.sendAudio(data));
  }

  /** Sends a message after the samples so far. */
  ask(message) {
    this.#hand(() => this.#stream.sendMessage(message));
  }

  /** Ends the audio. */
  end() {
    this.ask({ type: "end" });
  }

  /** Closes the stream at once, without waiting for captions, and finishes with the problem. */
  close(problem = null) {
    this.#passOn(() => this.#stream.close());
    this.#over(problem);
  }

  handleEvent() {
    this.#passOn(() => this.#stream.reconnectNow()); // the browser is online again
  }

  /** Calls a method of the stream for the application, unless the stream is over. */
  #hand(receive) {
    if (this.#stream.state === "CLOSED") return;
    this.#passOn(() => {
      try {
        receive();
      } catch (failure) {
        if (!(failure instanceof ConnectionLost || failure instanceof ServerError)) throw failure;
      }
    });
  }

  /** Calls a method of the stream with the time set, and carries out the resulting actions. */
  #passOn(receive) {
    const stream = this.#stream;
    stream.receiveTime(performance.now() / 1000);
    receive();
    for (const action of stream.actionsToTake()) {
      if (action === "CONNECT") this.#connect();
      else this.#leave(action);
    }
    for (const message of stream.eventsToTell()) this.#onEvent(message);
    this.#showState();
    this.#pump();
    clearTimeout(this.#timer);
    if (stream.wakeAtS < Infinity) {
      const ms = 1000 * stream.wakeAtS - performance.now();
      this.#timer = setTimeout(() => this.#passOn(() => {}), Math.max(ms, 1));
    }
    if (stream.state === "CLOSED") this.#whyClosed().then((problem) => this.#over(problem));
  }

  #connect() {
    let socket;
    try {
      socket = new WebSocket(this.#url);
    } catch {
      return this.close(new Problem("bad_address"));
    }
    this.#socket = socket;
    const passOn = (receive) => socket === this.#socket && this.#passOn(receive);
    socket.onopen = () =>
      passOn(() => {
        this.#stream.receiveConnected();
        socket.send(this.#stream.startMessage());
      });
    socket.onmessage = ({ data }) => passOn(() => this.#stream.receiveMessage(data));
    socket.onclose = ({ code, reason }) =>
      passOn(() => {
        const broken = code === 1006;
        const how = broken ? "The connection broke." : `The server closed the stream (${code} ${reason}).`;
        this.#stream.receiveLost(new ConnectionLost(how, broken ? null : code));
      });
  }

  /** Closes or abandons the socket; its messages are ignored from now on. */
  #leave(action) {
    const socket = this.#socket;
    this.#socket = null;
    // A browser cannot abort a connection. If the stream is to be resumed, the socket is left open:
    // the server closes it when the next one replaces it.
    if (action === "CLOSE" || socket?.readyState === WebSocket.CONNECTING) socket?.close();
  }

  /** Sends the frames that are due, as long as the browser's send buffer is not too full. */
  #pump() {
    clearTimeout(this.#pumping);
    while (this.live && this.#socket?.readyState === WebSocket.OPEN) {
      if (this.#socket.bufferedAmount > HIGH_WATER) {
        this.#pumping = setTimeout(() => this.#pump(), POLL_MS);
        return;
      }
      const frame = this.#stream.nextFrame();
      if (frame === null) return;
      this.#socket.send(frame);
    }
  }

  #showState() {
    const stream = this.#stream;
    if (stream.state === "LIVE") {
      if (this.#shown !== "live") this.#onState("live");
      this.#shown = "live";
    } else if (stream.state === "WAITING" && this.#shown !== `waiting ${stream.waitUntilS}`) {
      this.#shown = `waiting ${stream.waitUntilS}`;
      this.#onState("waiting", 1000 * stream.waitUntilS - performance.now());
    }
  }

  #over(problem) {
    removeEventListener("online", this);
    for (const timer of [this.#pumping, this.#timer]) clearTimeout(timer);
    this.#finish(problem);
  }

  /** Returns the problem that closed the stream; null if it ended by request. */
  async #whyClosed() {
    const { failure, ready } = this.#stream;
    if (failure instanceof ServerError) {
      const { code, message } = failure;
      return code === "not_authorised" ? new Problem(code) : new Problem(code, message);
    }
    if (!failure) return null;
    return ready ? new Problem("closed", failure.message) : this.#whyNot();
  }

  /**
   * Returns the problem that prevented the websocket. The browser does not report it, so the reason
   * is requested over HTTP.
   */
  async #whyNot() {
    const url = this.#url.replace(/^ws/, "http");
    const how = () => ({ cache: "no-store", signal: AbortSignal.timeout(ASK_MS) });
    try {
      const { status } = await fetch(url, how());
      if (status !== 503) return new Problem(REFUSED[status] ?? "no_websocket");
      const { ok } = await fetch(new URL("../readyz", url), how());
      return new Problem(ok ? "busy" : "not_ready");
    } catch {
      // A page of an origin that is not allowed cannot read the answer, only that there is one.
      const there = await fetch(url, { ...how(), mode: "no-cors" }).catch(() => null);
      return new Problem(there ? "refused" : "away");
    }
  }
}
