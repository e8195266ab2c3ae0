// The microphone as frames of mono 16-bit samples, through an AudioWorklet.

import { Problem } from "./problem.js";

const HIGHEST_RATE = 48_000; // Hz, the protocol's
const FLUSH_MS = 500; // an audio context that the system has suspended never answers

const PROBLEMS = {
  NotAllowedError: "denied",
  SecurityError: "denied",
  NotFoundError: "no_device",
  OverconstrainedError: "no_device",
  NotReadableError: "device_busy",
  AbortError: "device_busy",
};

export class Microphone {
  /** Ask for the microphone and open it. `onFrame(audio, peak)`: an ArrayBuffer, and 0..1. */
  static async open({ onFrame, onLost }) {
    if (!window.isSecureContext || !navigator.mediaDevices) throw new Problem("insecure");
    if (!window.AudioWorkletNode) throw new Problem("no_capture");
    const microphone = new Microphone();
    try {
      await microphone.#open(onFrame, onLost);
    } catch (error) {
      await microphone.close();
      throw error instanceof Problem ? error : new Problem("no_capture");
    }
    return microphone;
  }

  async #open(onFrame, onLost) {
    // Models learn from plain recordings: filters made for calls only cost them words.
    const audio = { channelCount: 1, echoCancellation: false, noiseSuppression: false };
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
      throw new Problem("away"); // Its file comes from the server.
    });
    const options = { channelCount: 1, channelCountMode: "explicit" };
    this.capture = new AudioWorkletNode(this.context, "capture", options);
    this.capture.port.onmessage = ({ data }) => {
      if (data.audio.byteLength) onFrame(data.audio, data.peak);
      if (data.last) this.flushed();
    };
    this.context.createMediaStreamSource(this.source).connect(this.capture);
    this.capture.connect(this.context.destination); // It is silent; unconnected it may not run.
    await this.context.resume();
  }

  /** Hertz. */
  get sampleRate() {
    return this.context.sampleRate;
  }

  /** Deliver what was heard up to now, and let the device go. */
  async close() {
    if (this.capture) {
      await new Promise((resolve) => {
        this.flushed = resolve;
        setTimeout(resolve, FLUSH_MS);
        this.capture.port.postMessage("flush");
      });
      this.capture = null;
    }
    for (const track of this.source?.getTracks() ?? []) {
      track.onended = null;
      track.stop();
    }
    if (this.context && this.context.state !== "closed") await this.context.close();
  }
}
