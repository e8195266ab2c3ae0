// A stream that reconnects, without I/O: it has no socket and reads no clock.
//
// A driver connects it to a websocket and to the clock (that of the captions page is
// ../browser/link.js). The driver passes on the requests of the application, the messages that
// arrive, and the time. After each call it carries out `actionsToTake()`, sends `nextFrame()` as
// long as there is one and the socket accepts more, delivers `eventsToTell()` to the application,
// and calls `receiveTime` at `wakeAtS`. The states and their transitions are in states.js.
//
// The Python client has the same object (../python/distil_stream_client/protocol.py). The tests of
// both replay the same recorded conversations (../conversations).

import { Continuity } from "./continuity.js";
import { ConnectionLost, ServerError } from "./errors.js";
import {
  Backoff,
  GOING_AWAY,
  IDLE,
  IDLE_S,
  KEEPALIVE_PART,
  LONGEST_FRAME_BYTES,
  Patience,
  RETRIED_CLOSES,
  RETRIED_ERRORS,
  RETRIED_REFUSALS,
} from "./policy.js";
import { TRANSITIONS } from "./states.js";

export { ConnectionLost, ServerError };

/** @typedef {import("./unsettled.js").Message} Message */
/** @typedef {import("./states.js").State} State */
/** @typedef {import("./states.js").Cause} Cause */

/**
 * What the driver must do with the socket. CONNECT: open a websocket, then call `receiveConnected`,
 * `receiveRefusal` or `receiveLost`. CLOSE: close the websocket, or stop opening it; ignore
 * messages that it still receives. ABORT: like CLOSE, but without a close frame, after which the
 * server would drop the stream.
 * @typedef {"CONNECT" | "CLOSE" | "ABORT"} Action
 */

/**
 * By close code, the reason why a server ended a stream before the client did.
 * @type {Record<number, string>}
 */
const WHY_ENDED = {
  [GOING_AWAY]: "The server was stopped; the finals so far were sent.",
  [IDLE]: "The server ended the stream because it received nothing for too long.",
};

/** One stream, from its opening to its end, over as many connections as it takes. */
export class StreamProtocol {
  #openTimeoutS;
  #keepAlive;
  #backoff;
  #nowS = 0;
  #deadlineS = Infinity; // the time by which the expected websocket, `ready` or close must arrive
  #lastSentS = 0;
  #hasSocket = false;
  #token = ""; // to resume the stream; empty if the server no longer has the stream
  /** @type {Message | null} an `ended` that came too early, and was not delivered yet */
  #earlyEnd = null;
  /** @type {ConnectionLost | ServerError | null} why the last live connection was lost */
  #why = null;
  #over = new ConnectionLost("The stream was closed."); // thrown if the application still sends
  /** @type {Action[]} */
  #actions = [];
  /** @type {Message[]} */
  #events = [];

  /**
   * @param {Record<string, any>} settings the fields of `start`
   * @param {object} options
   * @param {number} [options.reconnectS] seconds within which a lost connection must be replaced; 0
   *   if it is not replaced, infinity for no limit
   * @param {number} [options.silentS] seconds without an expected answer after which the connection
   *   is considered lost; doubled after each such loss without progress
   * @param {number} [options.openTimeoutS] most seconds that the opening of a websocket may take,
   *   and again the `ready` after it
   * @param {boolean} [options.keepAlive] whether the stream stays open while the application sends
   *   nothing. Then keepalives are sent in time, and if the server still ends the stream, a new one
   *   continues it.
   * @param {() => number} [options.random] returns numbers from 0 to 1, by which waits are varied
   */
  constructor(settings, options = {}) {
    const {
      reconnectS = 60, silentS = 30, openTimeoutS = 10, keepAlive = false, random = Math.random,
    } = options;
    /** @type {State} */
    this.state = "NEW";
    /**
     * The last `ready`: the model, the session and its limits.
     * @type {Message | null}
     */
    this.ready = null;
    /**
     * Why the stream failed; null if it is open, or ended at the application's request.
     * @type {ConnectionLost | ServerError | null}
     */
    this.failure = null;
    this.patience = new Patience(silentS);
    this.continuity = new Continuity(settings, reconnectS > 0);
    /** The time of the next attempt, in the state WAITING. */
    this.waitUntilS = 0;
    this.#openTimeoutS = openTimeoutS;
    this.#keepAlive = keepAlive;
    this.#backoff = new Backoff(reconnectS, random);
  }

