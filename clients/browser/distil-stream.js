// Captions of the microphone or of a file, for any page:
//
//   import { DistilStream } from "./distil-stream.js";
//
//   const stream = new DistilStream({
//     url: "wss://captions.example/v1/stream",
//     settings: { language: "en" },           // fields of the protocol's `start`
//     microphone: { deviceId: "", echoCancellation: false, noiseSuppression: false },
//     onPartial: ({ utterance, committed, tentative }) => {},
//     onFinal: ({ utterance, text, words, problems }) => {}, // problems: why words were removed
//     onLevel: (peak) => {},                  // 0..1, about 25 times a second
//     onState: (state, ms) => {},             // "live", "waiting" (reconnects in ms), "full" (paused)
//     onEvent: (message) => {},               // every message of the server, these included
//   });
//   await stream.start();                     // throws a Problem: `code` and `message`
//   await stream.pause();                     // and stream.resume()
//   stream.configure({ language: "de" });     // from here on, if the server accepts it
//   await stream.stop();                      // resolves when the last final has come
//   const problem = await stream.finished;    // null if there was none
//
// `stream.start(file)` transcribes a file instead of the microphone. A connection that breaks is
// opened again; audio is stored meanwhile, and no word is lost or doubled. When more than `keepS`
// seconds of audio (300 by default) wait for their captions, because the server is unreachable or
// too slow, the stream pauses and its state is "full"; `resume()` continues it.

import { Link } from "./link.js";
import { Microphone } from "./microphone.js";
import { Problem } from "./problem.js";
import { decode, RECORDING_RATE } from "./recording.js";

export { Microphone, Problem };

const LIVE_SILENT_S = 6; // seconds without an answer after which a live connection counts as lost,
const FILE_SILENT_S = 15; // and one over which a whole file was sent

/** One stream, from its start to its end. */
export class DistilStream {
  #finish;
  /** @type {Int16Array[]} audio from before there was a link */
  #early = [];

  constructor({
    url, settings = {}, microphone = {}, keepS = 300, onPartial, onFinal, onLevel, onState, onEvent,
  }) {
    Object.assign(this, { url, settings, keepS, onLevel, onState, onEvent });
    this.wish = microphone;
    this.handlers = { partial: onPartial, final: onFinal };
    this.sampleRate = RECORDING_RATE;
    this.stopping = false;
    this.paused = false;
    /** Resolves when the stream is over: with null, or with the `Problem` that ended it. */
    this.finished = new Promise((resolve) => (this.#finish = resolve));
  }

  /** Opens the microphone or the file, and the stream; resolves when the server is ready. */
  async start(file = null) {
    try {
      if (file) this.#early.push(await decode(file));
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

  /** Seconds recorded so far. */
  get elapsed() {
    const early = this.#early.reduce((sum, samples) => sum + samples.length, 0);
    return (early + (this.link?.taken ?? 0)) / this.sampleRate;
  }

  /** Seconds whose captions are final. */
  get settled() {
    return (this.link?.settled ?? 0) / this.sampleRate;
  }

  /** Stops recording until `resume`; the captions of the audio so far become final at once. */
  async pause() {
    if (this.paused || this.stopping || !this.microphone) return;
    this.paused = true;
    await this.microphone.pause();
    this.link?.ask({ type: "finalize", mark: this.link.taken });
  }

  resume() {
    if (!this.paused || this.stopping) return;
    this.paused = false;
    this.full = false;
    this.microphone.resume();
  }

  /** Changes language, keyterms, prompt … for later audio, if the server accepts the change. */
  configure(changes) {
    if (this.link) this.link.ask({ type: "configure", ...changes });
    else this.settings = { ...this.settings, ...changes };
  }

  /** Stops recording; resolves when all captions have arrived. */
  async stop() {
    await this.#end(null);
    await this.finished;
  }

  /** Ends the stream at once, without waiting for captions. */
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
      settings: { encoding: "pcm_s16le", sample_rate: this.sampleRate, ...this.settings },
      silentS: file ? FILE_SILENT_S : LIVE_SILENT_S,
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
    for (const samples of this.#early.splice(0)) this.link.send(samples);
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
    if (!this.link) {
      this.#early.push(samples);
      return;
    }
    this.link.send(samples);
    if (this.link.kept / this.sampleRate > this.keepS && !this.full) {
      this.full = true;
      this.pause();
      this.onState?.("full");
    }
  }
}
