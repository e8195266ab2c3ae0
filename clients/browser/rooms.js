// The list of rooms, which is loaded again every few seconds.

import { listRooms } from "./javascript/index.js";
import { askForKey, keyNow } from "./keys.js";

const RENEW_MS = 5_000;
const list = document.querySelector("#rooms");
const status = document.querySelector("#status");

async function renew() {
  let rooms;
  try {
    rooms = await listRooms(new URL(".", location.href), { token: keyNow });
  } catch (error) {
    if (error.code === "not_authorised") {
      status.textContent = "This list needs a key.";
      askForKey(status, renew);
      return;
    }
    status.textContent = "The server cannot be reached; trying again…";
  }
  setTimeout(renew, RENEW_MS);
  if (!rooms) return;
  status.textContent = rooms.length ? "" : "Nobody has spoken in a room yet.";
  list.replaceChildren(...rooms.map(item));
}

function item({ room, opened_at, ended_at, lines }) {
  const link = document.createElement("a");
  link.href = `rooms/${encodeURIComponent(room)}`;
  link.textContent = room;
  const about = document.createElement("p");
  const began = new Date(opened_at * 1000).toLocaleString([], { dateStyle: "medium", timeStyle: "short" });
  about.textContent = `${began} · ${lines} ${lines === 1 ? "line" : "lines"}`;
  const entry = document.createElement("li");
  if (ended_at === null) {
    const live = document.createElement("strong");
    live.textContent = "Live";
    about.prepend(live, " · ");
  }
  entry.append(link, about);
  return entry;
}

renew();
