// Presents several streams of the server to the application as one.
//
// A server that no longer has a stream receives the unsettled audio as a new stream, and counts
// samples, seconds and utterances from the beginning of that one. A `Timeline` adds the offsets
// that make these counts continue.
//
// It also holds finals back. A final is not settled until the `progress` after it has arrived: if
// the server changes before that, its audio is sent again, and its words would be shown twice. So a
// final is released together with the `progress` after it. A final that was cut off in the middle
// of speech without a request is held back until the server has received more audio. The reason: a
// server that is being stopped receives no more audio and may cut a word in two, and the next
// server recognises the whole word.

/** Seconds before the end of an utterance that was cut off in which words may be missing. */
const CUT_OFF_S = 1;

/** @typedef {import("./unsettled.js").Message} Message */

/** Takes the messages of consecutive server streams, and returns those that can be delivered. */
export class Timeline {
  /** @type {Message[]} */
  #held = [];
  #rate;
  /** @type {Map<number, number>} the last utterance of each channel */
  #utterances = new Map();
  /** @type {Map<number, number>} */
  #utterancesBefore = new Map();
  #finals = 0;
  #finalsBefore = 0;
  #speechS = 0;
  #speechBeforeS = 0;

  /**
   * @param {number} sampleRate
   * @param {number} endpointingMs
   */
  constructor(sampleRate, endpointingMs = 500) {
    this.#rate = sampleRate;
    /** Milliseconds of silence that end an utterance; with less, the utterance was cut off. */
    this.endpointingMs = endpointingMs;
    /** Whether a request of the client cuts off the current utterance. */
    this.cutAsked = false;
    /** All audio before this sample is in a final that was released, or holds no speech. */
    this.settled = 0;
    /**
     * By channel, the sample up to which its released finals reach.
     * @type {Map<number, number>}
     */
    this.known = new Map();
    /** The `seq` of the last message of the current server stream, as the server counts. */
    this.lastSeq = 0;
    /** The sample at which the current server stream begins. */
    this.base = 0;
  }

  /** Continues with a new stream that begins at `settled`; drops the messages held back. */
  beginAnew() {
    this.#held = [];
    this.base = this.settled;
    this.lastSeq = 0;
    this.#utterancesBefore = new Map(this.#utterances);
    this.#finalsBefore = this.#finals;
    this.#speechBeforeS = this.#speechS;
  }

  /**
   * Takes a message of the current server stream; returns the messages that can be delivered.
   * @param {Message} message
   */
  receive(message) {
    this.lastSeq = message.seq || this.lastSeq;
    if (message.type === "speech_started") this.cutAsked = false;
    this.#held.push(this.#onTheWhole(message));
    return message.type === "ended" || this.#mayBeTold() ? this.release() : [];
  }

  /** Returns the messages held back, and counts them as delivered. */
  release() {
    const told = this.#held;
    this.#held = [];
    for (const message of told) {
      const { type } = message;
      if (type === "progress" || type === "ended") {
        this.settled = Math.max(this.settled, message.settled);
      }
      if (type === "partial" || type === "final") this.#forgetFrom(message);
      if (type !== "final") continue;
      this.#utterances.set(message.channel, message.utterance);
      this.known.set(message.channel, Math.round(this.#knownUntilS(message) * this.#rate));
      this.#finals += 1;
      this.#speechS += message.end - message.start;
    }
    return told;
  }

  /**
   * Returns whether the messages held back are settled, so that they can be delivered. They are if
   * no other server could be sent their audio again, or recognise it better.
   */
  #mayBeTold() {
    const cutOff = this.#held.findLastIndex((message) => this.#wasCutOff(message));
    if (cutOff >= 0) {
      const after = this.#held.slice(cutOff);
      const received = after.filter(({ type }) => type === "progress").map((m) => m.received);
      const askedFor = after.at(-1)?.type === "mark"; // a mark follows the finals of a `finalize`
      return received.length > 0 && (received.at(-1) > received[0] || askedFor);
    }
    return !this.#held.some(({ type }) => type === "final") || this.#held.at(-1)?.type === "progress";
  }

  /** @param {Message} message */
  #wasCutOff({ type, latency }) {
    return type === "final" && !this.cutAsked && (latency?.endpoint_ms ?? 0) < this.endpointingMs;
  }

  /**
   * Returns the time in seconds up to which a final has all words. It is before the end of a final
   * that was cut off, because the last word may be missing.
   * @param {Message} final
   */
  #knownUntilS(final) {
    if (!this.#wasCutOff(final)) return final.end;
    if (final.words?.length) return final.words.at(-1).end;
    return Math.max(final.start, final.end - CUT_OFF_S);
  }

  /**
   * Lowers `known` to the start of the message, if that is earlier: its words are new.
   * @param {Message} message
   */
  #forgetFrom({ channel, start }) {
    const known = this.known.get(channel) ?? 0;
    this.known.set(channel, Math.min(known, Math.round(start * this.#rate)));
  }

  /**
   * Returns the message with the counts of the server stream converted to the whole timeline.
   * @param {Message} message
   * @returns {Message}
   */
  #onTheWhole(message) {
    const seconds = this.base / this.#rate;
    const utterance = this.#utterancesBefore.get(message.channel) ?? 0;
    switch (message.type) {
      case "ready":
        return moved(message, { received: this.base });
      case "speech_started":
      case "speech_ended":
        return moved(message, { time: seconds, utterance });
      case "gap":
        return moved(message, { time: seconds });
      case "partial":
      case "final": {
        const whole = moved(message, { start: seconds, end: seconds, utterance });
        const later = (/** @type {object} */ word) => moved(word, { start: seconds, end: seconds });
        return message.words ? { ...whole, words: message.words.map(later) } : whole;
      }
      case "progress":
        return moved(message, { received: this.base, settled: this.base });
      case "ended":
        return moved(message, {
          received: this.base,
          settled: this.base,
          finals: this.#finalsBefore,
          speech_s: this.#speechBeforeS,
        });
    }
    return message;
  }
}

/**
 * Returns a copy of an object with the named fields increased, rounded to three decimals.
 * @template {Record<string, any>} T
 * @param {T} item
 * @param {Record<string, number>} by
 * @returns {T}
 */
function moved(item, by) {
  if (!Object.values(by).some(Boolean)) return item;
  const grown = Object.entries(by).map(([name, amount]) => [
    name,
    Math.round(((item[name] ?? 0) + amount) * 1000) / 1000,
  ]);
  return { ...item, ...Object.fromEntries(grown) };
}
