// Connects a stream object (protocol.js) to a WebSocket and to the time: in browsers, Node, Deno and
// Bun.

import { addressOf, authorization, tokenNow } from "./address.js";
import { ConnectionLost, Problem, ServerError } from "./errors.js";
import { RETRIED_REFUSALS } from "./policy.js";
import { StreamProtocol } from "./protocol.js";

const HIGH_WATER = 1 << 20; // bytes in the socket's send buffer above which no more are added
const POLL_MS = 40; // interval at which the send buffer is checked while it is that full
const ASK_MS = 5_000; // timeout of the HTTP request that finds out why no websocket was opened

/**
 * Codes of problems by the status of the answer; 426 means that the server would open a websocket.
 * @type {Record<number, string>}
 */
const REFUSED = { 400: "too_large", 401: "not_authorised", 403: "refused", 429: "busy", 431: "too_large" };

/** Refusals whose sentence comes from the server, which has the reason. */
const TOLD = new Set([401, 403, 429]);

/** @typedef {import("./messages.js").ServerMessage} ServerMessage */
/** @typedef {import("./messages.js").ClientMessage} ClientMessage */

/**
 * How to connect.
 * @typedef {object} ConnectionOptions
 * @property {import("./address.js").Token} [token] the key of the server, or a function that
 *   fetches one
 * @property {number} [reconnectS] seconds within which a lost connection must be replaced: 60 by
 *   default, 0 if it is not replaced, Infinity for no limit
 * @property {number} [silentS] seconds without an expected answer after which a connection is
 *   considered lost: 30 by default
 * @property {number} [openTimeoutS] most seconds that opening a connection may take: 10 by default
 * @property {boolean} [keepAlive] whether the stream stays open while no audio is sent; false by
 *   default
 * @property {new (url: string) => any} [WebSocket] a class with the interface of the browser's; by
 *   default that of the platform, or of the package `ws`
 */

/**
 * @typedef {object} Handlers
 * @property {(message: ServerMessage) => void} onEvent
 * @property {(state: "live" | "waiting", ms?: number) => void} [onState] whether there is a
 *   connection, and in how many milliseconds the next attempt is made
 * @property {() => void} [onChange] called after everything that happens to the stream
 */

/** One stream of an application, and the sockets that it takes. */
export class Driver {
  #protocol;
  #url;
  #token;
  #WebSocket;
  #handlers;
  /** @type {(problem: Problem | null) => void} */
  #finish = () => {};
  /** @type {Problem | null} */
  #problem = null; // why the application closed the stream
  #connections = 0; // what a socket tells is ignored once there is a later one
  /** @type {any} */
  #socket = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #pumping;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  #shown = ""; // the state that was reported last

