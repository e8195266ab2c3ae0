// What was heard and may have to be sent again: 16-bit samples, counted from the first.

export class Tape {
  #pieces = [];

  constructor() {
    this.start = 0; // samples before are forgotten
    this.end = 0;
  }

  append(samples) {
    this.#pieces.push(samples);
    this.end += samples.length;
  }

  /** Forget whole pieces that lie before the sample. */
  forgetBefore(sample) {
    while (this.#pieces.length && this.start + this.#pieces[0].length <= sample) {
      this.start += this.#pieces.shift().length;
    }
  }

  /** Up to `most` samples from `from` on, as a view where one piece holds them. */
  read(from, most) {
    const wanted = Math.min(most, this.end - from);
    const found = [];
    let at = this.start;
    let missing = wanted;
    for (const piece of this.#pieces) {
      const skip = Math.max(0, from + wanted - missing - at);
      if (skip < piece.length && missing > 0) {
        found.push(piece.subarray(skip, skip + missing));
        missing -= found.at(-1).length;
      }
      at += piece.length;
      if (!missing) break;
    }
    if (found.length === 1) return found[0];
    const joined = new Int16Array(wanted);
    let filled = 0;
    for (const part of found) {
      joined.set(part, filled);
      filled += part.length;
    }
    return joined;
  }
}
