// The messages of the protocol as types; docs/protocol.md and docs/rooms.md explain them.

/**
 * The fields of `start`.
 * @typedef {object} Settings
 * @property {"pcm_s16le" | "pcm_f32le" | "mulaw" | "alaw" | "container"} [encoding]
 * @property {number} [sample_rate] hertz, 8000 to 48000
 * @property {number} [channels] 1 to 8
 * @property {string} [language] a language code, or `auto`
 * @property {"transcribe" | "translate"} [task]
 * @property {string} [model]
 * @property {boolean} [partials]
 * @property {boolean} [words] whether partials and finals contain the words
 * @property {number} [endpointing_ms] silence that ends an utterance
 * @property {number} [max_utterance_s]
 * @property {string[]} [keyterms]
 * @property {string} [prompt]
 * @property {string | null} [room]
 * @property {string[]} [speakers] labels of the channels in the room
 */

/**
 * The settings that may change while a stream runs.
 * @typedef {Pick<Settings, "language" | "partials" | "endpointing_ms" | "keyterms" | "prompt">} Changes
 */

/**
 * @typedef {{ type: "finalize", mark?: number } | { type: "mark", id: number } |
 *   { type: "configure" } & Changes | { type: "keepalive" } | { type: "end" }} ClientMessage
 */

/**
 * Times are seconds from the start of the stream.
 * @typedef {{ word: string, start: number, end: number, confidence: number }} Word
 */

/**
 * @typedef {object} Ready
 * @property {"ready"} type
 * @property {number} seq
 * @property {string} session
 * @property {string | null} resume_token
 * @property {string} model
 * @property {number} received
 * @property {{ max_frame_bytes: number, max_ahead_s: number, idle_s: number }} limits
 */

/**
 * The words of an utterance that is not over; it replaces the partial before it.
 * @typedef {object} Partial
 * @property {"partial"} type
 * @property {number} seq
 * @property {number} channel
 * @property {number} utterance
 * @property {number} revision
 * @property {number} start
 * @property {number} end
 * @property {string} committed words that never change
 * @property {string} tentative words that may change, with the space before them
 * @property {Word[]} [words]
 */

/**
 * The words of an utterance that is over.
 * @typedef {object} Final
 * @property {"final"} type
 * @property {number} seq
 * @property {number} channel
 * @property {number} utterance
 * @property {number} start
 * @property {number} end
 * @property {string} text
 * @property {string} language
 * @property {number} confidence
 * @property {Word[]} [words]
 * @property {string[]} [problems] why words were removed
 * @property {Record<string, number>} latency milliseconds
 */

/**
 * @typedef {object} Progress
 * @property {"progress"} type
 * @property {number} seq
 * @property {number} received samples
 * @property {number} settled samples
 * @property {number} lag_ms
 * @property {"normal" | "slow_partials" | "finals_only"} load
 */

/**
 * A message of the server. Later versions may add messages and fields: ignore those that you do not
 * use.
 * @typedef {Ready | Partial | Final | Progress |
 *   { type: "speech_started" | "speech_ended", seq: number, channel: number, utterance: number, time: number } |
 *   { type: "gap", seq: number, channel: number, time: number, duration: number } |
 *   { type: "mark", seq: number, id: number } |
 *   { type: "configured", seq: number } & Settings |
 *   { type: "error", seq: number, code: string, message: string, fatal: boolean } |
 *   { type: "ended", seq: number, received: number, settled: number, speech_s: number, finals: number }
 * } ServerMessage
 */

/**
 * An utterance of a room while it grows; `committed` only grows.
 * @typedef {{ type: "partial", line: number, speaker: string, start: number, end: number,
 *   committed: string, tentative: string }} PartialLine
 */

/**
 * An utterance of a room that is over. It replaces the partials of its `line`; an empty text removes
 * the line.
 * @typedef {{ type: "final", line: number, speaker: string, start: number, end: number,
 *   text: string }} FinalLine
 */

/**
 * A message of a room; the first one, and the first one after a reconnection, is `room`: all so far.
 * @typedef {{ type: "room", room: string, opened_at: number | null, live: boolean, speakers: string[],
 *     finals: FinalLine[], partials: PartialLine[] } |
 *   PartialLine | FinalLine | { type: "live", live: boolean, speakers: string[] } |
 *   { type: "key", speaker: string, time: number, key: string }} RoomMessage
 */

/**
 * A room in the list of a server; times are seconds since 1970.
 * @typedef {{ room: string, opened_at: number, ended_at: number | null, lines: number }} Room
 */

export {};
