// The key of a server that requires one, and tokens, which stand for it in URLs.
//
// The key comes from a person, or from the address (#key=KEY, which a browser sends to no server, or
// ?token=KEY), from which it is removed. It is stored for this tab only. A token that somebody made
// for others (?token=dst_…) stays in the address.

import { createToken } from "./javascript/tokens.js";

const STORED = "distil-stream key";

const asked = new URLSearchParams(location.search);
const hash = new URLSearchParams(location.hash.slice(1));

/** The token in the address of the page; null if there is none. */
export const given = asked.get("token")?.startsWith("dst_") ? asked.get("token") : null;

const key = hash.get("key") ?? (given ? null : asked.get("token"));
if (key) {
  setKey(key);
  asked.delete("token");
  history.replaceState(null, "", `${location.pathname}${asked.size ? `?${asked}` : ""}`);
}

export function setKey(key) {
  sessionStorage.setItem(STORED, key);
}

/** Returns the key, or the token of the address; null if there is none. */
export function keyNow() {
  return sessionStorage.getItem(STORED) ?? given;
}

/**
 * Returns a new token for a purpose ("stream" or "read") in a room; null if the key is missing or
 * wrong, so that the request which needs the token shows what is wrong. No token is used twice: after
 * a restart the server may sign with another secret.
 */
export async function tokenFor(purpose, room = null, speakers = []) {
  if (given && !sessionStorage.getItem(STORED)) return given;
  const wish = { purpose, ...(room && { room, speakers }) };
  try {
    return (await createToken(base(), keyNow(), wish)).token;
  } catch (error) {
    if (error.code === "not_authorised") return null;
    throw error;
  }
}

/** The address of the server; a page of a room is one folder below it. */
function base() {
  return new URL(/\/rooms\/[^/]+$/.test(location.pathname) ? "../" : "./", location.href);
}

/** Shows a form for the key after `element`, and calls `onKey` when a key was entered. */
export function askForKey(element, onKey) {
  if (document.querySelector("#key-form")) return;
  const form = document.createElement("form");
  form.id = "key-form";
  const label = document.createElement("label");
  const input = document.createElement("input");
  const button = document.createElement("button");
  label.textContent = "Key ";
  Object.assign(input, { type: "password", autocomplete: "current-password", required: true });
  button.textContent = "Use this key";
  label.append(input);
  form.append(label, button);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    setKey(input.value.trim());
    form.remove();
    onKey();
  });
  element.after(form);
  input.focus();
}
