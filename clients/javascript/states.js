// The states of a stream that reconnects, and the causes that lead from one to the next.
//
// Theory of operation
// -------------------
// A stream outlives its connections. The application opens it once, passes audio and requests to
// it, and reads events until the stream is closed. Below it, connections come and go: each
// websocket is opened (CONNECTING), begins with a message that names its stream (STARTING a new
// one, or RESUMING the one that the server still has), and carries audio as soon as the server has
// answered `ready` (LIVE).
//
// A stream ends in one of two ways. If the server has received everything up to the application's
// `end`, its `ended` message is the last event: the stream only waits for the close frame (ENDED,
// then CLOSED). If a connection is lost, or if the server ends the stream before the application
// does (it is stopped, or it received nothing for too long), the stream waits (WAITING), connects
// again and continues:
//
// - A server that still has the stream resumes it. It sends the messages that the client missed,
//   then `ready` with the number of samples that it has received. The client continues at that
//   sample.
// - On a server that no longer has the stream (`resume_refused`, or the connection was closed with
//   a close code), the client starts a new one. It sends all audio that no final covers yet, and
//   continues to count samples, seconds, utterances and messages where the old stream stopped.
//
// The first connection is not retried: until the first `ready`, a failure closes the stream and is
// reported to the application. Afterwards the stream is closed by a refusal that another attempt
// cannot change, or when reconnecting has taken longer than the application allows.
//
// policy.js defines which connection failures lead to WAITING, how long a stream waits and when a
// silent server is considered lost. This table only defines the possible transitions. It is the
// same as in the Python client (clients/python/distil_stream_client/states.py), which describes
// each state and each cause; a test compares them.

/** @typedef {"NEW" | "CONNECTING" | "STARTING" | "RESUMING" | "LIVE" | "ENDED" | "WAITING" | "CLOSED"} State */

/** @typedef {"OPEN" | "START" | "RESUME" | "READY" | "END" | "LOSE" | "RETRY" | "FINISH" | "FAIL" | "CLOSE"} Cause */

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
