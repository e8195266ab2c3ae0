// Everything that can go wrong, in sentences that say what to do.

const SENTENCES = {
  insecure: "The microphone needs a secure page: open this one over https, or on localhost.",
  denied: "The microphone is not allowed. Allow it in the browser’s settings for this page.",
  no_device: "No microphone was found. Plug one in and try again.",
  device_busy: "Another program is using the microphone. Close it and try again.",
  device_lost: "The microphone was unplugged or switched off.",
  no_capture: "This browser cannot capture sound. Try a current one.",
  away: "The server cannot be reached. Is it running?",
  bad_address: "The address of the server is not valid.",
  not_ready: "The server is not ready yet. Try again in a moment.",
  refused: "The server accepts no streams from pages of this site; see its option --allow-origin.",
  unreadable: "The browser cannot play this file.",
  not_authorised: "This server needs a key: add ?token=KEY to the address.",
  too_large: "The server refuses the size of the request: delete this site’s cookies, or shorten the address.",
  no_websocket:
    "The server answers, but its websocket did not open. Try again; if that does not help, a proxy before the server does not pass websockets on.",
  busy: "The server is busy. Try again in a moment.",
  unfinished: "The stream was ended before the last words came; they may be missing.",
};

/** `code` is for programs, `message` for people. */
export class Problem extends Error {
  constructor(code, message = SENTENCES[code]) {
    super(message);
    this.code = code;
  }
}
