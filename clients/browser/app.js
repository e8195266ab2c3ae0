// The captions page: start, pause and stop; captions; copying, saving, and files.

import { Captions } from "./captions.js";
import { FORMATS } from "./formats.js";
import { DistilStream } from "./javascript/browser.js";
import { askForKey, given, tokenFor } from "./keys.js";
import { preferences } from "./preferences.js";
import { listMicrophones, microphoneSettings, setUp, streamSettings } from "./settings.js";

const BEHIND_S = 4; // the shortest delay that is shown, in seconds
const BUSY = {
  slow_partials: "The server is busy: words come less often; none is lost.",
  finals_only: "The server is busy: words come at the end of each sentence; none is lost.",
};
const NO_KEY = "This server needs a key, or the one that was given is wrong or has expired.";
const FAILED = "The server failed on a part of the audio; its words are missing.";

const body = document.body;
const $ = (selector) => document.querySelector(selector);
const [main, transcript, toggle, label, stop, status, time, model] = [
  "main", "#transcript", "#toggle", "#toggle-label", "#stop", "#status", "#time", "#model-name",
].map($);

const asked = new URLSearchParams(location.search); // ?language=de

const room = asked.get("room"); // ?room=standup&speaker=Ada: others can read the captions
const seat = room ? { room, speakers: asked.getAll("speaker") } : {};
if (room) {
  const link = $("#room a");
  link.href = `rooms/${encodeURIComponent(room)}`;
  link.textContent = room;
  $("#room").hidden = false;
}

const LABELS = {
  idle: "Start captions",
  starting: "Starting…",
  listening: "Pause",
  paused: "Go on",
  file: "Transcribing…",
  finishing: "Finishing…",
};
const utterances = []; // the finals of all streams of this page
let kept = true; // whether all of them were copied or saved
let stream = null;
let before = 0; // seconds recorded by earlier streams of this page
let failed = ""; // a sentence for the status line, if words of the stream are missing
let awake = null; // a promise of the lock that keeps a phone's screen on during captions

function show(state, text) {
  body.dataset.state = state;
  label.textContent = LABELS[state];
  const busy = state === "finishing" || state === "file";
  toggle.setAttribute("aria-disabled", String(busy));
  stop.hidden = state === "idle";
  stop.textContent = state === "finishing" ? "End now" : "Stop";
  if (status.textContent !== text) status.textContent = text;
}

const say = (...sentences) => sentences.filter(Boolean).join(" ");

function keepAwake(wanted) {
  awake?.then((lock) => lock?.release());
  awake = wanted ? navigator.wakeLock?.request("screen").catch(() => null) : null;
}

async function caption(file = null) {
  const captions = new Captions(main, transcript);
  const timed = onThePage(before);
  body.classList.remove("problem");
  failed = "";
  show(file ? "file" : "starting", file ? `Reading ${file.name}.` : "Allow the microphone to begin.");
  const current = (stream = new DistilStream({
    token: () => tokenFor("stream", room, seat.speakers),
    settings: { ...streamSettings(), ...seat, words: true },
    microphone: microphoneSettings(),
    onPartial: (partial) => captions.partial(timed(partial)),
    onFinal: (final) => {
      const utterance = timed(final);
      captions.final(utterance);
      if (utterance.text) {
        utterances.push(utterance);
        kept = false;
      }
      body.classList.toggle("written", utterances.length > 0);
    },
    onLevel: (peak) => main.parentElement.style.setProperty("--level", Math.sqrt(peak).toFixed(2)),
    onState: (state, ms) => onConnection(current, state, ms),
    onEvent: (message) => onEvent(current, message, file),
  }));
  current.start(file).then(
    () => {
      if (!current.stopping && !file) show("listening", "Listening.");
      listMicrophones();
    },
    () => {}, // `finished` resolves with the same problem
  );
  keepAwake(true);

  const problem = await current.finished;
  captions.leave();
  if (stream !== current) return;
  before += current.elapsed;
  stream = null;
  keepAwake(false);
  delete body.dataset.connection;
  main.parentElement.style.removeProperty("--level");
  body.classList.toggle("problem", problem !== null);
  const done = file ? `${file.name} is transcribed.` : "Stopped.";
  const keyless = problem?.code === "not_authorised";
  show("idle", say((keyless ? NO_KEY : problem?.message) ?? done, failed));
  if (keyless && !given) askForKey(status, press);
}

/** Returns a function that adds seconds to the times of a message, so that they are the page's. */
function onThePage(seconds) {
  const later = (item) => ({ ...item, start: item.start + seconds, end: item.end + seconds });
  return (message) => ({ ...later(message), words: message.words?.map(later) });
}

