// What can go wrong. Each error has a `code` for programs and a `message` for people.

/**
 * By code, what is wrong and what to do.
 * @type {Record<string, string>}
 */
const SENTENCES = {
  insecure: "The microphone needs a secure page: open this one over https, or on localhost.",
  denied: "The microphone is not allowed. Allow it in the browser’s settings for this page.",
  no_device: "No microphone was found. Plug one in and try again.",
  device_busy: "Another program is using the microphone. Close it and try again.",
  device_lost: "The microphone was unplugged or switched off.",
  no_capture: "This browser cannot capture sound. Try a current one.",
  unreadable: "The browser cannot play this file.",
  away: "The server cannot be reached. Is it running?",
  bad_address: "The address of the server is not valid.",
  not_ready: "The server is not ready yet. Try again in a moment.",
  busy: "The server is busy. Try again in a moment.",
  refused: "The server accepts no streams from pages of this site; see its option --allow-origin.",
  not_authorised: "The server requires a key, or the token is not valid.",
  too_large: "The server refuses the size of the request: delete this site’s cookies, or shorten the address.",
  no_websocket:
    "The server answers, but its websocket did not open. Try again; if that does not help, a proxy before the server does not pass websockets on.",
  no_token: "The token for the server could not be fetched.",
  connection_lost: "The connection broke.",
  unfinished: "The stream was ended before the last words came; they may be missing.",
};

/** Anything that this package throws: `code` is for programs, `message` for people. */
export class Problem extends Error {
  /**
   * @param {string} code
   * @param {string} [message] the sentence of the code by default
   */
  constructor(code, message = SENTENCES[code]) {
    super(message);
    this.code = code;
  }
}

/** The server refused. */
export class ServerError extends Problem {
  /**
   * @param {string} code the code in the server's `error` message; or the reason why it opened no
   *   stream, such as `not_authorised`
   * @param {string} [message]
   */
  constructor(code, message) {
    super(code, message);
  }
}

/** No server answered, or the connection ended before the stream did. */
export class ConnectionLost extends Problem {
  /**
   * @param {string} [message]
   * @param {number | null} closeCode the close code of the websocket; null if there was no
   *   connection, or if it broke without a close frame
   * @param {string} code
   */
  constructor(message, closeCode = null, code = "connection_lost") {
    super(code, message);
    this.closeCode = closeCode;
  }
}
