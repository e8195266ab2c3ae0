"""The states of a stream that reconnects, and the causes that lead from one to the next.

Theory of operation
-------------------
A stream outlives its connections. The application opens it once, passes audio and requests to it,
and reads events until the stream is closed. Below it, connections come and go: each websocket is
opened (`CONNECTING`), begins with a message that names its stream (`STARTING` a new one, or
`RESUMING` the one that the server still has), and carries audio as soon as the server has answered
`ready` (`LIVE`).

A stream ends in one of two ways. If the server has received everything up to the application's
`end`, its `ended` message is the last event: the stream only waits for the close frame (`ENDED`,
then `CLOSED`). If a connection is lost, or if the server ends the stream before the application
does (it is stopped, or it received nothing for too long), the stream waits (`WAITING`), connects
again and continues:

- A server that still has the stream resumes it. It sends the messages that the client missed, then
  `ready` with the number of samples that it has received. The client continues at that sample.
- On a server that no longer has the stream (`resume_refused`, or the connection was closed with a
  close code), the client starts a new one. It sends all audio that no final covers yet, and
  continues to count samples, seconds, utterances and messages where the old stream stopped.

The first connection is not retried: until the first `ready`, a failure closes the stream and is
reported to the application. Afterwards the stream is closed by a refusal that another attempt
cannot change, or when reconnecting has taken longer than the application allows.

`policy.py` defines which connection failures lead to `WAITING`, how long a stream waits and when a
silent server is considered lost. This table only defines the possible transitions. It is the same
as in the JavaScript client (`clients/javascript/states.js`), and a test compares them.
"""

from enum import Enum


class State(Enum):
    """The state of a stream between its opening and its end."""

    NEW = "NEW"
    """The stream has not been opened."""
    CONNECTING = "CONNECTING"
    """A websocket is being opened."""
    STARTING = "STARTING"
    """`start` was sent for a new stream; `ready` is expected."""
    RESUMING = "RESUMING"
    """`start` was sent with `resume`; the missed messages and then `ready` are expected."""
    LIVE = "LIVE"
    """Audio is sent and events are received."""
    ENDED = "ENDED"
    """The server has sent `ended`; its close frame is expected."""
    WAITING = "WAITING"
    """There is no connection; the next attempt is made at `wait_until_s`."""
    CLOSED = "CLOSED"
    """The stream is over; `failure` is the reason, or None if the application ended it."""


class Cause(Enum):
    """Why a stream changes from one state to the next."""

    OPEN = "OPEN"
    """The application opens the stream."""
    START = "START"
    """The websocket is open, and a new stream is started on the server."""
    RESUME = "RESUME"
    """The websocket is open, and the server is requested to resume the stream."""
    READY = "READY"
    """The server has sent `ready`."""
    END = "END"
    """The server has sent `ended`."""
    LOSE = "LOSE"
    """The connection was lost, and another attempt may succeed."""
    RETRY = "RETRY"
    """The wait before the next attempt is over."""
    FINISH = "FINISH"
    """The connection was closed after the last event."""
    FAIL = "FAIL"
    """The stream cannot continue."""
    CLOSE = "CLOSE"
    """The application closes the stream, without waiting for results."""


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
