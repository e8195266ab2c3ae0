// A stream that reconnects, without I/O: it has no socket and reads no clock.
//
// A driver connects it to a websocket and to the time (the captions page's is ../browser/link.js).
// It passes on what the application asks, what arrives, and what time it is; afterwards it carries
// out `actionsToTake()`, sends `nextFrame()` for as long as there is one and the socket accepts more,
// hands `eventsToTell()` to the application, and comes back at `wakeAtS`. The states, and what leads
// from one to the next, are in states.js.
//
// The Python client has the same object (../python/distil_stream_client/protocol.py). Both replay
// the same recorded conversations (../conversations) in their tests.

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
 * What the driver does with the socket. CONNECT: open a websocket, then call `receiveConnected`,
 * `receiveRefusal` or `receiveLost`. CLOSE: close the websocket, or stop opening it; nothing more of
 * it is passed on. ABORT: the same without a close frame, which would make the server forget the
 * stream.
 * @typedef {"CONNECT" | "CLOSE" | "ABORT"} Action
 */

/**
 * By close code, why a server ends a stream before the client does.
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
  #deadlineS = Infinity; // when the websocket, the `ready` or the close frame awaited is too late
  #lastSentS = 0;
  #hasSocket = false;
  #token = ""; // with which the server resumes the stream; empty if it has let the stream go
  /** @type {Message | null} an `ended` that came too early, and is not told so far */
  #earlyEnd = null;
  /** @type {ConnectionLost | ServerError | null} how the last live connection was lost */
  #why = null;
  #over = new ConnectionLost("The stream was closed."); // thrown to an application that still sends
  /** @type {Action[]} */
  #actions = [];
  /** @type {Message[]} */
  #events = [];

  /**
   * @param {Record<string, any>} settings the fields of `start`
   * @param {object} options
   * @param {number} [options.reconnectS] seconds within which a lost connection must be replaced; 0
   *   if it is not to be replaced, infinity for no limit
   * @param {number} [options.silentS] seconds after which a server that owes an answer is given up
   * @param {number} [options.openTimeoutS] seconds that opening a websocket may take, and then the
   *   `ready`
   * @param {boolean} [options.keepAlive] whether the stream stays open while the application sends
   *   nothing. Then a keepalive is sent in time, and a server that ends the stream all the same is
   *   followed by a new stream.
   * @param {() => number} [options.random] returns numbers from 0 to 1, which vary the waits
   */
  constructor(settings, options = {}) {
    const {
      reconnectS = 60, silentS = 30, openTimeoutS = 10, keepAlive = false, random = Math.random,
    } = options;
    /** @type {State} */
    this.state = "NEW";
    /**
     * The last `ready`: the model, the session, its limits.
     * @type {Message | null}
     */
    this.ready = null;
    /**
     * Why the stream was closed; null if it was not, or ended as the application asked.
     * @type {ConnectionLost | ServerError | null}
     */
    this.failure = null;
    this.patience = new Patience(silentS);
    this.continuity = new Continuity(settings, reconnectS > 0);
    /** In WAITING, when the next attempt is made. */
    this.waitUntilS = 0;
    this.#openTimeoutS = openTimeoutS;
    this.#keepAlive = keepAlive;
    this.#backoff = new Backoff(reconnectS, random);
  }

  // What the application does

  /** Opens the stream. */
  open() {
    this.#connect("OPEN");
  }

  /**
   * Adds audio, channels interleaved, in pieces of any size; throws if the stream is over.
   * @param {Uint8Array} data
   */
  sendAudio(data) {
    this.#checkOpen();
    this.continuity.log.addAudio(data);
  }

  /**
   * Adds a message, which holds from here on in the audio; throws if the stream is over.
   * @param {Message} message
   */
  sendMessage(message) {
    this.#checkOpen();
    this.continuity.addMessage(message);
  }

  /** Makes the next attempt to reconnect now, because the network has come back. */
  reconnectNow() {
    if (this.state === "WAITING") this.#connect("RETRY");
  }

  /** Closes the stream, whatever is missing. */
  close() {
    if (this.state === "CLOSED") return;
    this.#drop("CLOSE");
    this.#move("CLOSE");
  }

  // What the socket brings

  /** Takes note that the websocket is open. */
  receiveConnected() {
    this.#move(this.#token ? "RESUME" : "START");
    this.#deadlineS = this.#nowS + this.#openTimeoutS;
  }

  /**
   * Takes note that the server answered something else than a websocket.
   * @param {ServerError} refusal
   */
  receiveRefusal(refusal) {
    this.#hasSocket = false;
    if (this.#mayComeBack && RETRIED_REFUSALS.has(refusal.code)) this.#lose(refusal);
    else this.#fail(refusal);
  }

  /**
   * Takes note that the websocket is closed, or could not be opened.
   * @param {ConnectionLost} why
   */
  receiveLost(why) {
    this.#hasSocket = false;
    const closed = why.closeCode !== null;
    if (closed) this.#token = ""; // a server that closes the websocket lets the stream go
    if (this.state === "ENDED") this.#receiveCloseAfterEnded(why.closeCode);
    else if (this.#mayComeBack && RETRIED_CLOSES.has(why.closeCode)) this.#lose(why, closed);
    else this.#fail(why);
  }

  /**
   * Takes a text frame.
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

  // What the clock says

  /**
   * Takes the time, in seconds on any clock that only runs forward. A driver calls it before it
   * passes anything else on, and at `wakeAtS`.
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

  /** When `receiveTime` is to be called at the latest; infinity if nothing is due. */
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

  // What comes of it

  /** Returns what the driver is to do, and forgets it. */
  actionsToTake() {
    const actions = this.#actions;
    this.#actions = [];
    return actions;
  }

  /** Returns the messages that the application has not been told, and forgets them. */
  eventsToTell() {
    const events = this.#events;
    this.#events = [];
    return events;
  }

  /** Whether everything was sent through the connection of now. */
  get allSent() {
    return (this.state === "LIVE" || this.state === "ENDED") && this.continuity.log.allSent;
  }

  /** Returns the first frame of a connection, to be sent as soon as it is open. */
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
   * Has the driver let the websocket go, if it has one.
   * @param {Action} action
   */
  #drop(action) {
    if (this.#hasSocket) this.#actions.push(action);
    this.#hasSocket = false;
  }

  /** @param {string} why */
  #giveConnectionUp(why) {
    // A close frame would make the server forget the stream, so none is sent if it is resumed.
    this.#drop(this.#token ? "ABORT" : "CLOSE");
    this.receiveLost(new ConnectionLost(why));
  }

  /**
   * Reconnects after a wait, unless that has been tried for too long.
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
   * Closes the stream, and tells what was held back.
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

  // The beginning and the end of a server's stream

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
      // Not sooner: what was held back is told if no server takes the stream.
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
      this.#earlyEnd = ended; // the close code says why
    }
  }

  /**
   * Goes on with another stream if the server ended this one before the application did.
   * @param {number | null} code
   */
  #receiveCloseAfterEnded(code) {
    const early = this.#earlyEnd;
    if (!early) {
      this.#move("FINISH");
      return;
    }
    // After an idle end without audio on its way, the application may want no other stream.
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
 * Returns a message of the server; null if the text is none.
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
 * Returns why nothing more comes on a stream whose `ended` has come.
 * @param {number | null} code
 */
function endedByServer(code) {
  return new ConnectionLost(WHY_ENDED[code ?? 0] ?? `The server ended the stream (${code}).`, code);
}
