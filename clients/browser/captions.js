// The captions on the page: a paragraph for each utterance, with committed and tentative words.

import { aligned, units } from "./text.js";

const UNSURE = 0.5; // a word with less confidence is marked

const still = matchMedia("(prefers-reduced-motion: reduce)");

/** The captions of one stream, written into `transcript`, which scrolls within `view`. */
export class Captions {
  #open = new Map(); // unfinished captions by utterance

  constructor(view, transcript) {
    this.view = view;
    this.transcript = transcript;
  }

  partial({ utterance, committed, tentative, words }) {
    if (!committed && !tentative && !this.#open.has(utterance)) return;
    this.#changing(() => this.#of(utterance).revise(committed, tentative, words));
    this.#of(utterance).keepHeight();
  }

  final({ utterance, text, words }) {
    this.#changing(() => this.#of(utterance).finish(text, words));
    this.#open.delete(utterance);
  }

  /** Ends the captions because the stream is over; the text on the page stays. */
  leave() {
    for (const caption of this.#open.values()) caption.leave();
    this.#open.clear();
  }

  #of(utterance) {
    let caption = this.#open.get(utterance);
    if (!caption) {
      this.transcript.lastElementChild?.style.removeProperty("min-height");
      caption = new Caption();
      this.transcript.append(caption.paragraph);
      this.#open.set(utterance, caption);
    }
    return caption;
  }

  /** Applies a change of the text; if it adds lines, animates the older lines moving up. */
  #changing(change) {
    const { transcript, view } = this;
    const before = transcript.offsetHeight;
    change();
    const grown = transcript.offsetHeight - before;
    const atEnd = Math.abs(view.scrollTop) < 2; // the end is 0: the column is laid out in reverse
    if (grown > 0 && before > 0 && atEnd && !still.matches) {
      transcript.animate([{ transform: `translateY(${grown}px)` }, { transform: "none" }], {
        duration: 200,
        easing: "cubic-bezier(0.2, 0, 0, 1)",
      });
    }
  }
}

/** One utterance: committed words, to which more are added, and tentative words after them. */
class Caption {
  #words = []; // committed: [text, span]

  constructor() {
    this.paragraph = document.createElement("p");
    this.committed = document.createElement("span");
    this.committed.className = "committed";
    this.tentative = document.createElement("span");
    this.tentative.className = "tentative";
    this.tentative.ariaHidden = "true"; // words that may change are not read aloud
    this.paragraph.append(this.committed, this.tentative);
  }

  revise(committed, tentative, words) {
    this.#commit(committed, words);
    this.tentative.textContent = tentative; // with the space before its first word
  }

  finish(text, words) {
    this.tentative.remove();
    if (!text) this.paragraph.remove();
    this.#commit(text, words);
    if (this.paragraph.nextSibling) this.paragraph.style.removeProperty("min-height");
  }

  leave() {
    this.tentative.ariaHidden = null;
  }

  /** Keeps the height of a paragraph whose tentative words get fewer, so that no line moves. */
  keepHeight() {
    this.paragraph.style.minHeight = `${this.paragraph.offsetHeight}px`;
  }

  /** Adds the new words, a span for each: a screen reader then reads only these. */
  #commit(text, timed = []) {
    const parts = units(text);
    // Committed words change if a server was replaced; the last may go on, in scripts without spaces.
    let same = 0;
    while (same < this.#words.length && this.#words[same].text === parts[same]?.text) same += 1;
    for (const { span, space } of this.#words.splice(same)) {
      space?.remove();
      span.remove();
    }
    for (const { text: word, space } of parts.slice(same)) {
      const span = document.createElement("span");
      span.textContent = word;
      const between = this.#words.length && space ? document.createTextNode(" ") : null;
      if (between) this.committed.append(between);
      this.committed.append(span);
      this.#words.push({ text: word, span, space: between });
    }
    const words = aligned(text, timed);
    this.#words.forEach(({ span }, i) => {
      const own = words.filter(({ from, to }) => from < parts[i].to && to > parts[i].from);
      if (own.length) annotate(span, own[0].start, Math.min(...own.map((word) => word.confidence)));
    });
  }
}

function annotate(span, start, confidence) {
  const minutes = Math.floor(start / 60);
  const seconds = (start % 60).toFixed(1).padStart(4, "0");
  span.dataset.time = `${minutes}:${seconds} · ${Math.round(confidence * 100)} %`;
  span.classList.toggle("unsure", confidence < UNSURE);
}
