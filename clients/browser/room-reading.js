// The room as a page: all lines in the order of time, with their speakers.

const SIZES = [0.75, 0.875, 1, 1.25, 1.5, 2, 2.5];
const KEY = "distil-stream.room-size";
const READ_ALOUD = 5; // final lines that are kept for screen readers
const COLOURS = 6; // that the style sheet defines for speakers

export class ReadingView {
  constructor(document) {
    this.log = document.querySelector("#lines");
    this.scroller = document.querySelector("main");
    this.aloud = document.querySelector("#aloud");
    this.lines = new Map();
    this.speakers = new Map();
    const now = document.querySelector("#now");
    now.addEventListener("click", () => this.scroller.scrollTo({ top: 0, behavior: "smooth" }));
    // The scroller is reversed: the newest line is at 0, older ones are at negative positions.
    this.scroller.addEventListener("scroll", () => (now.hidden = this.scroller.scrollTop > -120));
    this.#offerSizes(document);
  }

  reset(lines) {
    this.lines.clear();
    this.log.replaceChildren();
    this.quiet = true;
    for (const line of lines.sort((a, b) => a.start - b.start)) this.show(line);
    this.quiet = false;
  }

  show(message) {
    let line = this.lines.get(message.line);
    if (message.type === "final" && !message.text) {
      this.lines.delete(message.line);
      if (line) this.#remove(line);
      return;
    }
    if (!line && !wording(message)) return;
    if (!line) this.lines.set(message.line, (line = this.#insert(message)));
    const committed = message.type === "final" ? message.text : message.committed;
    if (line.committed.textContent !== committed) line.committed.textContent = committed;
    line.tentative.textContent = message.tentative ?? "";
    if (message.type === "final" && !this.quiet) this.#readAloud(message);
  }

  /** Shows a line to screen readers once it is final, so that it does not change while read. */
  #readAloud({ speaker, text }) {
    const line = document.createElement("p");
    line.textContent = `${speaker}: ${text}`;
    this.aloud.append(line);
    if (this.aloud.childElementCount > READ_ALOUD) this.aloud.firstElementChild.remove();
  }

  #insert({ speaker, start }) {
    const line = document.createElement("article");
    line.innerHTML = `<header><strong></strong><time></time></header>
      <p><span class="committed"></span><span class="tentative" aria-hidden="true"></span></p>`;
    line.start = start;
    line.dataset.speaker = speaker;
    line.dataset.colour = this.#colour(speaker);
    line.querySelector("strong").textContent = speaker;
    line.querySelector("time").textContent = clock(start);
    [line.committed, line.tentative] = line.querySelectorAll("p span");
    let after = this.log.lastElementChild;
    while (after && after.start > start) after = after.previousElementSibling;
    if (after) after.after(line);
    else this.log.prepend(line);
    this.#label(line);
    this.#label(line.nextElementSibling);
    return line;
  }

  #remove(line) {
    const next = line.nextElementSibling;
    line.remove();
    this.#label(next);
  }

  /** Hides the name of a speaker whose line follows another one of theirs. */
  #label(line) {
    const before = line?.previousElementSibling;
    line?.classList.toggle("goes-on", before?.dataset.speaker === line.dataset.speaker);
  }

  #colour(speaker) {
    if (!this.speakers.has(speaker)) this.speakers.set(speaker, this.speakers.size % COLOURS);
    return this.speakers.get(speaker);
  }

  #offerSizes(document) {
    let size = Number(localStorage.getItem(KEY) ?? SIZES.indexOf(1));
    const apply = (change) => {
      size = Math.min(Math.max(size + change, 0), SIZES.length - 1);
      document.documentElement.style.setProperty("--scale", SIZES[size]);
      localStorage.setItem(KEY, size);
    };
    document.querySelector("#smaller").addEventListener("click", () => apply(-1));
    document.querySelector("#larger").addEventListener("click", () => apply(+1));
    apply(0);
  }
}

const wording = ({ text, committed, tentative }) => text || committed || tentative;

function clock(seconds) {
  const whole = Math.floor(seconds);
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const tail = String(s).padStart(2, "0");
  return h ? `${h}:${String(m).padStart(2, "0")}:${tail}` : `${m}:${tail}`;
}
