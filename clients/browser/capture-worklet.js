// Turns the microphone into frames for the wire: mono, 16-bit, about 40 ms each, at the rate of
// the audio context. "pause" and "end" request the remaining samples; `last` marks them.

const FRAME_S = 0.04;

class Capture extends AudioWorkletProcessor {
  constructor() {
    super();
    this.frame = new Int16Array(Math.round(sampleRate * FRAME_S));
    this.filled = 0;
    this.peak = 0;
    this.paused = false;
    this.ended = false;
    this.port.onmessage = ({ data }) => {
      if (data !== "resume" && !this.paused) this.send(true);
      else if (data !== "resume") this.port.postMessage({ audio: new ArrayBuffer(0), last: true });
      this.paused = data !== "resume";
      this.ended = data === "end";
    };
  }

  process([[samples]]) {
    if (this.ended) return false;
    if (this.paused) return true;
    // There are no samples if the device was removed, or has not started.
    for (const sample of samples ?? []) {
      const clipped = Math.max(-1, Math.min(1, sample));
      this.frame[this.filled++] = Math.round(clipped * 32767);
      this.peak = Math.max(this.peak, Math.abs(clipped));
      if (this.filled === this.frame.length) this.send(false);
    }
    return true;
  }

  send(last) {
    const audio = this.frame.slice(0, this.filled).buffer;
    this.port.postMessage({ audio, peak: this.peak, last }, [audio]);
    this.filled = 0;
    this.peak = 0;
  }
}

registerProcessor("capture", Capture);