  /**
   * @param {string | URL} server its address; throws a `Problem` if it is not valid
   * @param {import("./messages.js").Settings} settings
   * @param {ConnectionOptions} options
   * @param {Handlers} handlers
   */
  constructor(server, settings, { token, WebSocket, ...options }, handlers) {
    this.#url = addressOf(server, "v1/stream", "ws");
    this.#token = token;
    this.#WebSocket = WebSocket;
    this.#handlers = handlers;
    this.#protocol = new StreamProtocol(settings, options);
    /**
     * Resolves when the stream is over: with null, or with the problem that ended it.
     * @type {Promise<Problem | null>}
     */
    this.finished = new Promise((resolve) => (this.#finish = resolve));
    globalThis.addEventListener?.("online", this);
  }

  /** The last `ready`; null before the first. */
  get ready() {
    return /** @type {import("./messages.js").Ready | null} */ (this.#protocol.ready);
  }

  /** Why the stream failed; null if it is open, or ended at the application's request. */
  get failure() {
    return this.#protocol.failure;
  }

  /** Whether there is a connection that carries audio. */
  get live() {
    return this.#protocol.state === "LIVE";
  }

  /** Whether the stream is over. */
  get closed() {
    return this.#protocol.state === "CLOSED";
  }

  /** Whether everything was sent on the current connection. */
  get allSent() {
    return this.#protocol.allSent;
  }

  /** Number of samples passed to `sendAudio` so far. */
  get taken() {
    return this.#protocol.continuity.log.end;
  }

  /** The sample before which all captions are final. */
  get settled() {
    return this.#protocol.continuity.timeline.settled;
  }

  /** Number of samples that are stored because they are not settled. */
  get kept() {
    return this.taken - this.#protocol.continuity.log.start;
  }

  open() {
    this.#passOn(() => this.#protocol.open());
  }

  /**
   * Sends audio; does nothing if the stream is over.
   * @param {ArrayBuffer | ArrayBufferView} audio samples in the encoding of the settings
   */
  sendAudio(audio) {
    const data = ArrayBuffer.isView(audio)
      ? new Uint8Array(audio.buffer, audio.byteOffset, audio.byteLength)
      : new Uint8Array(audio);
    this.#hand(() => this.#protocol.sendAudio(data));
  }

  /**
   * Sends a message after the audio so far; does nothing if the stream is over.
   * @param {ClientMessage} message
   */
  send(message) {
    this.#hand(() => this.#protocol.sendMessage(message));
  }

  /**
   * Closes the stream at once, without waiting for captions.
   * @param {Problem | null} problem what `finished` resolves with
   */
  close(problem = null) {
    this.#problem = problem;
    this.#passOn(() => this.#protocol.close());
  }

  /** Called when the browser is online again. */
  handleEvent() {
    this.#passOn(() => this.#protocol.reconnectNow());
  }

  /**
   * Calls a method of the stream for the application, unless the stream is over.
   * @param {() => void} receive
   */
  #hand(receive) {
    if (this.closed) return;
    this.#passOn(() => {
      try {
        receive();
      } catch (failure) {
        if (!(failure instanceof Problem)) throw failure;
      }
    });
  }

  /**
   * Calls a method of the stream with the time set, and carries out the resulting actions.
   * @param {() => void} receive
   */
  #passOn(receive) {
    const protocol = this.#protocol;
    protocol.receiveTime(performance.now() / 1000);
    receive();
    for (const action of protocol.actionsToTake()) {
      if (action === "CONNECT") this.#connect();
      else this.#leave(action);
    }
    for (const message of protocol.eventsToTell()) {
      this.#handlers.onEvent(/** @type {ServerMessage} */ (message));
    }
    this.#showState();
    this.#pump();
    clearTimeout(this.#timer);
    if (protocol.wakeAtS < Infinity) {
      const ms = 1000 * protocol.wakeAtS - performance.now();
      this.#timer = setTimeout(() => this.#passOn(() => {}), Math.max(ms, 1));
    }
    if (this.closed) this.#over();
    this.#handlers.onChange?.();
  }

