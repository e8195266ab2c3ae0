// Presents the streams of several servers, one after the other, as one stream of the application.
//
// The module holds what outlives a connection: the audio and the requests that are not settled,
// the settings in force, and the counts of samples, seconds, utterances and messages. It does not
// handle connections.

import { ANSWERED_EVERY_S } from "./policy.js";
import { Timeline } from "./timeline.js";
import { SAMPLE_BYTES, Unsettled } from "./unsettled.js";

/** @typedef {import("./unsettled.js").Message} Message */

/**
 * The state of a stream that survives a change of connection or of server. It takes the messages of
 * both sides, and returns those to send to the server and to deliver to the application.
 */
export class Continuity {
  /** @type {Set<string>} names of the settings in all `configure` messages so far */
  #changed = new Set();
  #received = 0; // samples that the server has reported as received
  #told = 0;

  /**
   * @param {Record<string, any>} settings the fields of `start`
   * @param {boolean} wanted whether the stream is to continue after a lost connection; if not, sent
   *   audio is not stored, and messages are delivered as they arrive
   */
  constructor(settings, wanted) {
    const encoding = settings.encoding ?? "pcm_s16le";
    /**
     * Whether the stream can continue after a lost connection. For a container it cannot, because
     * the client cannot count its samples.
     */
    this.possible = wanted && encoding in SAMPLE_BYTES;
    /** The settings with which a new stream is started on a server. */
    this.settings = { ...settings };
    this.log = new Unsettled(encoding, settings.channels ?? 1, this.possible);
    /** Hertz. */
    this.rate = settings.sample_rate ?? 16_000;
    this.timeline = new Timeline(this.rate, settings.endpointing_ms);
  }

  // To the server

  /**
   * Adds a message, which is sent after the audio added so far.
   * @param {Message} message
   */
  addMessage(message) {
    if (message.type === "configure") {
      for (const name of Object.keys(message)) if (name !== "type") this.#changed.add(name);
    }
    this.log.addMessage(message);
  }

  /**
   * Returns the next audio or message to send, and counts it as sent; null if all was sent.
   * @param {number} mostBytes the most bytes of audio to return
   */
  take(mostBytes) {
    const item = this.log.take(mostBytes);
    if (item && "type" in item && (item.type === "finalize" || item.type === "end")) {
      this.timeline.cutAsked = true;
    }
    return item;
  }

  /** Whether the application has ended the audio of the stream. */
  get endAsked() {
    return this.log.endAskedAt !== null;
  }

  /** Whether the server has yet to answer a request, or to report progress of sent audio. */
  get owesAnswer() {
    if (!this.possible) return false;
    const unanswered = this.log.sent - this.#received;
    return unanswered > ANSWERED_EVERY_S * this.rate || this.log.awaitsAnswer;
  }

  // From the server

  /**
   * Continues with a new stream of a server, whose first message is `ready`; returns the messages
   * to deliver.
   * @param {Message} ready
   */
  beginAnew(ready) {
    if (this.possible) this.timeline.beginAnew();
    const told = this.receive(ready);
    this.log.beginAnew(this.timeline.known);
    return told;
  }

  /**
   * Continues with the stream that the server still has; returns the messages to deliver.
   * @param {Message} ready
   */
  resume(ready) {
    const told = this.receive(ready);
    this.log.resumeAt(this.#received);
    return told;
  }

  /**
   * Takes a message of the current server stream; returns the messages that can be delivered.
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

  /** Returns the messages that were held back, because no server will transcribe them again. */
  release() {
    return this.#numbered(this.timeline.release());
  }

  /**
   * Returns whether the server ended the stream after all audio and all requests: after the
   * application's `end`, with all audio received and all marks answered.
   * @param {Message} ended
   */
  isComplete(ended) {
    const askedAt = this.log.endAskedAt;
    const received = this.timeline.base + ended.received;
    return this.possible && askedAt !== null && received >= askedAt && !this.log.awaitsMark;
  }

  /**
   * Returns whether there is audio that the server did not receive before this `ended`.
   * @param {Message} ended
   */
  hasMore(ended) {
    return this.log.end > this.timeline.base + ended.received;
  }

  /**
   * Stores the changed settings that are in force, for the start of a new stream.
   * @param {Record<string, any>} inForce
   */
  #noteSettings(inForce) {
    for (const name of this.#changed) {
      if (name in inForce) this.settings[name] = inForce[name];
    }
    this.timeline.endpointingMs = inForce.endpointing_ms ?? this.timeline.endpointingMs;
  }

  /**
   * Returns messages with consecutive numbers, without marks that were delivered before.
   * @param {Message[]} messages
   */
  #numbered(messages) {
    // A request that was sent on two connections is answered on both.
    const fresh = messages.filter(({ type, id }) => type !== "mark" || this.log.answer(id));
    return fresh.map((message) => ({ ...message, seq: (this.#told += 1) }));
  }
}
