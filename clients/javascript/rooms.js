// Rooms: the list of them, and the words of one as they are spoken.

import { addressOf, authorization, tokenNow } from "./address.js";
import { ConnectionLost, ServerError } from "./errors.js";
import { Backoff, RETRIED_REFUSALS } from "./policy.js";

const SILENT_MS = 40_000; // without data for this long a connection is dead: a heartbeat comes each 15 s

/** @typedef {import("./messages.js").RoomMessage} RoomMessage */

/**
 * @typedef {object} RoomOptions
 * @property {import("./address.js").Token} [token]
 * @property {AbortSignal} [signal] stops the reading
 * @property {(ms: number) => void} [onLost] called when the connection was lost, with the time until
 *   the next attempt
 */

/**
 * Returns the rooms of a server, the latest first.
 * @param {string | URL} server
 * @param {{ token?: import("./address.js").Token }} options
 * @returns {Promise<import("./messages.js").Room[]>} rejects with a `ServerError` or a
 *   `ConnectionLost`
 */
export async function listRooms(server, { token } = {}) {
  const response = await request(addressOf(server, "v1/rooms", "http"), token);
  return (await response.json()).rooms;
}

/**
 * Yields the messages of a room until the caller stops. A connection that is lost is opened again,
 * without a limit of time; only the first one must succeed.
 * @param {string | URL} server
 * @param {string} room its name
 * @param {RoomOptions} options
 * @returns {AsyncGenerator<RoomMessage, void>} throws a `ServerError` or a `ConnectionLost`
 */
export async function* readRoom(server, room, { token, signal, onLost } = {}) {
  const url = addressOf(server, `v1/rooms/${encodeURIComponent(room)}/events`, "http");
  const backoff = new Backoff(Infinity, Math.random);
  const nowS = () => performance.now() / 1000;
  let seen = false;
  while (!signal?.aborted) {
    let live = false;
    try {
      for await (const message of events(url, token, signal)) {
        if (!live) backoff.noteLive(nowS());
        seen = live = true;
        if (message.type === "heartbeat") backoff.noteProgress();
        else yield /** @type {RoomMessage} */ (message);
      }
    } catch (error) {
      if (signal?.aborted) return;
      if (!seen || !(error instanceof ConnectionLost)) throw error;
    }
    if (signal?.aborted) return;
    const ms = 1000 * (backoff.waitS(nowS(), { wasLive: live, atOnce: false }) ?? 0);
    onLost?.(ms);
    await pause(ms, signal);
  }
}

/**
 * Yields the server-sent events of one connection.
 * @param {URL} url
 * @param {import("./address.js").Token} token
 * @param {AbortSignal} [signal]
 */
async function* events(url, token, signal) {
  const silence = new AbortController();
  const stop = () => silence.abort();
  signal?.addEventListener("abort", stop);
  let timer = setTimeout(stop, SILENT_MS);
  try {
    const response = await request(url, token, silence.signal);
    const reader = /** @type {ReadableStream} */ (response.body).getReader();
    const decoder = new TextDecoder();
    let text = "";
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      clearTimeout(timer);
      timer = setTimeout(stop, SILENT_MS);
      const whole = (text + decoder.decode(value, { stream: true })).split("\n\n");
      text = whole.pop() ?? "";
      for (const event of whole) {
        const data = event.split("\n").filter((line) => line.startsWith("data:"));
        if (data.length) yield JSON.parse(data.map((line) => line.slice(5)).join("\n"));
      }
    }
  } catch (error) {
    if (error instanceof ServerError || error instanceof ConnectionLost) throw error;
    throw new ConnectionLost("The connection to the room broke.");
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", stop);
    stop(); // closes the connection if the caller stopped early
  }
}

/**
 * Sends a request; throws a `ConnectionLost` if there is no answer or a temporary refusal, and a
 * `ServerError` if the server refuses.
 * @param {URL} url
 * @param {import("./address.js").Token} token
 * @param {AbortSignal} [signal]
 */
async function request(url, token, signal) {
  const headers = authorization(await tokenNow(token));
  let response;
  try {
    response = await fetch(url, { headers, signal, cache: "no-store" });
  } catch {
    throw new ConnectionLost(undefined, null, "away");
  }
  if (response.ok) return response;
  const { status } = response;
  if (RETRIED_REFUSALS.has(`http_${status}`)) throw new ConnectionLost(undefined, null, "busy");
  const sentence = (await response.text()).trim();
  if (status === 401) throw new ServerError("not_authorised");
  throw new ServerError(`http_${status}`, sentence || `The server answered HTTP ${status}.`);
}

/**
 * Waits, but not after the signal, or after the browser is online again.
 * @param {number} ms
 * @param {AbortSignal} [signal]
 */
function pause(ms, signal) {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", done);
      globalThis.removeEventListener?.("online", done);
      resolve(undefined);
    };
    const timer = setTimeout(done, ms);
    signal?.addEventListener("abort", done);
    globalThis.addEventListener?.("online", done);
  });
}