  async #connect() {
    const connection = (this.#connections += 1);
    /** @param {() => void} receive */
    const passOn = (receive) => connection === this.#connections && this.#passOn(receive);
    let token, socket;
    try {
      token = await tokenNow(this.#token);
    } catch (error) {
      const why = `The token for the server could not be fetched: ${error}`;
      passOn(() => this.#protocol.receiveLost(new ConnectionLost(why, null, "no_token")));
      return;
    }
    const url = new URL(this.#url);
    if (token) url.searchParams.set("token", token);
    try {
      const WebSocketClass = this.#WebSocket ?? (await platformWebSocket());
      if (connection !== this.#connections) return;
      this.#socket = socket = new WebSocketClass(url.href);
    } catch (error) {
      const why = new ServerError("no_websocket", `${error}`);
      passOn(() => this.#protocol.receiveRefusal(why));
      return;
    }
    let wasOpen = false;
    socket.onopen = () => {
      wasOpen = true;
      passOn(() => {
        this.#protocol.receiveConnected();
        socket.send(this.#protocol.startMessage());
      });
    };
    socket.onmessage = (/** @type {{ data: string }} */ { data }) =>
      passOn(() => this.#protocol.receiveMessage(data));
    socket.onerror = () => {}; // `onclose` follows
    socket.onclose = async (/** @type {{ code: number, reason: string }} */ { code, reason }) => {
      if (connection !== this.#connections) return;
      if (!wasOpen) {
        const why = await whyNotOpened(url, token);
        passOn(() => {
          if (why instanceof ConnectionLost) this.#protocol.receiveLost(why);
          else this.#protocol.receiveRefusal(why);
        });
      } else if (code === 1006 || code === 0) { // without a close frame; Deno says 0
        passOn(() => this.#protocol.receiveLost(new ConnectionLost()));
      } else {
        const how = `The server closed the stream (${code} ${reason}).`;
        passOn(() => this.#protocol.receiveLost(new ConnectionLost(how, code)));
      }
    };
  }

  /**
   * Closes or abandons the socket; its messages are ignored from now on.
   * @param {"CLOSE" | "ABORT"} action
   */
  #leave(action) {
    const socket = this.#socket;
    this.#socket = null;
    this.#connections += 1;
    if (!socket) return;
    // A browser cannot abort a connection. If the stream is to be resumed, the socket is left open:
    // the server closes it when the next one replaces it.
    const connecting = socket.readyState === 0;
    if (action === "ABORT" && socket.terminate) socket.terminate();
    else if (action === "CLOSE" || connecting) socket.close();
  }

  /** Sends the frames that are due, as long as the socket's send buffer is not too full. */
  #pump() {
    clearTimeout(this.#pumping);
    while (this.live && this.#socket?.readyState === 1) {
      if (this.#socket.bufferedAmount > HIGH_WATER) {
        this.#pumping = setTimeout(() => this.#passOn(() => {}), POLL_MS);
        return;
      }
      const frame = this.#protocol.nextFrame();
      if (frame === null) return;
      this.#socket.send(frame);
    }
  }

  #showState() {
    const { state, waitUntilS } = this.#protocol;
    if (state !== "LIVE" && state !== "WAITING") return;
    const shown = state === "LIVE" ? "live" : `waiting ${waitUntilS}`;
    if (this.#shown === shown) return;
    this.#shown = shown;
    if (state === "LIVE") this.#handlers.onState?.("live");
    else this.#handlers.onState?.("waiting", 1000 * waitUntilS - performance.now());
  }

  #over() {
    globalThis.removeEventListener?.("online", this);
    for (const timer of [this.#pumping, this.#timer]) clearTimeout(timer);
    this.#finish(this.#protocol.failure ?? this.#problem);
  }
}

/** Returns the WebSocket class of the platform; Node has one since version 22. */
async function platformWebSocket() {
  if (globalThis.WebSocket) return globalThis.WebSocket;
  try {
    return (await import("ws")).WebSocket;
  } catch {
    throw new Error("This version of Node has no WebSocket: install the package `ws`, or Node 22.");
  }
}

/**
 * Returns why a websocket did not open. A WebSocket does not report it, so the reason is requested
 * over HTTP.
 * @param {URL} websocketUrl
 * @param {string | null} token
 * @returns {Promise<ServerError | ConnectionLost>}
 */
async function whyNotOpened(websocketUrl, token) {
  const url = new URL(websocketUrl.href.replace(/^ws/, "http"));
  const how = () => /** @type {RequestInit} */ ({ cache: "no-store", signal: AbortSignal.timeout(ASK_MS) });
  try {
    const response = await fetch(url, how());
    const { status } = response;
    const sentence = TOLD.has(status) ? (await response.text()).trim() : "";
    let code = REFUSED[status] ?? "no_websocket";
    if (status === 503) {
      const { ok } = await fetch(addressOf(url, "readyz", "http"), how());
      code = ok ? "busy" : "not_ready";
    }
    const mayPass = status === 426 || RETRIED_REFUSALS.has(`http_${status}`);
    const told = sentence || undefined;
    return mayPass ? new ConnectionLost(told, null, code) : new ServerError(code, told);
  } catch {
    // A page of an origin that is not allowed cannot read the answer, only that there is one.
    const there = await fetch(url, { ...how(), mode: "no-cors" }).catch(() => null);
    return there ? new ServerError("refused") : new ConnectionLost(undefined, null, "away");
  }
}
