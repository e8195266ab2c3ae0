// Several streams to the server, told as one.
//
// A server that has forgotten a stream is sent the audio that was not settled in a new one, which
// counts seconds, samples and utterances from the beginning. Here they go on counting. A final is
// held back until the `progress` behind it says that it is settled: until then it would come again.
// One that was cut off in mid-speech, though nobody asked for it, waits until the server has taken
// more audio: one that goes away takes none, and cuts words in two that the next one hears whole.

export class Timeline {
  #held = [];
  #utterances = 0; // finals told
  #utterancesBefore = 0;
  #finals = 0;

  constructor(sampleRate, endpointingMs = 500) {
    this.rate = sampleRate;
    this.endpointingMs = endpointingMs;
    this.base = 0; // the sample at which the stream of now begins
    this.settled = 0; // everything before is in a final that was told, or holds no speech
    this.lastSeq = 0;
    this.cutAsked = false;
  }

  beginAnew() {
    this.#held = [];
    this.base = this.settled;
    this.lastSeq = 0;
    this.#utterancesBefore = this.#utterances;
  }

  /** Takes a message of the server; returns those that may be told. */
  receive(message) {
    this.lastSeq = message.seq ?? this.lastSeq;
    if (message.type === "speech_started") this.cutAsked = false;
    this.#held.push(this.#onTheWhole(message));
    return message.type === "ended" || this.#mayBeTold() ? this.#release() : [];
  }

  /** Whether what is held back will neither come again nor be heard better. */
  #mayBeTold() {
    const cutOff = this.#held.findLastIndex((message) => this.#wasCutOff(message));
    if (cutOff >= 0) {
      const after = this.#held.slice(cutOff);
      const received = after.filter(({ type }) => type === "progress").map((m) => m.received);
      const askedFor = after.at(-1).type === "mark"; // comes behind the finals of a `finalize`
      return received.length > 0 && (received.at(-1) > received[0] || askedFor);
    }
    return !this.#held.some(({ type }) => type === "final") || this.#held.at(-1).type === "progress";
  }

  #wasCutOff({ type, latency }) {
    return type === "final" && !this.cutAsked && latency.endpoint_ms < this.endpointingMs;
  }

  #release() {
    const told = this.#held;
    this.#held = [];
    for (const message of told) {
      if (message.type === "final") {
        this.#utterances = message.utterance;
        this.#finals += 1;
      }
      if ("settled" in message) this.settled = Math.max(this.settled, message.settled);
      if (message.type === "ended") message.finals = this.#finals;
    }
    return told;
  }

  #onTheWhole(message) {
    const seconds = this.base / this.rate;
    const moved = { ...message };
    for (const field of ["start", "end", "time"]) if (field in moved) moved[field] += seconds;
    for (const field of ["received", "settled"]) if (field in moved) moved[field] += this.base;
    if ("utterance" in moved) moved.utterance += this.#utterancesBefore;
    moved.words = message.words?.map((word) => ({
      ...word,
      start: word.start + seconds,
      end: word.end + seconds,
    }));
    return moved;
  }
}
