// The key of a server that requires one, and tokens, which stand for it in URLs.
//
// The key comes from a person, or from the address (#key=KEY, which a browser sends to no server, or
// ?token=KEY), from which it is removed. It is stored for this tab only. A token that somebody made
// for others (?token=dst_…) stays in the address.

const STORED = "distil-stream key";
const USED_BEFORE_END_S = 5; // a token that expires sooner is not used any more
const ASK_MS = 5_000;

const asked = new URLSearchParams(location.search);
const hash = new URLSearchParams(location.hash.slice(1));
const tokens = new Map(); // by purpose: { token, expires_at }

/** The token in the address of the page; null if there is none. */
export const given = asked.get("token")?.startsWith("dst_") ? asked.get("token") : null;

const key = hash.get("key") ?? (given ? null : asked.get("token"));
if (key) {
  setKey(key);
  asked.delete("token");
  history.replaceState(null, "", `${location.pathname}${asked.size ? `?${asked}` : ""}`);
}

export function setKey(key) {
  tokens.clear();
  sessionStorage.setItem(STORED, key);
}

/** Headers that show the key; none if there is no key. */
export function keyHeaders() {
  const shown = sessionStorage.getItem(STORED) ?? given;
  return shown ? { Authorization: `Bearer ${shown}` } : {};
}

/**
 * Returns a token for a purpose ("stream" or "read") in a room.
 * @returns {Promise<{ token?: string, status: number }>} the status of the server's answer; 0 if
 *   there was none
 */
export async function tokenFor(purpose, room = null, speakers = []) {
  if (given && !sessionStorage.getItem(STORED)) return { token: given, status: 200 };
  const wish = JSON.stringify({ purpose, room, speakers });
  const known = tokens.get(wish);
  if (known && known.expires_at - USED_BEFORE_END_S > Date.now() / 1000) {
    return { token: known.token, status: 200 };
  }
  try {
    const answer = await fetch(new URL("v1/tokens", base()), {
      method: "POST",
      headers: { "Content-Type": "application/json", ...keyHeaders() },
      body: wish,
      signal: AbortSignal.timeout(ASK_MS),
    });
    if (!answer.ok) return { status: answer.status };
    const made = await answer.json();
    tokens.set(wish, made);
    return { token: made.token, status: answer.status };
  } catch {
    return { status: 0 };
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
