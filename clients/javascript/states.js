// The states of a stream that reconnects, and what leads from one to the next.
//
// Theory of operation
// -------------------
// A stream outlives its connections. The application opens it once, hands it audio and requests,
// and reads events until the stream is closed. Under it, connections come and go: each websocket is
// opened (CONNECTING), is told which stream it carries (STARTING a new one, or RESUMING the one that
// the server still has), and carries audio as soon as the server has answered `ready` (LIVE).
//
// A stream ends in one of two ways. If the server has received everything up to the application's
// `end`, its `ended` message is the last event: the stream only waits for the close frame (ENDED,
// then CLOSED). If a connection is lost, or if the server ends the stream before the application
// does (it is stopped, or it received nothing for too long), the stream waits (WAITING), connects
// again and goes on:
//
// - A server that still has the stream resumes it. It sends the messages that the client missed,
//   then `ready` with the number of samples that it has received. The client goes on from that
//   sample.
// - A server that has forgotten the stream (`resume_refused`, or a connection that was closed with a
//   close code) is given a new one. The client sends all audio that no final covers yet, and
//   continues to count samples, seconds, utterances and messages where the forgotten stream stopped.
//
// The first connection is not retried: until the first `ready`, a failure closes the stream and is
// told to the application. Afterwards the stream is closed by a refusal that another attempt cannot
// change, or when reconnecting has taken longer than the application allows.
//
// Which connection failures lead to WAITING, how long a stream waits and when a silent server is
// given up is policy: policy.js has it. This table only says what may follow what. It is the same
// as in the Python client (clients/python/distil_stream_client/states.py), which says what each
// state and each cause means; a test compares them.

/**
 * Where a stream is between its opening and its end.
 * @typedef {"NEW" | "CONNECTING" | "STARTING" | "RESUMING" | "LIVE" | "ENDED" | "WAITING" | "CLOSED"}
 *   State
 */

/**
 * What moves a stream from one state to the next.
 * @typedef {"OPEN" | "START" | "RESUME" | "READY" | "END" | "LOSE" | "RETRY" | "FINISH" | "FAIL" |
 *   "CLOSE"} Cause
 */

/** @type {Record<State, Partial<Record<Cause, State>>>} */
export const TRANSITIONS = {
  NEW: { OPEN: "CONNECTING", CLOSE: "CLOSED" },
  CONNECTING: {
    START: "STARTING",
    RESUME: "RESUMING",
    LOSE: "WAITING",
    FAIL: "CLOSED",
    CLOSE: "CLOSED",
  },
  STARTING: { READY: "LIVE", LOSE: "WAITING", FAIL: "CLOSED", CLOSE: "CLOSED" },
  RESUMING: { READY: "LIVE", END: "ENDED", LOSE: "WAITING", FAIL: "CLOSED", CLOSE: "CLOSED" },
  LIVE: { END: "ENDED", LOSE: "WAITING", FAIL: "CLOSED", CLOSE: "CLOSED" },
  ENDED: { FINISH: "CLOSED", LOSE: "WAITING", FAIL: "CLOSED", CLOSE: "CLOSED" },
  WAITING: { RETRY: "CONNECTING", CLOSE: "CLOSED" },
  CLOSED: {},
};