function onConnection(current, state, ms) {
  if (state === "live") {
    if (body.dataset.connection === "waiting") status.textContent = "Connected again.";
    body.dataset.connection = "live";
  } else if (state === "waiting") {
    body.dataset.connection = "waiting";
    const minutes = Math.round(current.keepS / 60);
    const wait = ms < 1500 ? "" : ` Next attempt in ${Math.round(ms / 1000)} s.`;
    status.textContent = body.dataset.state === "listening"
      ? `There is no connection to the server. What you say is recorded, for up to ${minutes} minutes.${wait}`
      : `There is no connection to the server. What was recorded is kept.${wait}`;
  } else {
    const why = body.dataset.connection === "waiting"
      ? "There was no connection to the server for too long"
      : "The server is too slow";
    show("paused", `${why}: recording is paused. What was recorded is kept.`);
  }
}

function onEvent(current, message, file) {
  if (message.type === "ready") model.textContent = message.model;
  if (message.code === "transcription_failed") failed = FAILED;
  if (message.type !== "progress") return;
  if (file) {
    const part = Math.floor((100 * current.settled) / current.elapsed);
    status.textContent = say(`Transcribing ${file.name}: ${part} %.`, failed);
  } else if (body.dataset.state === "listening") {
    const unheard = current.elapsed - message.received / current.sampleRate;
    const behind = message.lag_ms / 1000 + unheard;
    const listening = behind < BEHIND_S ? "Listening." : `Listening, ${Math.round(behind)} s behind.`;
    show("listening", say(listening, BUSY[message.load], failed));
  }
}

async function press() {
  switch (body.dataset.state) {
    case "idle":
      return caption();
    case "listening":
      show("paused", "Paused. Nothing is recorded.");
      return stream.pause();
    case "paused":
      stream.resume();
      return show("listening", "Listening.");
  }
}

// The second click of a double click is ignored, because the first one changed the button's action.
toggle.addEventListener("click", ({ detail }) => detail > 1 || press());
stop.addEventListener("click", ({ detail }) => {
  if (detail > 1) return;
  if (body.dataset.state === "finishing") return stream?.abandon();
  show("finishing", "Waiting for the last words.");
  stream?.stop();
});
document.addEventListener("keydown", (event) => {
  const idleKey = event.target === body || event.target === main;
  if (event.key === " " && idleKey && !event.repeat) {
    event.preventDefault();
    press();
  }
});
document.addEventListener("visibilitychange", () => {
  // The browser releases the lock of a page that is not visible.
  if (stream && document.visibilityState === "visible") keepAwake(true);
});
setInterval(() => {
  const seconds = Math.floor(before + (stream?.elapsed ?? 0));
  const clock = [seconds / 3600, (seconds / 60) % 60, seconds % 60].map(Math.floor);
  const text = clock.slice(clock[0] ? 0 : 1).map((n) => String(n).padStart(2, "0")).join(":");
  if (time.textContent !== text) time.textContent = text;
}, 250);

// Files, dropped or chosen

const file = $("#file");
$("#open").addEventListener("click", () => file.click());
file.addEventListener("change", () => {
  if (file.files[0] && !stream) caption(file.files[0]);
  file.value = "";
});
let over = 0;
for (const [kind, change] of [["dragenter", 1], ["dragleave", -1]]) {
  addEventListener(kind, () => body.classList.toggle("dropping", (over += change) > 0));
}
addEventListener("dragover", (event) => event.preventDefault());
addEventListener("drop", (event) => {
  event.preventDefault();
  over = 0;
  body.classList.remove("dropping");
  const dropped = event.dataTransfer.files[0];
  if (!dropped) return;
  if (stream) status.textContent = "Stop the captions first, then drop the file again.";
  else caption(dropped);
});

// Copying and saving

$("#copy").addEventListener("click", async () => {
  try {
    await navigator.clipboard.writeText(FORMATS.txt.write(utterances)); // http pages have none
    kept = true;
    status.textContent = "Copied.";
  } catch {
    status.textContent = "The browser does not allow this page to copy; save the text instead.";
  }
});
const menu = $("#save");
for (const [extension, { name, type, write }] of Object.entries(FORMATS)) {
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = name;
  button.addEventListener("click", () => {
    const about = { model: model.textContent, language: streamSettings().language };
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([write(utterances, about)], { type }));
    link.download = `captions-${new Date().toISOString().slice(0, 16).replace(/[:T]/g, "-")}.${extension}`;
    link.click();
    kept = true;
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
    menu.open = false;
    menu.querySelector("summary").focus();
  });
  menu.querySelector("div").append(button);
}
document.addEventListener("click", ({ target }) => menu.contains(target) || (menu.open = false));
menu.addEventListener("keydown", ({ key }) => {
  if (key === "Escape") {
    menu.open = false;
    menu.querySelector("summary").focus();
  }
});

// Settings

const dialog = $("#settings");
$("#open-settings").addEventListener("click", () => dialog.showModal());
dialog.addEventListener("click", ({ target }) => target === dialog && dialog.close());
addEventListener("resize", () => transcript.lastElementChild?.style.removeProperty("min-height"));
addEventListener("beforeunload", (event) => (stream || !kept) && event.preventDefault());
await setUp({
  onChange: (name) => {
    if (name === "language") stream?.configure({ language: preferences.language });
  },
  onModel: (name) => (model.textContent = name),
});
