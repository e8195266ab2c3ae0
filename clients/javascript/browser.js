// Captions of the microphone or of a file, for any page:
//
//   import { DistilStream } from "distil-stream-client/browser";
//
//   const stream = new DistilStream({
//     server: "https://captions.example",       // the page's own server by default
//     token: () => fetch("/my-token").then((answer) => answer.text()),
//     settings: { language: "en" },             // fields of the protocol's `start`
//     onPartial: ({ utterance, committed, tentative }) => {},
//     onFinal: ({ utterance, text }) => {},
//   });
//   await stream.start();                       // throws a `Problem`: `code` and `message`
//   await stream.stop();                        // resolves when the last final has come
//
// `stream.start(file)` transcribes a file instead of the microphone. A connection that breaks is
// opened again; audio is stored meanwhile, and no word is lost or doubled. When more than `keepS`
// seconds of audio (300 by default) wait for their captions, because the server is unreachable or
// too slow, the stream pauses and its state is "full"; `resume()` continues it.

import { Driver } from "./driver.js";
import { Problem } from "./errors.js";
import { Microphone } from "./microphone.js";
import { decode, RECORDING_RATE } from "./recording.js";

export * from "./index.js";
export { Microphone };

const LIVE_SILENT_S = 6; // seconds without an answer after which a live connection counts as lost,
const FILE_SILENT_S = 15; // and one over which a whole file was sent

/** @typedef {import("./messages.js").ServerMessage} ServerMessage */

/**
 * @typedef {object} DistilStreamOptions
 * @property {string | URL} [server] address of the server; by default, the folder of the page
 * @property {import("./address.js").Token} [token] the key of the server, or a function that
 *   fetches one
 * @property {import("./messages.js").Settings} [settings] the fields of `start`
 * @property {import("./microphone.js").MicrophoneOptions} [microphone]
 * @property {number} [keepS] most seconds of audio that wait for their captions
 * @property {(partial: import("./messages.js").Partial) => void} [onPartial]
 * @property {(final: import("./messages.js").Final) => void} [onFinal]
 * @property {(peak: number) => void} [onLevel] the peak of each 40 ms of the microphone, 0 to 1
 * @property {(state: "live" | "waiting" | "full", ms?: number) => void} [onState] `waiting`: the
 *   connection was lost, and the next attempt is in `ms` milliseconds; `full`: recording is paused
 * @property {(message: ServerMessage) => void} [onEvent] every message of the server
 */

/** Captions of the microphone or of a file, from their start to their end. */
export class DistilStream {
  #options;
  #driver = /** @type {Driver | null} */ (null);
  #microphone = /** @type {Microphone | null} */ (null);
  #problem = /** @type {Problem | null} */ (null); // why the recording ended
  #full = false;
  /** @type {(problem: Problem | null) => void} */
  #finish = () => {};
  /** @type {Int16Array[]} audio from before the stream was opened */
  #early = [];

