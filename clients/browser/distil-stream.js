// Captions of the microphone or of a file, for any page:
//
//   import { DistilStream } from "./distil-stream.js";
//
//   const stream = new DistilStream({
//     url: "wss://captions.example/v1/stream",
//     settings: { language: "en" },           // fields of the protocol's `start`
//     microphone: { deviceId: "", echoCancellation: false, noiseSuppression: false },
//     onPartial: ({ utterance, committed, tentative }) => {},
//     onFinal: ({ utterance, text, words }) => {},
//     onLevel: (peak) => {},                  // 0..1, about 25 times a second
//     onState: (state, ms) => {},             // "live", "waiting" (comes back in ms), "full": paused
//     onEvent: (message) => {},               // every message of the server, these included
//   });
//   await stream.start();                     // throws a Problem: `code` and `message`
//   await stream.pause();                     // and stream.resume()
//   await stream.stop();                      // when the last final has come
//   const problem = await stream.finished;    // null where all went well
//
// A file in place of the microphone: `stream.start(file)`. A connection that breaks is opened again
// by itself; what is said meanwhile is kept, and nothing is lost or doubled. When more than `keepS`
// seconds (300, unless told) wait for their captions, because the server is away or too slow, the
// stream pauses and says "full"; `resume()` goes on.

import { Link } from "./link.js";
import { Microphone } from "./microphone.js";
import { Problem } from "./problem.js";
import { decode, RECORDING_RATE } from "./recording.js";
import { Tape } from "./tape.js";

export { Microphone, Problem };

/** One stream, from its start to its end; make a new one for the next. */
export class DistilStream {
  #finish;

  constructor({
    url, settings = {}, microphone = {}, keepS = 300, onPartial, onFinal, onLevel, onState, onEvent,
  }) {
    Object.assign(this, { url, settings, keepS, onLevel, onState, onEvent });
    this.wish = microphone;
    this.handlers = { partial: onPartial, final: onFinal };
    this.tape = new Tape();
    this.sampleRate = RECORDING_RATE;
    this.stopping = false;
    this.paused = false;
    /** Resolves when the stream is over: with null, or with the `Problem` that ended it. */
    this.finished = new Promise((resolve) => (this.#finish = resolve));
  }

  /** Opens the microphone, or the file, and the stream; resolves when the server is ready. */
  async start(file = null) {
    try {
      if (file) this.tape.append(await decode(file));
      else await this.#openMicrophone();
    } catch (problem) {
      this.#finish(problem);
      throw problem;
    }
    if (this.stopping) {
      await this.microphone?.close();
      this.#finish(this.problem);
      return;
    }
    await new Promise((resolve, reject) => this.#open(resolve, reject, file));
  }

  /** Seconds heard so far. */
  get elapsed() {
    return this.tape.end / this.sampleRate;
  }

  /** Seconds whose captions are final. */
  get settled() {
    return (this.link?.timeline.settled ?? 0) / this.sampleRate;
  }

  /** Hears nothing until `resume`; the captions of what was said come at once. */
  async pause() {
    if (this.paused || this.stopping || !this.microphone) return;
    this.paused = true;
    await this.microphone.pause();
    this.link?.ask({ type: "finalize", mark: this.tape.end });
  }

  resume() {
    if (!this.paused || this.stopping) return;
    this.paused = false;
    this.full = false;
    this.microphone.resume();
  }

  /** Changes language, keyterms, prompt … from here on. */
  configure(changes) {
    if (this.link) this.link.ask({ type: "configure", ...changes });
    else this.settings = { ...this.settings, ...changes };
  }

  /** Stops listening; resolves when the captions of all that was said have come. */
  async stop() {
    await this.#end(null);
    await this.finished;
  }

  /** Ends it here and now, whatever is missing. */
  abandon() {
    this.stopping = true;
    this.microphone?.close();
    if (this.link) this.link.close(new Problem("unfinished"));
    else this.#finish(null);
  }

  async #openMicrophone() {
    this.microphone = await Microphone.open({
      ...this.wish,
      onFrame: (samples, peak) => this.#onFrame(samples, peak),
      onLost: () => this.#end(new Problem("device_lost")),
    });
    this.sampleRate = this.microphone.sampleRate;
  }

  #open(resolve, reject, file) {
    this.link = new Link({
      url: this.url,
      settings: this.settings,
      sampleRate: this.sampleRate,
      tape: this.tape,
      onEvent: (message) => {
        if (message.type === "ready") resolve();
        this.handlers[message.type]?.(message);
        this.onEvent?.(message);
      },
      onState: (state, ms) => this.onState?.(state, ms),
    });
    this.link.finished.then(async (problem) => {
      await this.microphone?.close();
      const outcome = problem ?? this.problem ?? null;
      this.#finish(outcome);
      if (outcome) reject(outcome);
      else resolve();
    });
    if (file) this.link.end();
    this.link.open();
  }

  async #end(problem) {
    if (this.stopping) return;
    this.stopping = true;
    this.problem = problem;
    await this.microphone?.close();
    if (this.link) this.link.end();
    else if (this.microphone) this.#finish(problem);
  }

  #onFrame(samples, peak) {
    this.onLevel?.(peak);
    this.tape.append(samples);
    this.link?.pump();
    const kept = (this.tape.end - this.tape.start) / this.sampleRate;
    if (kept > this.keepS && !this.full) {
      this.full = true;
      this.pause();
      this.onState?.("full");
    }
  }
}
