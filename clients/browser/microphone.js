// Captures the microphone as frames of mono 16-bit samples, through an AudioWorklet.

import { Problem } from "./problem.js";

const HIGHEST_RATE = 48_000; // Hz, the highest of the protocol
const FLUSH_MS = 2_000; // an audio context that the system has suspended does not answer

const PROBLEMS = {
  NotAllowedError: "denied",
  SecurityError: "denied",
  NotFoundError: "no_device",
  OverconstrainedError: "no_device",
  NotReadableError: "device_busy",
  AbortError: "device_busy",
};

export class Microphone {
  #asked = []; // resolve functions of the calls that wait for the remaining samples, in order
  #paused = false;
  #closed = null;

  /**
   * Asks for the microphone and opens it. `onFrame(samples, peak)`: an Int16Array, and 0..1.
   * Filters that are made for calls cost words, because models are trained on unfiltered speech:
   * both are off by default.
   */
  static async open({
    onFrame, onLost, deviceId = "", echoCancellation = false, noiseSuppression = false,
  }) {
    if (!window.isSecureContext || !navigator.mediaDevices) throw new Problem("insecure");
    if (!window.AudioWorkletNode) throw new Problem("no_capture");
    const microphone = new Microphone();
    // Two channels, because the browser's mix of channels of opposite polarity is silence.
    const wish = { channelCount: { ideal: 2 }, echoCancellation, noiseSuppression };
    if (deviceId) wish.deviceId = { exact: deviceId };
    try {
      await microphone.#open(wish, onFrame, onLost);
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

  async #open(audio, onFrame, onLost) {
    this.source = await navigator.mediaDevices.getUserMedia({ audio }).catch((error) => {
      throw new Problem(PROBLEMS[error.name] ?? "no_capture");
    });
    this.source.getAudioTracks()[0].onended = onLost;

    this.context = new AudioContext();
    if (this.context.sampleRate > HIGHEST_RATE) {
      this.context.close();
      this.context = new AudioContext({ sampleRate: HIGHEST_RATE });
    }
    const worklet = new URL("capture-worklet.js", import.meta.url);
    await this.context.audioWorklet.addModule(worklet).catch(() => {
      throw new Problem("away"); // the worklet's file comes from the server
    });
    this.capture = new AudioWorkletNode(this.context, "capture", { channelCountMode: "max" });
    this.capture.port.onmessage = ({ data }) => {
      if (data.audio.byteLength) onFrame(new Int16Array(data.audio), data.peak);
      if (data.last) this.#asked.shift()();
    };
    this.context.createMediaStreamSource(this.source).connect(this.capture);
    this.capture.connect(this.context.destination); // it outputs silence; a node that is not connected may not run
    await this.context.resume();
  }

  /** Hertz. */
  get sampleRate() {
    return this.context.sampleRate;
  }

  /** Stops recording until `resume`, and delivers the audio that was recorded before. */
  async pause() {
    this.#paused = true;
    await this.#ask("pause");
    for (const track of this.source.getTracks()) track.enabled = !this.#paused; // `resume` may have been called meanwhile
  }

  resume() {
    this.#paused = false;
    for (const track of this.source.getTracks()) track.enabled = true;
    this.capture?.port.postMessage("resume");
  }

  /** Delivers the recorded audio, then releases the device; nothing is delivered afterwards. */
  close() {
    return (this.#closed ??= this.#close());
  }

  async #close() {
    if (this.capture) {
      await this.#ask("end");
      this.capture.port.onmessage = null;
      this.capture = null;
    }
    for (const track of this.source?.getTracks() ?? []) {
      track.onended = null;
      track.stop();
    }
    if (this.context && this.context.state !== "closed") await this.context.close();
  }

  #ask(what) {
    return new Promise((resolve) => {
      this.#asked.push(resolve);
      setTimeout(resolve, FLUSH_MS);
      this.capture?.port.postMessage(what);
    });
  }
}