  /** @param {DistilStreamOptions} options */
  constructor(options = {}) {
    this.#options = options;
    this.keepS = options.keepS ?? 300;
    /** Hertz. */
    this.sampleRate = RECORDING_RATE;
    this.stopping = false;
    this.paused = false;
    /**
     * Resolves when the stream is over: with null, or with the `Problem` that ended it.
     * @type {Promise<Problem | null>}
     */
    this.finished = new Promise((resolve) => (this.#finish = resolve));
  }

  /**
   * Opens the microphone or the file, and the stream; resolves when the server is ready.
   * @param {Blob | null} file
   */
  async start(file = null) {
    try {
      if (file) this.#early.push(await decode(file));
      else await this.#openMicrophone();
      if (!this.stopping) await this.#open(file !== null);
    } catch (problem) {
      await this.#microphone?.close();
      this.#finish(/** @type {Problem} */ (problem));
      throw problem;
    }
    if (this.#driver) return;
    await this.#microphone?.close();
    this.#finish(this.#problem);
  }

  /** Whether there is a connection that carries audio. */
  get live() {
    return this.#driver?.live ?? false;
  }

  /** Seconds recorded so far. */
  get elapsed() {
    const early = this.#early.reduce((sum, samples) => sum + samples.length, 0);
    return (early + (this.#driver?.taken ?? 0)) / this.sampleRate;
  }

  /** Seconds whose captions are final. */
  get settled() {
    return (this.#driver?.settled ?? 0) / this.sampleRate;
  }

  /** Stops recording until `resume`; the captions of the audio so far become final at once. */
  async pause() {
    if (this.paused || this.stopping || !this.#microphone) return;
    this.paused = true;
    await this.#microphone.pause();
    this.#driver?.send({ type: "finalize", mark: this.#driver.taken });
  }

  resume() {
    if (!this.paused || this.stopping) return;
    this.paused = false;
    this.#full = false;
    this.#microphone?.resume();
  }

  /**
   * Changes language, keyterms, prompt … for later audio, if the server accepts the change.
   * @param {import("./messages.js").Changes} changes
   */
  configure(changes) {
    if (this.#driver) this.#driver.send({ type: "configure", ...changes });
    else this.#options = { ...this.#options, settings: { ...this.#options.settings, ...changes } };
  }

  /** Stops recording; resolves when all captions have arrived. */
  async stop() {
    await this.#end(null);
    await this.finished;
  }

  /** Ends the stream at once, without waiting for captions. */
  abandon() {
    this.stopping = true;
    this.#microphone?.close();
    if (this.#driver) this.#driver.close(new Problem("unfinished"));
    else this.#finish(null);
  }

  async #openMicrophone() {
    this.#microphone = await Microphone.open({
      ...this.#options.microphone,
      onFrame: (samples, peak) => this.#onFrame(samples, peak),
      onLost: () => this.#end(new Problem("device_lost")),
    });
    this.sampleRate = this.#microphone.sampleRate;
  }

  /**
   * Resolves when the server is ready, or when the stream is over without a problem.
   * @param {boolean} isFile
   */
  async #open(isFile) {
    const { server, token, settings, onState } = this.#options;
    /** @type {() => void} */
    let begun = () => {};
    const ready = new Promise((resolve) => (begun = () => resolve(null)));
    const driver = (this.#driver = new Driver(
      server ?? new URL(".", document.baseURI),
      { encoding: "pcm_s16le", sample_rate: this.sampleRate, ...settings },
      { token, reconnectS: Infinity, silentS: isFile ? FILE_SILENT_S : LIVE_SILENT_S, keepAlive: true },
      {
        onEvent: (message) => {
          if (message.type === "ready") begun();
          this.#deliver(message);
        },
        onState,
      },
    ));
    for (const samples of this.#early.splice(0)) driver.sendAudio(samples);
    if (isFile) driver.send({ type: "end" });
    const over = driver.finished.then(async (problem) => {
      await this.#microphone?.close();
      const outcome = problem ?? this.#problem;
      this.#finish(outcome);
      return outcome;
    });
    driver.open();
    const problem = await Promise.race([ready, over]);
    if (problem) throw problem;
  }

  /** @param {ServerMessage} message */
  #deliver(message) {
    const { onPartial, onFinal, onEvent } = this.#options;
    if (message.type === "partial") onPartial?.(message);
    if (message.type === "final") onFinal?.(message);
    onEvent?.(message);
  }

  /** @param {Problem | null} problem */
  async #end(problem) {
    if (this.stopping) return;
    this.stopping = true;
    this.#problem = problem;
    await this.#microphone?.close();
    if (this.#driver) this.#driver.send({ type: "end" });
    else if (this.#microphone) this.#finish(problem);
  }

  /**
   * @param {Int16Array} samples
   * @param {number} peak
   */
  #onFrame(samples, peak) {
    this.#options.onLevel?.(peak);
    if (!this.#driver) {
      this.#early.push(samples);
      return;
    }
    this.#driver.sendAudio(samples);
    if (this.#driver.kept / this.sampleRate > this.keepS && !this.#full) {
      this.#full = true;
      this.pause();
      this.#options.onState?.("full");
    }
  }
}
