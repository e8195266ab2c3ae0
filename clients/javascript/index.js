// A client of the distil-stream server, for browsers, Node, Deno and Bun:
//
//   import { transcribe } from "distil-stream-client";
//
//   for await (const event of transcribe("http://127.0.0.1:8765", audio, { settings: { sample_rate: 8000 } })) {
//     if (event.type === "final") console.log(event.text);
//   }
//
// `audio` yields bytes (16-bit little-endian samples, channels interleaved, unless
// `settings.encoding` says otherwise), in pieces of any size. The microphone of a browser is in
// browser.js.

export { ConnectionLost, Problem, ServerError } from "./errors.js";
export { StreamProtocol } from "./protocol.js";
export { listRooms, readRoom } from "./rooms.js";
export { connect, Stream, transcribe } from "./stream.js";
export { createToken } from "./tokens.js";

/** @typedef {import("./address.js").Token} Token */
/** @typedef {import("./messages.js").Changes} Changes */
/** @typedef {import("./messages.js").Final} Final */
/** @typedef {import("./messages.js").FinalLine} FinalLine */
/** @typedef {import("./messages.js").Partial} Partial */
/** @typedef {import("./messages.js").PartialLine} PartialLine */
/** @typedef {import("./messages.js").Progress} Progress */
/** @typedef {import("./messages.js").Ready} Ready */
/** @typedef {import("./messages.js").Room} Room */
/** @typedef {import("./messages.js").RoomMessage} RoomMessage */
/** @typedef {import("./messages.js").ServerMessage} ServerMessage */
/** @typedef {import("./messages.js").Settings} Settings */
/** @typedef {import("./messages.js").Word} Word */
/** @typedef {import("./stream.js").StreamOptions} StreamOptions */
