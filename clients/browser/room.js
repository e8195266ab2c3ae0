// The page of a room: reads its messages and shows them as a page, a screen or an overlay.

import { askForKey, given, tokenFor } from "./keys.js";
import { ReadingView } from "./room-reading.js";
import { RollingView } from "./room-rolling.js";

const RETRY_MS = 5_000; // wait after a refusal
const AGAIN_MS = 2_000; // wait after a connection that broke
const SILENT_MS = 40_000; // without a message this long a connection is dead: one comes each 15 s

const asked = new URLSearchParams(location.search);
const name = decodeURIComponent(location.pathname.split("/").pop());
const api = new URL(`../v1/rooms/${encodeURIComponent(name)}/`, location.href);
const status = document.querySelector("#status");

/** Returns an address of the room with a token; it can be put into a link, because it expires. */
async function address(path) {
  const { token } = await tokenFor("read", name); // none if rooms are public, but streams are not
  const url = new URL(path, api);
  if (token) url.searchParams.set("token", token);
  return url.href;
}

document.title = `${name} · live captions`;
document.querySelector("#name").textContent = name;
for (const link of document.querySelectorAll("[data-format]")) {
  const path = `transcript.${link.dataset.format}`;
  link.href = new URL(path, api).href;
  link.download = `${name}.${link.dataset.format}`;
  link.addEventListener("click", async (event) => {
    if (!event.isTrusted) return; // the click below
    event.preventDefault();
    link.href = await address(path);
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

function needKey() {
  say("This room needs a key.");
  if (!given) askForKey(status, follow);
}

async function follow() {
  const source = new EventSource(await address("events"));
  let silence;
  const listen = () => {
    clearTimeout(silence);
    silence = setTimeout(() => {
      source.close();
      say("The connection broke; trying again…");
      follow();
    }, SILENT_MS);
  };
  listen();
  source.onmessage = ({ data }) => {
    listen();
    const message = JSON.parse(data);
    HANDLERS[message.type]?.(message);
  };
  source.onerror = async () => {
    clearTimeout(silence);
    if (source.readyState !== EventSource.CLOSED) {
      // The browser would connect again with the same token, which may have expired.
      source.close();
      say("The connection broke; trying again…");
      setTimeout(follow, AGAIN_MS);
      return;
    }
    const how = { cache: "no-store" };
    const answer = await fetch(await address("transcript.json"), how).catch(() => null);
    if (answer?.status === 401) return needKey();
    if (answer?.status === 403) return say("This key or token does not allow to read this room.");
    say("The server is busy or cannot be reached; trying again…");
    setTimeout(follow, RETRY_MS);
  };
}

follow();
