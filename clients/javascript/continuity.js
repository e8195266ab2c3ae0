// One stream as the application sees it, over the streams of several servers.
//
// Holds what outlives a connection: the audio and the requests that are not settled, the settings in
// force, and the counts of samples, seconds, utterances and messages. Knows nothing of connections.

import { ANSWERED_EVERY_S } from "./policy.js";
import { Timeline } from "./timeline.js";
import { SAMPLE_BYTES, Unsettled } from "./unsettled.js";

/** @typedef {import("./unsettled.js").Message} Message */

/** Takes what goes out and what comes in; returns what is to be sent, and what is told. */
export class Continuity {
  /** @type {Set<string>} the settings that `configure` was asked to change */
  #changed = new Set();
  #received = 0; // samples that the server is known to have received
  #told = 0;

  /**
   * @param {Record<string, any>} settings the fields of `start`
   * @param {boolean} wanted whether the stream is to go on if its connection is lost; if not,
   *   nothing is kept, and messages are told as they come
   */
  constructor(settings, wanted) {
    const encoding = settings.encoding ?? "pcm_s16le";
    /** Whether the stream can go on: the samples of a container cannot be counted here. */
    this.possible = wanted && encoding in SAMPLE_BYTES;
    /** Those with which a new stream begins. */
    this.settings = { ...settings };
    this.log = new Unsettled(encoding, settings.channels ?? 1, this.possible);
    /** Hertz. */
    this.rate = settings.sample_rate ?? 16_000;
    this.timeline = new Timeline(this.rate, settings.endpointing_ms);
  }

  // What goes out

  /**
   * Adds a message, which is sent behind the audio so far.
   * @param {Message} message
   */
  addMessage(message) {
    if (message.type === "configure") {
      for (const name of Object.keys(message)) if (name !== "type") this.#changed.add(name);
    }
    this.log.addMessage(message);
  }

  /**
   * Returns what is to be sent next, and counts it as sent; null if everything was.
   * @param {number} mostBytes
   */
  take(mostBytes) {
    const item = this.log.take(mostBytes);
    if (item && "type" in item && (item.type === "finalize" || item.type === "end")) {
      this.timeline.cutAsked = true;
    }
    return item;
  }

  /** Whether the application has asked for the end of the stream. */
  get endAsked() {
    return this.log.endAskedAt !== null;
  }

  /** Whether the server has been sent something that it has not answered. */
  get owesAnswer() {
    if (!this.possible) return false;
    const unanswered = this.log.sent - this.#received;
    return unanswered > ANSWERED_EVERY_S * this.rate || this.log.awaitsAnswer;
  }

  // What comes in

  /**
   * Goes on with a new stream of a server, whose first message is `ready`.
   * @param {Message} ready
   */
  beginAnew(ready) {
    if (this.possible) this.timeline.beginAnew();
    const told = this.receive(ready);
    this.log.beginAnew(this.timeline.known);
    return told;
  }

  /**
   * Goes on with the stream that the server has kept.
   * @param {Message} ready
   */
  resume(ready) {
    const told = this.receive(ready);
    this.log.resumeAt(this.#received);
    return told;
  }

  /**
   * Takes a message of the server's stream of now; returns those that may be told.
   * @param {Message} message
   * @returns {Message[]}
   */
  receive(message) {
    if (!this.possible) return [message];
    if (message.type === "ready" || message.type === "progress") {
      this.#received = this.timeline.base + message.received;
    }
    if (message.type === "configured") this.#noteSettings(message);
    const told = this.#numbered(this.timeline.receive(message));
    this.log.settle(this.timeline.settled);
    return told;
  }

  /** Returns the messages that were held back: no other server will be asked for them. */
  release() {
    return this.#numbered(this.timeline.release());
  }

  /**
   * Returns whether this `ended` answers everything that the application has asked.
   * @param {Message} ended
   */
  isComplete(ended) {
    const askedAt = this.log.endAskedAt;
    const received = this.timeline.base + ended.received;
    return this.possible && askedAt !== null && received >= askedAt && !this.log.awaitsMark;
  }

  /**
   * Returns whether there is audio that the server had not received when it ended.
   * @param {Message} ended
   */
  hasMore(ended) {
    return this.log.end > this.timeline.base + ended.received;
  }

  /**
   * Notes what the server has accepted of the changes: a new stream begins with it.
   * @param {Record<string, any>} inForce
   */
  #noteSettings(inForce) {
    for (const name of this.#changed) {
      if (name in inForce) this.settings[name] = inForce[name];
    }
    this.timeline.endpointingMs = inForce.endpointing_ms ?? this.timeline.endpointingMs;
  }

  /**
   * Returns messages numbered consecutively, without answers to what was answered before.
   * @param {Message[]} messages
   */
  #numbered(messages) {
    // A server received a request twice if the connection broke just after the first time.
    const fresh = messages.filter(({ type, id }) => type !== "mark" || this.log.answer(id));
    return fresh.map((message) => ({ ...message, seq: (this.#told += 1) }));
  }
}
