"""The states of a stream that reconnects, and what leads from one to the next.

Theory of operation
-------------------
A stream outlives its connections. The application opens it once, hands it audio and requests, and
reads events until the stream is closed. Under it, connections come and go: each websocket is opened
(`CONNECTING`), is told which stream it carries (`STARTING` a new one, or `RESUMING` the one that
the server still has), and carries audio as soon as the server has answered `ready` (`LIVE`).

A stream ends in one of two ways. If the server has received everything up to the application's
`end`, its `ended` message is the last event: the stream only waits for the close frame (`ENDED`,
then `CLOSED`). If a connection is lost, or if the server ends the stream before the application
does (it is stopped, or it received nothing for too long), the stream waits (`WAITING`), connects
again and goes on:

- A server that still has the stream resumes it. It sends the messages that the client missed, then
  `ready` with the number of samples that it has received. The client goes on from that sample.
- A server that has forgotten the stream (`resume_refused`, or a connection that was closed with a
  close code) is given a new one. The client sends all audio that no final covers yet, and continues
  to count samples, seconds, utterances and messages where the forgotten stream stopped.

The first connection is not retried: until the first `ready`, a failure closes the stream and is
told to the application. Afterwards the stream is closed by a refusal that another attempt cannot
change, or when reconnecting has taken longer than the application allows.

Which connection failures lead to `WAITING`, how long a stream waits and when a silent server is
given up is policy: `policy.py` has it. This table only says what may follow what. It is the same
as in the JavaScript client (`clients/javascript/states.js`), and a test compares them.
"""

from enum import Enum


class State(Enum):
    """Where a stream is between its opening and its end."""

    NEW = "NEW"
    """It has not been opened."""
    CONNECTING = "CONNECTING"
    """A websocket is being opened."""
    STARTING = "STARTING"
    """`start` was sent for a new stream; `ready` is to come."""
    RESUMING = "RESUMING"
    """`start` was sent with `resume`; the missed messages are to come, and then `ready`."""
    LIVE = "LIVE"
    """Audio goes out and events come back."""
    ENDED = "ENDED"
    """The server has sent `ended`; its close frame is to come."""
    WAITING = "WAITING"
    """There is no connection; the next attempt is due at a known time."""
    CLOSED = "CLOSED"
    """The stream is over; `failure` says why, unless it ended as the application asked."""


class Cause(Enum):
    """What moves a stream from one state to the next."""

    OPEN = "OPEN"
    """The application opens the stream."""
    START = "START"
    """The websocket is open, and no server has the stream."""
    RESUME = "RESUME"
    """The websocket is open, and the server may still have the stream."""
    READY = "READY"
    """The server has sent `ready`."""
    END = "END"
    """The server has sent `ended`."""
    LOSE = "LOSE"
    """The connection is gone, and another attempt makes sense."""
    RETRY = "RETRY"
    """The wait before the next attempt is over."""
    FINISH = "FINISH"
    """The connection was closed after the last event."""
    FAIL = "FAIL"
    """The stream cannot go on."""
    CLOSE = "CLOSE"
    """The application closes the stream, whatever is missing."""


TRANSITIONS: dict[State, dict[Cause, State]] = {
    State.NEW: {
        Cause.OPEN: State.CONNECTING,
        Cause.CLOSE: State.CLOSED,
    },
    State.CONNECTING: {
        Cause.START: State.STARTING,
        Cause.RESUME: State.RESUMING,
        Cause.LOSE: State.WAITING,
        Cause.FAIL: State.CLOSED,
        Cause.CLOSE: State.CLOSED,
    },
    State.STARTING: {
        Cause.READY: State.LIVE,
        Cause.LOSE: State.WAITING,
        Cause.FAIL: State.CLOSED,
        Cause.CLOSE: State.CLOSED,
    },
    State.RESUMING: {
        Cause.READY: State.LIVE,
        Cause.END: State.ENDED,
        Cause.LOSE: State.WAITING,
        Cause.FAIL: State.CLOSED,
        Cause.CLOSE: State.CLOSED,
    },
    State.LIVE: {
        Cause.END: State.ENDED,
        Cause.LOSE: State.WAITING,
        Cause.FAIL: State.CLOSED,
        Cause.CLOSE: State.CLOSED,
    },
    State.ENDED: {
        Cause.FINISH: State.CLOSED,
        Cause.LOSE: State.WAITING,
        Cause.FAIL: State.CLOSED,
        Cause.CLOSE: State.CLOSED,
    },
    State.WAITING: {
        Cause.RETRY: State.CONNECTING,
        Cause.CLOSE: State.CLOSED,
    },
    State.CLOSED: {},
}
