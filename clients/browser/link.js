// Connects a stream object (javascript/protocol.js, which the server serves beside these files) to a
// WebSocket and to the time.

import { ConnectionLost, ServerError, StreamProtocol } from "./javascript/protocol.js";
import { Problem } from "./problem.js";

const HIGH_WATER = 1 << 20; // bytes that wait in the browser before more are put there
const POLL_MS = 40; // how often it is looked whether fewer wait
const ASK_MS = 5_000; // the time that a server has to answer whether it is ready

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
  #shown = ""; // the state that was told last

  /**
   * @param {object} options
   * @param {string} options.url of the websocket
   * @param {object} options.settings the fields of `start`
   * @param {number} options.silentS seconds after which a server that owes an answer is given up
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

  /** Whether audio goes out and events come back. */
  get live() {
    return this.#stream.state === "LIVE";
  }

  /** Samples sent so far, or waiting to be. */
  get taken() {
    return this.#stream.continuity.log.end;
  }

  /** Samples before this one are settled: their captions are final. */
  get settled() {
    return this.#stream.continuity.timeline.settled;
  }

  /** Samples that are kept until they are settled. */
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

  /** Sends a message, which holds from here on in the audio. */
  ask(message) {
    this.#hand(() => this.#stream.sendMessage(message));
  }

  /** Says that no more samples come. */
  end() {
    this.ask({ type: "end" });
  }

  /** Ends the stream here, whatever is missing. */
  close(problem = null) {
    this.#passOn(() => this.#stream.close());
    this.#over(problem);
  }

  handleEvent() {
    this.#passOn(() => this.#stream.reconnectNow()); // the network is there again
  }

  /** Hands something from the application to the stream, unless it is over. */
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

  /** Passes something on to the stream, and carries out what comes of it. */
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

  /** Lets the socket go; nothing of it is passed on any more. */
  #leave(action) {
    const socket = this.#socket;
    this.#socket = null;
    // A browser cannot break a connection. One that is to be resumed is left as it is: the server
    // closes it when the next one takes its place.
    if (action === "CLOSE" || socket?.readyState === WebSocket.CONNECTING) socket?.close();
  }

  /** Sends what there is to send, as long as the browser does not have too much of it. */
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

  /** Returns the problem that closed the stream; null if it ended as it was asked to. */
  async #whyClosed() {
    const { failure, ready } = this.#stream;
    if (failure instanceof ServerError) {
      const { code, message } = failure;
      return code === "not_authorised" ? new Problem(code) : new Problem(code, message);
    }
    if (!failure) return null;
    return ready ? new Problem("closed", failure.message) : this.#whyNot();
  }

  /** A browser does not say why a socket would not open, so the server is asked over HTTP. */
  async #whyNot() {
    const url = new URL("../readyz", this.#url.replace(/^ws/, "http"));
    const how = () => ({ cache: "no-store", signal: AbortSignal.timeout(ASK_MS) });
    try {
      const { ok } = await fetch(url, how());
      return new Problem(ok ? "busy" : "not_ready");
    } catch {
      // A page of a site that is not allowed sees nothing of the answer, except that there is one.
      const there = await fetch(url, { ...how(), mode: "no-cors" }).catch(() => null);
      return new Problem(there ? "refused" : "away");
    }
  }
}
