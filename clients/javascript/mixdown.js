// Mixes several channels to one, so that what is in them never cancels: as `stream/core/mixdown.py`
// does, which explains it. It runs on the page and in an AudioWorklet.

const STEP_S = 0.02; // the signs are decided for so many seconds at once
const FADE_S = 0.01;
const MEMORY_S = 0.15; // over which channels are compared
const CLEAR = 0.6; // the correlation from which a channel has the same polarity
const AUDIBLE = 1e-7; // mean square: -70 dB of full scale

// The channels of a film in the order of Web Audio: left, right, centre, low effects, surround.
const FILM = { channels: 6, centre: 2, weights: [0.5, 0.5, 1, 0.25, 0.25, 0.25] };

export class Mixdown {
  #pending;
  #filled = 0;
  #correlations;
  /** @type {boolean[]} */
  #audible;
  /** @type {number[]} */
  #signs;
  /** @type {Float64Array | null} of each channel at the end of the last step */
  #gains = null;
  #order;

  /**
   * @param {number} channels
   * @param {number} rate hertz
   */
  constructor(channels, rate) {
    this.channels = channels;
    this.step = Math.round(STEP_S * rate);
    this.fade = Math.round(FADE_S * rate);
    this.memory = Math.exp(-STEP_S / MEMORY_S);
    this.centre = channels === FILM.channels ? FILM.centre : -1;
    this.#pending = Array.from({ length: channels }, () => new Float32Array(this.step));
    this.#correlations = Array.from({ length: channels }, () => new Float64Array(channels));
    this.#audible = new Array(channels).fill(false);
    this.#signs = new Array(channels).fill(1);
    const all = [...this.#signs.keys()];
    this.#order = all.sort((a, b) => Number(b === this.centre) - Number(a === this.centre));
  }

  /**
   * Takes samples of one length, one array for each channel; returns what is mixed by now.
   * @param {Float32Array[]} samples
   */
  feed(samples) {
    if (this.channels === 1) return samples[0].slice();
    const length = samples[0].length;
    const mixed = new Float32Array(Math.floor((this.#filled + length) / this.step) * this.step);
    let done = 0;
    for (let at = 0; at < length; ) {
      const taken = Math.min(length - at, this.step - this.#filled);
      for (let i = 0; i < this.channels; i++) {
        this.#pending[i].set(samples[i].subarray(at, at + taken), this.#filled);
      }
      at += taken;
      this.#filled += taken;
      if (this.#filled === this.step) {
        mixed.set(this.flush(), done);
        done += this.step;
      }
    }
    return mixed;
  }

  /** Returns the rest. */
  flush() {
    const mixed = new Float32Array(this.#filled);
    if (this.#filled) this.#mix(mixed);
    this.#filled = 0;
    return mixed;
  }

  /** @param {Float32Array} mixed */
  #mix(mixed) {
    this.#compare(mixed.length);
    const gains = this.#newGains();
    const before = this.#gains ?? gains;
    for (let n = 0; n < mixed.length; n++) {
      const part = Math.min((n + 1) / this.fade, 1);
      for (let i = 0; i < this.channels; i++) {
        mixed[n] += (before[i] + (gains[i] - before[i]) * part) * this.#pending[i][n];
      }
    }
    this.#gains = gains;
  }

  /** @param {number} length */
  #compare(length) {
    for (let i = 0; i < this.channels; i++) {
      for (let j = 0; j <= i; j++) {
        let sum = 0;
        for (let n = 0; n < length; n++) sum += this.#pending[i][n] * this.#pending[j][n];
        const correlation = this.memory * this.#correlations[i][j] + sum;
        this.#correlations[i][j] = this.#correlations[j][i] = correlation;
        if (i === j && sum > AUDIBLE * length) this.#audible[i] = true;
      }
    }
  }

  #newGains() {
    const weights = this.#weights();
    const gains = new Float64Array(this.channels);
    for (const channel of this.#order) {
      const own = this.#correlations[channel][channel];
      let power = 0; // of the mix of the channels before
      let agreement = 0;
      for (let i = 0; i < this.channels; i++) {
        agreement += gains[i] * this.#correlations[channel][i];
        for (let j = 0; j < this.channels; j++) power += gains[i] * gains[j] * this.#correlations[i][j];
      }
      const correlation = own > 0 && power > 0 ? agreement / Math.sqrt(own * power) : 0;
      if (Math.abs(correlation) > CLEAR) this.#signs[channel] = Math.sign(correlation);
      gains[channel] = weights[channel] * this.#signs[channel];
    }
    return gains;
  }

  #weights() {
    if (this.#audible[this.centre]) return FILM.weights;
    const loud = this.#audible.filter(Boolean).length;
    return this.#audible.map((audible) => (loud ? Number(audible) / loud : 1 / this.channels));
  }
}

/**
 * Mixes a whole recording: samples of one length, one array for each channel.
 * @param {Float32Array[]} channels
 * @param {number} rate hertz
 */
export function mixed(channels, rate) {
  const mixdown = new Mixdown(channels.length, rate);
  const most = mixdown.feed(channels);
  const rest = mixdown.flush();
  const all = new Float32Array(most.length + rest.length);
  all.set(most);
  all.set(rest, most.length);
  return all;
}
