// Captures the microphone as frames of mono 16-bit samples, through an AudioWorklet.

import { Problem } from "./errors.js";

const HIGHEST_RATE = 48_000; // Hz, the highest of the protocol
const FLUSH_MS = 2_000; // an audio context that the system has suspended does not answer

/** @type {Record<string, string>} */
const PROBLEMS = {
  NotAllowedError: "denied",
  SecurityError: "denied",
  NotFoundError: "no_device",
  OverconstrainedError: "no_device",
  NotReadableError: "device_busy",
  AbortError: "device_busy",
};

/**
 * Filters that are made for calls cost words, because models are trained on unfiltered speech: both
 * are off by default.
 * @typedef {object} MicrophoneOptions
 * @property {string} [deviceId] a device of `Microphone.list`; the browser's choice by default
 * @property {boolean} [echoCancellation]
 * @property {boolean} [noiseSuppression]
 * @property {string | URL} [worklet] address of capture-worklet.js (with mixdown.js beside it), if a
 *   bundler has moved it
 */

/** @typedef {(samples: Int16Array, peak: number) => void} OnFrame about 40 ms; the peak is 0 to 1 */

export class Microphone {
  /** @type {((value?: unknown) => void)[]} calls that wait for the remaining samples, in order */
  #asked = [];
  #paused = false;
  /** @type {Promise<void> | null} */
  #closed = null;
  /** @type {MediaStream | null} */
  #source = null;
  /** @type {AudioContext | null} */
  #context = null;
  /** @type {AudioWorkletNode | null} */
  #capture = null;

  /**
   * Asks for the microphone and opens it; rejects with a `Problem`.
   * @param {MicrophoneOptions & { onFrame: OnFrame, onLost: () => void }} options
   */
  static async open({
    onFrame,
    onLost,
    deviceId = "",
    echoCancellation = false,
    noiseSuppression = false,
    worklet = new URL("capture-worklet.js", import.meta.url),
  }) {
    if (!window.isSecureContext || !navigator.mediaDevices) throw new Problem("insecure");
    if (!window.AudioWorkletNode) throw new Problem("no_capture");
    const microphone = new Microphone();
    // Two channels, because the browser's mix of channels of opposite polarity is silence.
    /** @type {MediaTrackConstraints} */
    const wish = { channelCount: { ideal: 2 }, echoCancellation, noiseSuppression };
    if (deviceId) wish.deviceId = { exact: deviceId };
    try {
      await microphone.#open(wish, worklet, onFrame, onLost);
    } catch (error) {
      await microphone.close();
      throw error instanceof Problem ? error : new Problem("no_capture");
    }
    return microphone;
  }

  /** Returns the microphones as { id, name }; names are empty until the user has allowed one. */
  static async list() {
    const devices = (await navigator.mediaDevices?.enumerateDevices()) ?? [];
    return devices
      .filter(({ kind, deviceId }) => kind === "audioinput" && deviceId !== "default")
      .map(({ deviceId, label }) => ({ id: deviceId, name: label }));
  }

  /**
   * @param {MediaTrackConstraints} audio
   * @param {string | URL} worklet
   * @param {OnFrame} onFrame
   * @param {() => void} onLost
   */
  async #open(audio, worklet, onFrame, onLost) {
    const source = await navigator.mediaDevices.getUserMedia({ audio }).catch((error) => {
      throw new Problem(PROBLEMS[error.name] ?? "no_capture");
    });
    this.#source = source;
    source.getAudioTracks()[0].onended = onLost;

    let context = new AudioContext();
    if (context.sampleRate > HIGHEST_RATE) {
      context.close();
      context = new AudioContext({ sampleRate: HIGHEST_RATE });
    }
    this.#context = context;
    await context.audioWorklet.addModule(worklet).catch(() => {
      throw new Problem("away"); // the worklet's file comes from the server
    });
    const capture = new AudioWorkletNode(context, "capture", { channelCountMode: "max" });
    this.#capture = capture;
    capture.port.onmessage = ({ data }) => {
      if (data.audio.byteLength) onFrame(new Int16Array(data.audio), data.peak);
      if (data.last) this.#asked.shift()?.();
    };
    context.createMediaStreamSource(source).connect(capture);
    capture.connect(context.destination); // it outputs silence; a node that is not connected may not run
    await context.resume();
  }

  /** Hertz. */
  get sampleRate() {
    return this.#context?.sampleRate ?? 0;
  }

  /** Stops recording until `resume`, and delivers the audio that was recorded before. */
  async pause() {
    this.#paused = true;
    await this.#ask("pause");
    this.#enable(!this.#paused); // `resume` may have been called meanwhile
  }

  resume() {
    this.#paused = false;
    this.#enable(true);
    this.#capture?.port.postMessage("resume");
  }

  /** Delivers the recorded audio, then releases the device; nothing is delivered afterwards. */
  close() {
    return (this.#closed ??= this.#close());
  }

  async #close() {
    if (this.#capture) {
      await this.#ask("end");
      this.#capture.port.onmessage = null;
      this.#capture = null;
    }
    for (const track of this.#source?.getTracks() ?? []) {
      track.onended = null;
      track.stop();
    }
    if (this.#context && this.#context.state !== "closed") await this.#context.close();
  }

  /** @param {boolean} on */
  #enable(on) {
    for (const track of this.#source?.getTracks() ?? []) track.enabled = on;
  }

  /** @param {"pause" | "end"} what */
  #ask(what) {
    return new Promise((resolve) => {
      this.#asked.push(resolve);
      setTimeout(resolve, FLUSH_MS);
      this.#capture?.port.postMessage(what);
    });
  }
}
