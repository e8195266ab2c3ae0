// The page of a room: reads its messages and shows them as a page, a screen or an overlay.

import { ConnectionLost, readRoom } from "./javascript/index.js";
import { askForKey, given, tokenFor } from "./keys.js";
import { ReadingView } from "./room-reading.js";
import { RollingView } from "./room-rolling.js";

const RETRY_MS = 5_000; // wait after the first connection failed; later ones are opened again

const asked = new URLSearchParams(location.search);
const name = decodeURIComponent(location.pathname.split("/").pop());
const api = new URL(`../v1/rooms/${encodeURIComponent(name)}/`, location.href);
const status = document.querySelector("#status");

/** Returns a token for this room; null if there is no key, because rooms may be public. */
const token = () => tokenFor("read", name);

document.title = `${name} · live captions`;
document.querySelector("#name").textContent = name;
for (const link of document.querySelectorAll("[data-format]")) {
  const url = new URL(`transcript.${link.dataset.format}`, api);
  link.href = url.href;
  link.download = `${name}.${link.dataset.format}`;
  link.addEventListener("click", async (event) => {
    if (!event.isTrusted) return; // the click below
    event.preventDefault();
    const shown = await token().catch(() => null);
    if (shown) url.searchParams.set("token", shown);
    link.href = url.href;
    link.click();
  });
}
for (const link of document.querySelectorAll("[data-view]")) {
  const shared = given ? [["token", given]] : [];
  link.href = `?${new URLSearchParams([...shared, ["view", link.dataset.view]])}`;
}

const VIEWS = {
  screen: () => new RollingView(document.querySelector("#lines"), { lines: 3 }),
  overlay: () => new RollingView(document.querySelector("#lines"), { lines: 2, fadeAfterMs: 7_000 }),
};
const kind = asked.get("view") in VIEWS ? asked.get("view") : "page";
document.body.dataset.view = kind;
const view = VIEWS[kind]?.() ?? new ReadingView(document);
document.body.hidden = false;

function say(text, live = false) {
  status.textContent = text;
  document.body.classList.toggle("live", live);
}

function sayPresence({ live, speakers }, known) {
  if (live) say(speakers.length > 1 ? `Live, ${speakers.length} speakers` : "Live", true);
  else say(known ? "Over" : "Nobody has spoken yet");
}

let known = false; // whether the room has had any line

const HANDLERS = {
  room(snapshot) {
    known = snapshot.opened_at !== null;
    view.reset([...snapshot.finals, ...snapshot.partials]);
    sayPresence(snapshot, known);
  },
  live(presence) {
    known = true;
    sayPresence(presence, known);
  },
  partial: (line) => view.show(line),
  final: (line) => view.show(line),
};

async function follow() {
  const server = new URL("..", location.href);
  const onLost = () => say("The connection broke; trying again…");
  try {
    for await (const message of readRoom(server, name, { token, onLost })) {
      HANDLERS[message.type]?.(message);
    }
  } catch (error) {
    if (error.code === "not_authorised") {
      say("This room needs a key.");
      if (!given) askForKey(status, follow);
      return;
    }
    const why = "The server is busy or cannot be reached; trying again…";
    say(error instanceof ConnectionLost ? why : error.message);
    setTimeout(follow, RETRY_MS);
  }
}

follow();
