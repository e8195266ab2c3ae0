// The page: one button, and the captions as they come.

import { DistilStream } from "./distil-stream.js";

const LABELS = {
  idle: "Start captions",
  starting: "Starting…",
  listening: "Stop",
  finishing: "Finishing…",
};
const BEHIND_MS = 4_000; // a lag that a reader notices

const body = document.body;
const [main, transcript, toggle, label, status, model] = [
  "main", "#transcript", "#toggle", "#toggle-label", "#status", "#model",
].map((selector) => document.querySelector(selector));

const asked = [...new URLSearchParams(location.search)]; // ?language=de, and a server's ?token=key
const settings = Object.fromEntries(asked.filter(([name]) => name === "language"));
const url = new URL("v1/stream", location.href.replace(/^http/, "ws"));
url.search = new URLSearchParams(asked.filter(([name]) => name === "token"));

let stream = null;
let awake = null; // keeps a phone's screen on while it captions

function show(state, text) {
  body.dataset.state = state;
  label.textContent = LABELS[state];
  toggle.setAttribute("aria-disabled", String(state === "finishing"));
  if (status.textContent !== text) status.textContent = text;
}

async function caption() {
  const captions = new Map(); // the utterances that are still open
  show("starting", "Allow the microphone to begin.");
  const current = (stream = new DistilStream({
    url: url.href,
    settings,
    onPartial: (partial) => captionOf(captions, partial).revise(partial.committed, partial.tentative),
    onFinal: (final) => {
      captionOf(captions, final).finish(final.text);
      captions.delete(keyOf(final));
    },
    onLevel: (peak) => toggle.style.setProperty("--level", Math.sqrt(peak).toFixed(2)),
    onEvent,
  }));
  current.start().then(
    () => current.stopping || show("listening", "Listening."),
    () => {}, // `finished` says it too
  );
  navigator.wakeLock?.request("screen").then((lock) => (awake = lock), () => {});

  const problem = await current.finished;
  for (const open of captions.values()) open.finish(null);
  stream = null;
  awake?.release();
  awake = null;
  toggle.style.removeProperty("--level");
  body.classList.toggle("problem", problem !== null);
  show("idle", problem?.message ?? "Stopped.");
}

function onEvent(message) {
  if (message.type === "ready") model.textContent = message.model;
  if (message.type === "progress" && body.dataset.state === "listening") {
    const behind = Math.round(message.lag_ms / 1000);
    show("listening", message.lag_ms < BEHIND_MS ? "Listening." : `Listening, ${behind} s behind.`);
  }
}

toggle.addEventListener("click", () => {
  if (body.dataset.state === "finishing") return;
  body.classList.remove("problem");
  if (!stream) {
    caption();
  } else {
    show("finishing", "Writing the last words.");
    stream.stop();
  }
});

const keyOf = ({ channel, utterance }) => `${channel}/${utterance}`;

function captionOf(captions, message) {
  const key = keyOf(message);
  if (!captions.has(key)) captions.set(key, new Caption());
  return captions.get(key);
}

/** One utterance: committed words that only grow, and tentative ones after them. */
class Caption {
  constructor() {
    this.paragraph = document.createElement("p");
    this.committed = document.createElement("span");
    this.committed.className = "committed";
    this.tentative = document.createElement("span");
    this.tentative.className = "tentative";
    this.tentative.ariaHidden = "true"; // words that may change are not read aloud
    this.paragraph.append(this.committed, this.tentative);
  }

  revise(committed, tentative) {
    if (!committed && !tentative) return;
    keepingPlace(() => {
      this.#place();
      this.#commit(committed);
      this.tentative.textContent = tentative; // with the space before its first word
    });
    // A guess that gets shorter must not pull down the lines above it.
    this.paragraph.style.minHeight = `${this.paragraph.offsetHeight}px`;
  }

  /** Without a text (the stream broke) what stands there stays. */
  finish(text) {
    keepingPlace(() => {
      if (text) {
        this.#place();
        this.#commit(text);
      }
      if (text !== null) this.tentative.remove();
      if (text === "") this.paragraph.remove();
      if (this.paragraph.nextSibling) this.paragraph.style.minHeight = "";
    });
  }

  #place() {
    if (this.paragraph.isConnected) return;
    if (transcript.lastChild) transcript.lastChild.style.minHeight = "";
    transcript.append(this.paragraph);
  }

  /** Add what is new as a text of its own: a screen reader says just that. */
  #commit(text) {
    const standing = this.committed.textContent;
    if (text.startsWith(standing)) {
      if (text !== standing) this.committed.append(text.slice(standing.length));
    } else {
      this.committed.textContent = text;
    }
  }
}

const still = matchMedia("(prefers-reduced-motion: reduce)");

/** Change the transcript; where lines move up for new ones, let them glide. */
function keepingPlace(change) {
  const before = transcript.offsetHeight;
  change();
  const grown = transcript.offsetHeight - before;
  const atEnd = Math.abs(main.scrollTop) < 2; // the end is 0: the column is laid out in reverse
  if (grown > 0 && before > 0 && atEnd && !still.matches) {
    transcript.animate([{ transform: `translateY(${grown}px)` }, { transform: "none" }], {
      duration: 200,
      easing: "cubic-bezier(0.2, 0, 0, 1)",
    });
  }
}

window.addEventListener("resize", () => {
  if (transcript.lastChild) transcript.lastChild.style.minHeight = "";
});
