// Turns the microphone into frames for the wire: mixed to one channel, 16-bit, about 40 ms each, at
// the rate of the audio context. "pause" and "end" ask for the samples that are left; `last` marks them.

import { Mixdown } from "./mixdown.js";

const FRAME_S = 0.04;

class Capture extends AudioWorkletProcessor {
  constructor() {
    super();
    this.frame = new Int16Array(Math.round(sampleRate * FRAME_S));
    this.filled = 0;
    this.peak = 0;
    this.mixdown = null;
    this.paused = false;
    this.ended = false;
    this.port.onmessage = ({ data }) => {
      if (data !== "resume" && !this.paused) {
        if (this.mixdown) this.add(this.mixdown.flush());
        this.send(true);
      } else if (data !== "resume") this.port.postMessage({ audio: new ArrayBuffer(0), last: true });
      this.paused = data !== "resume";
      this.ended = data === "end";
    };
  }

  process([channels]) {
    if (this.ended) return false;
    // There are no channels if the device is gone, or has not started.
    if (this.paused || !channels.length) return true;
    if (this.mixdown?.channels !== channels.length) {
      if (this.mixdown) this.add(this.mixdown.flush());
      this.mixdown = new Mixdown(channels.length, sampleRate);
    }
    this.add(this.mixdown.feed(channels));
    return true;
  }

  add(samples) {
    for (const sample of samples) {
      const clipped = Math.max(-1, Math.min(1, sample));
      this.frame[this.filled++] = Math.round(clipped * 32767);
      this.peak = Math.max(this.peak, Math.abs(clipped));
      if (this.filled === this.frame.length) this.send(false);
    }
  }

  send(last) {
    const audio = this.frame.slice(0, this.filled).buffer;
    this.port.postMessage({ audio, peak: this.peak, last }, [audio]);
    this.filled = 0;
    this.peak = 0;
  }
}

registerProcessor("capture", Capture);