  // Called for the application

  /** Opens the stream. */
  open() {
    this.#connect("OPEN");
  }

  /**
   * Adds audio to be sent, channels interleaved, in any pieces; throws if the stream is over.
   * @param {Uint8Array} data
   */
  sendAudio(data) {
    this.#checkOpen();
    this.continuity.log.addAudio(data);
  }

  /**
   * Adds a message to be sent after the audio added so far; throws if the stream is over.
   * @param {Message} message
   */
  sendMessage(message) {
    this.#checkOpen();
    this.continuity.addMessage(message);
  }

  /** If waiting to reconnect, makes the next attempt now, because the network is available. */
  reconnectNow() {
    if (this.state === "WAITING") this.#connect("RETRY");
  }

  /** Closes the stream at once; audio that is not sent or settled is lost. */
  close() {
    if (this.state === "CLOSED") return;
    this.#drop("CLOSE");
    this.#move("CLOSE");
  }

  // Called for the socket

  /** Records that the websocket is open; the driver then sends `startMessage()`. */
  receiveConnected() {
    this.#move(this.#token ? "RESUME" : "START");
    this.#deadlineS = this.#nowS + this.#openTimeoutS;
  }

  /**
   * Records that the server answered with an HTTP error instead of opening a websocket.
   * @param {ServerError} refusal
   */
  receiveRefusal(refusal) {
    this.#hasSocket = false;
    if (this.#mayComeBack && RETRIED_REFUSALS.has(refusal.code)) this.#lose(refusal);
    else this.#fail(refusal);
  }

  /**
   * Records that the websocket was closed, or could not be opened.
   * @param {ConnectionLost} why
   */
  receiveLost(why) {
    this.#hasSocket = false;
    const closed = why.closeCode !== null;
    if (closed) this.#token = ""; // a server that closes the websocket drops the stream
    if (this.state === "ENDED") this.#receiveCloseAfterEnded(why.closeCode);
    else if (this.#mayComeBack && RETRIED_CLOSES.has(why.closeCode)) this.#lose(why, closed);
    else this.#fail(why);
  }

  /**
   * Takes a text frame that the websocket has received.
   * @param {string} text
   */
  receiveMessage(text) {
    if (!["STARTING", "RESUMING", "LIVE"].includes(this.state)) return;
    this.patience.noteAnswer();
    const message = parse(text);
    if (!message) {
      this.#fail(new ServerError("bad_message", `The server sent ${text.slice(0, 80)}`));
      return;
    }
    if (message.type === "error" && message.fatal) this.#receiveFatal(message);
    else if (message.type === "ready") this.#receiveReady(message);
    else if (message.type === "ended") this.#receiveEnded(message);
    else {
      if (message.type === "progress" && this.state === "LIVE") {
        this.#backoff.noteProgress();
        this.patience.noteProgress();
      }
      this.#tell(this.continuity.receive(message));
    }
    this.patience.note(this.continuity.owesAnswer, this.#nowS);
  }

  // Called for the clock

  /**
   * Sets the time, in seconds of a monotonic clock, and does what is due. A driver calls it before
   * every other `receive…` or application call, and at `wakeAtS`.
   * @param {number} nowS
   */
  receiveTime(nowS) {
    this.#nowS = nowS;
    if (nowS < this.wakeAtS) return;
    switch (this.state) {
      case "WAITING":
        this.#connect("RETRY");
        break;
      case "LIVE":
        if (nowS >= this.patience.untilS) {
          this.patience.noteGivenUp();
          this.#giveConnectionUp("An expected message of the server did not arrive in time.");
        } else {
          this.#lastSentS = nowS;
          this.continuity.addMessage({ type: "keepalive" });
        }
        break;
      case "CONNECTING":
        this.#giveConnectionUp("The connection to the server did not open in time.");
        break;
      default:
        this.#giveConnectionUp("The server did not send `ready` in time.");
    }
  }

  /** The time at which `receiveTime` must be called; infinity if nothing is due. */
  get wakeAtS() {
    switch (this.state) {
      case "NEW":
      case "CLOSED":
        return Infinity;
      case "WAITING":
        return this.waitUntilS;
      case "LIVE":
        return Math.min(this.patience.untilS, this.#keepaliveAtS);
    }
    return this.#deadlineS;
  }

  // Results for the driver

  /** Returns the actions since the last call, in order. */
  actionsToTake() {
    const actions = this.#actions;
    this.#actions = [];
    return actions;
  }

  /** Returns the messages since the last call, for delivery to the application. */
  eventsToTell() {
    const events = this.#events;
    this.#events = [];
    return events;
  }

  /** Whether all audio and messages were sent on the current connection. */
  get allSent() {
    return (this.state === "LIVE" || this.state === "ENDED") && this.continuity.log.allSent;
  }

  /** Returns the first frame of a connection, to be sent after `receiveConnected`. */
  startMessage() {
    if (this.state === "RESUMING" && this.ready) {
      const seq = this.continuity.timeline.lastSeq;
      const resume = { session: this.ready.session, token: this.#token, seq };
      return JSON.stringify({ type: "start", resume });
    }
    return JSON.stringify({ type: "start", ...this.continuity.settings });
  }

  /**
   * Returns the next frame to send, and counts it as sent; null if there is none for now.
   * @returns {string | Uint8Array | null}
   */
  nextFrame() {
    if (this.state !== "LIVE" || !this.ready) return null;
    const most = this.ready.limits?.max_frame_bytes || LONGEST_FRAME_BYTES;
    const item = this.continuity.take(Math.min(most, LONGEST_FRAME_BYTES));
    if (item === null) return null;
    this.#lastSentS = this.#nowS;
    this.patience.note(this.continuity.owesAnswer, this.#nowS);
    return item instanceof Uint8Array ? item : JSON.stringify(item);
  }

  // Connections

  get #mayComeBack() {
    return this.ready !== null && this.continuity.possible;
  }

  get #keepaliveAtS() {
    if (!this.#keepAlive) return Infinity;
    return this.#lastSentS + KEEPALIVE_PART * (this.ready?.limits?.idle_s || IDLE_S);
  }

  /** @param {Cause} cause */
  #connect(cause) {
    this.#move(cause);
    this.#actions.push("CONNECT");
    this.#hasSocket = true;
    this.#deadlineS = this.#nowS + this.#openTimeoutS;
  }

  /**
   * Requests CLOSE or ABORT of the websocket, if there is one.
   * @param {Action} action
   */
  #drop(action) {
    if (this.#hasSocket) this.#actions.push(action);
    this.#hasSocket = false;
  }

  /** @param {string} why */
  #giveConnectionUp(why) {
    // After a close frame the server would drop the stream, so a stream that can be resumed is left
    // without one.
    this.#drop(this.#token ? "ABORT" : "CLOSE");
    this.receiveLost(new ConnectionLost(why));
  }

  /**
   * Reconnects after a wait; fails if that has been tried for `reconnectS`. If `atOnce`, there is
   * no wait after a good connection.
   * @param {ConnectionLost | ServerError} why
   * @param {boolean} atOnce
   */
  #lose(why, atOnce = false) {
    const wasLive = this.state === "LIVE" || this.state === "ENDED";
    if (wasLive || !this.#why) this.#why = why;
    const waitS = this.#backoff.waitS(this.#nowS, { wasLive, atOnce });
    if (waitS === null) {
      this.#fail(this.#why);
      return;
    }
    this.#move("LOSE");
    this.waitUntilS = this.#nowS + waitS;
    if (!waitS) this.#connect("RETRY");
  }

  /**
   * Closes the stream with a failure, and releases the messages that were held back.
   * @param {ConnectionLost | ServerError} failure
   */
  #fail(failure) {
    if (this.#earlyEnd) this.#tell(this.continuity.receive(this.#earlyEnd));
    this.#tell(this.continuity.release());
    this.#drop("CLOSE");
    this.#move("FAIL");
    this.failure = failure;
  }

  /** @param {Cause} cause */
  #move(cause) {
    const next = TRANSITIONS[this.state][cause];
    if (!next) throw new Error(`${cause} does not lead from ${this.state} to another state`);
    this.state = next;
  }

  /** @param {Message[]} messages */
  #tell(messages) {
    this.#events.push(...messages);
  }

  #checkOpen() {
    if (this.failure) throw this.failure;
    const over = this.state === "ENDED" && !this.#earlyEnd;
    if (over || this.state === "CLOSED") throw this.#over;
  }

