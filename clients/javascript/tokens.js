// Short-lived tokens, which a web server with a key requests for its pages.

import { addressOf, authorization } from "./address.js";
import { ServerError } from "./errors.js";

/**
 * What a token allows: to send a stream (into the room, if one is named), or to read the room.
 * @typedef {object} Purpose
 * @property {"stream" | "read"} purpose
 * @property {string} [room]
 * @property {string[]} [speakers] the labels that a stream may have in the room
 * @property {number} [seconds] how long it is valid: 1 to 3600, 600 by default
 */

/**
 * Returns a token for one purpose and a short time. Call it where the key is safe, never in a page.
 * @param {string | URL} server
 * @param {string} key
 * @param {Purpose} purpose
 * @returns {Promise<{ token: string, expires_at: number }>} `expires_at` in seconds since 1970;
 *   rejects with a `ServerError` if the server refuses
 */
export async function createToken(server, key, purpose) {
  const response = await fetch(addressOf(server, "v1/tokens", "http"), {
    method: "POST",
    headers: { "Content-Type": "application/json", ...authorization(key) },
    body: JSON.stringify(purpose),
  });
  if (response.ok) return response.json();
  const { status } = response;
  const sentence = (await response.text()).trim() || `The server answered HTTP ${status}.`;
  throw new ServerError(status === 401 ? "not_authorised" : `http_${status}`, sentence);
}
