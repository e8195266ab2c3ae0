// The addresses of a server, and the token that a request shows.

import { Problem } from "./errors.js";

/**
 * What the server requires as a key: a text, or a function that returns one. The function is called
 * before each connection, also before a lost one is replaced, so it can return tokens that expire.
 * @typedef {string | null | undefined | (() => string | Promise<string>)} Token
 */

/**
 * Returns the URL of a server: with `path` added, and with `ws` for `http` or the reverse.
 * @param {string | URL} server `http://host:port`, or the address of a stream (`…/v1/stream`)
 * @param {string} path relative to the server, such as `v1/stream`
 * @param {"ws" | "http"} scheme
 * @returns {URL} throws a `Problem` if the address is not valid
 */
export function addressOf(server, path, scheme) {
  let url;
  try {
    url = new URL(/^\w+:\/\//.test(String(server)) ? server : `http://${server}`);
  } catch {
    throw new Problem("bad_address");
  }
  const secure = /^(https|wss):$/.test(url.protocol);
  if (!secure && !/^(http|ws):$/.test(url.protocol)) throw new Problem("bad_address");
  url.pathname = url.pathname.replace(/(\/v1\/stream)?\/*$/, "/") + path;
  url.hash = "";
  return new URL(url.href.replace(/^\w+:/, scheme + (secure ? "s:" : ":")));
}

/**
 * Returns the token to show now; null if there is none.
 * @param {Token} token
 * @returns {Promise<string | null>}
 */
export async function tokenNow(token) {
  return (typeof token === "function" ? await token() : token) || null;
}

/**
 * Returns the header that shows a token.
 * @param {string | null} token
 * @returns {Record<string, string>}
 */
export function authorization(token) {
  return token ? { Authorization: `Bearer ${token}` } : {};
}