  // Beginning and end of a stream of the server

  /** @param {Message} error */
  #receiveFatal({ code, message }) {
    if (code === "resume_refused" && this.state === "RESUMING") {
      this.#token = "";
      this.#drop("CLOSE");
      this.#move("LOSE");
      this.#connect("RETRY");
    } else if (!(this.#mayComeBack && RETRIED_ERRORS.has(code))) {
      this.#fail(new ServerError(code, message));
    }
  }

  /** @param {Message} ready */
  #receiveReady(ready) {
    if (this.state === "LIVE") return;
    if (this.state === "RESUMING") {
      this.#tell(this.continuity.resume(ready));
    } else {
      // Only now is the early end dropped: if no server had accepted the stream, `#fail` would have
      // delivered it.
      this.#earlyEnd = null;
      this.#tell(this.continuity.beginAnew(ready));
    }
    this.#move("READY");
    this.ready = ready;
    this.#token = (this.continuity.possible && ready.resume_token) || "";
    this.#lastSentS = this.#nowS;
    this.#backoff.noteLive(this.#nowS);
  }

  /** @param {Message} ended */
  #receiveEnded(ended) {
    if (this.state === "STARTING") return; // the server is being stopped, and closes next
    this.#move("END");
    this.#deadlineS = this.#nowS + this.#openTimeoutS;
    this.#token = "";
    if (this.continuity.isComplete(ended)) {
      this.#over = endedByServer(1000);
      this.#tell(this.continuity.receive(ended));
    } else {
      this.#earlyEnd = ended; // the close code, which follows, is the reason
    }
  }

  /**
   * Continues with another stream if the server ended this one before the application did.
   * @param {number | null} code
   */
  #receiveCloseAfterEnded(code) {
    const early = this.#earlyEnd;
    if (!early) {
      this.#move("FINISH");
      return;
    }
    // If the stream ended because it was idle, another one is opened only if there is unsent audio
    // or the application wants to keep the stream alive.
    const wanted = code !== IDLE || this.#keepAlive || this.continuity.hasMore(early);
    if (this.continuity.possible && RETRIED_CLOSES.has(code) && wanted) {
      this.#lose(endedByServer(code), true);
    } else if (this.continuity.endAsked && code !== GOING_AWAY) {
      this.#tell(this.continuity.receive(early));
      this.#move("FINISH");
    } else {
      this.#fail(endedByServer(code));
    }
  }
}

/**
 * Returns the message of the server in a text; null if the text is not a message.
 * @param {string} text
 * @returns {Message | null}
 */
function parse(text) {
  try {
    const message = JSON.parse(text);
    return typeof message?.type === "string" ? message : null;
  } catch {
    return null;
  }
}

/**
 * Returns the error for a stream that the server ended with this close code.
 * @param {number | null} code
 */
function endedByServer(code) {
  return new ConnectionLost(WHY_ENDED[code ?? 0] ?? `The server ended the stream (${code}).`, code);
}
