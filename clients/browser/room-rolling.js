// The room as a few large lines that scroll up: for a projector, or over a video.
//
// A browser breaks the lines of a paragraph again at each new word. Here each row is a separate
// element: a committed word is put into a row and stays there; only the tentative words after it
// may move.

import { units } from "./text.js";

export class RollingView {
  constructor(log, { lines, fadeAfterMs = 0 }) {
    this.log = log;
    this.rows = Number(new URLSearchParams(location.search).get("lines")) || lines;
    this.fadeAfterMs = fadeAfterMs;
    this.blocks = new Map();
    log.style.setProperty("--rows", this.rows);
    const size = Number(new URLSearchParams(location.search).get("size"));
    if (size) document.documentElement.style.setProperty("--size", `${size}px`);
    addEventListener("resize", () => this.#layOutAnew());
    document.fonts?.ready.then(() => this.#layOutAnew());
  }

  reset(messages) {
    this.blocks.clear();
    this.log.replaceChildren();
    const latest = messages.sort((a, b) => a.start - b.start).slice(-this.rows);
    for (const message of latest) this.show(message);
  }

  show(message) {
    let block = this.blocks.get(message.line);
    const final = message.type === "final";
    const wordless = final ? !message.text : !message.committed && !message.tentative;
    if (!block) {
      if (wordless) return;
      block = new Block(this.log, this.#isNew(message.speaker) ? message.speaker : null);
      this.blocks.set(message.line, block);
    }
    this.speaker = message.speaker;
    block.show(final ? message.text : message.committed, final ? "" : message.tentative);
    if (final && wordless) {
      this.blocks.delete(message.line);
      if (block.label) this.speaker = null; // the label was removed with the words: the next line repeats it
    }
    this.#roll();
  }

  #isNew(speaker) {
    return speaker !== this.speaker && speaker !== "Speaker 1"; // the name of a single speaker is not shown
  }

  /** Removes rows that are out of sight, and hides old ones. */
  #roll() {
    const spare = this.log.childElementCount - 4 * this.rows;
    for (let i = 0; i < spare; i++) this.log.firstElementChild.remove();
    for (const [line, block] of this.blocks) if (!block.inSight) this.blocks.delete(line);
    this.log.classList.remove("faded");
    clearTimeout(this.fading);
    if (this.fadeAfterMs) {
      this.fading = setTimeout(() => this.log.classList.add("faded"), this.fadeAfterMs);
    }
  }

  #layOutAnew() {
    for (const block of this.blocks.values()) block.layOutAnew();
  }
}

/** One utterance of a speaker: rows of words. */
class Block {
  constructor(log, label) {
    this.log = log;
    this.label = label;
    this.committed = "";
    this.tentative = "";
    this.#begin();
  }

  get inSight() {
    return this.row.isConnected;
  }

  show(committed, tentative) {
    const fresh = committed.startsWith(this.committed) ? committed.slice(this.committed.length) : null;
    this.committed = committed;
    this.tentative = tentative;
    if (fresh === null) {
      this.layOutAnew(); // The spelling of the final differs from that of the partials.
      return;
    }
    this.#dropTentative();
    for (const unit of units(fresh)) this.#put(unit, "committed");
    for (const unit of units(tentative)) this.#put(unit, "tentative");
  }

  layOutAnew() {
    if (!this.inSight) return;
    const [first, ...others] = this.all;
    const place = document.createComment("");
    first.isConnected ? first.before(place) : this.row.before(place);
    for (const row of [first, ...others]) row.remove();
    this.#begin(place);
    place.remove();
    for (const unit of units(this.committed)) this.#put(unit, "committed");
    for (const unit of units(this.tentative)) this.#put(unit, "tentative");
  }

  #begin(place) {
    this.all = [];
    this.#addRow(place);
    if (this.label) {
      const label = document.createElement("b");
      label.textContent = this.label;
      this.row.firstElementChild.append(label);
    }
  }

  #addRow(place = null) {
    const row = document.createElement("div");
    row.append(document.createElement("span"));
    if (place) place.before(row);
    else if (this.all.length) this.row.after(row);
    else this.log.append(row);
    this.all.push(row);
    this.row = row;
  }

  #put({ text: word, space }, kind) {
    const span = document.createElement("span");
    span.className = kind;
    const last = this.row.firstElementChild.lastElementChild;
    const apart = last && (space || last.localName === "b"); // a label stands apart in every script
    span.textContent = apart ? ` ${word}` : word;
    this.row.firstElementChild.append(span);
    const tooWide = this.row.firstElementChild.offsetWidth > this.row.clientWidth;
    if (!tooWide || this.row.firstElementChild.childElementCount === 1) return;
    span.remove();
    this.#addRow();
    span.textContent = word;
    this.row.firstElementChild.append(span);
  }

  #dropTentative() {
    for (const row of [...this.all].reverse()) {
      for (const span of row.querySelectorAll(".tentative")) span.remove();
      if (row.firstElementChild.childElementCount || this.all.length === 1) break;
      row.remove();
      this.all.pop();
      this.row = this.all.at(-1);
    }
  }
}
