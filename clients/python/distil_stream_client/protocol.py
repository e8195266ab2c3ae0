"""A stream that reconnects, without I/O: it has no socket and reads no clock.

A driver (`client.py`, over asyncio) connects it to a websocket and to the clock. The driver passes
on the requests of the application, the messages that arrive, and the time. After each call it
carries out `actions_to_take()`, sends `next_frame()` as long as there is one and the socket accepts
more, delivers `events_to_tell()` to the application, and calls `receive_time` at `wake_at_s`. The
states and their transitions are in `states.py`.

The JavaScript client has the same object (`clients/javascript/protocol.js`). The tests of both
replay the same recorded conversations (`clients/conversations`).
"""

import json
import math
import random as random_numbers
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any

from distil_stream_client import policy
from distil_stream_client.continuity import Continuity
from distil_stream_client.errors import ConnectionLost, Failure, ServerError
from distil_stream_client.events import Ended, Error, Progress, Ready, ServerEvent, parse
from distil_stream_client.policy import Backoff, Patience
from distil_stream_client.states import TRANSITIONS, Cause, State
from distil_stream_client.unsettled import Message

WHY_ENDED = {
    policy.GOING_AWAY: "The server was stopped; the finals so far were sent.",
    policy.IDLE: "The server ended the stream because it received nothing for "
    "`ready.limits.idle_s` seconds; the finals so far were sent. Open a new stream, and send "
    "`keepalive` while there is no audio.",
}
"""By close code, the reason why a server ended a stream before the client did."""


class Action(Enum):
    """What the driver must do with the socket."""

    CONNECT = "CONNECT"
    """Open a websocket, then call `receive_connected`, `receive_refusal` or `receive_lost`."""
    CLOSE = "CLOSE"
    """Close the websocket, or stop opening it; ignore messages that it still receives."""
    ABORT = "ABORT"
    """Like CLOSE, but without a close frame, after which the server would drop the stream."""


class StreamProtocol:
    """One stream, from its opening to its end, over as many connections as it takes."""

    def __init__(
        self,
        settings: Mapping[str, Any],
        *,
        reconnect_s: float = 60,
        silent_s: float = 30,
        open_timeout_s: float = 10,
        keep_alive: bool = False,
        random: Callable[[], float] = random_numbers.random,
    ) -> None:
        """Start in the state `NEW`, before `open`.

        Args:
            settings: the fields of `start`.
            reconnect_s: seconds within which a lost connection must be replaced; 0 if it is not
                replaced, infinity for no limit.
            silent_s: seconds without an expected answer after which the connection is considered
                lost; doubled after each such loss without progress.
            open_timeout_s: greatest number of seconds until a websocket is open, and again from
                then until its `ready` arrives.
            keep_alive: whether the stream stays open while the application sends nothing. Then
                keepalives are sent in time, and if the server still ends the stream, a new one
                continues it.
            random: returns numbers from 0 to 1, by which the waits are varied.
        """
        self.state = State.NEW
        self.ready: Ready | None = None
        """The last `ready`: the model, the session and its limits."""
        self.failure: Failure | None = None
        """Why the stream failed; None if it is open, or ended at the application's request."""
        self.patience = Patience(silent_s)
        self.continuity = Continuity(settings, wanted=reconnect_s > 0)
        self.wait_until_s = 0.0
        """The time of the next attempt, in the state `WAITING`."""
        self._open_timeout_s = open_timeout_s
        self._keep_alive = keep_alive
        self._backoff = Backoff(reconnect_s, random)
        self._now_s = 0.0
        self._deadline_s = math.inf
        """The time by which the expected websocket, `ready` or close frame must arrive."""
        self._last_sent_s = 0.0
        self._has_socket = False
        self._token = ""
        """Token to resume the stream; empty if the server no longer has the stream."""
        self._early_end: Ended | None = None
        """An `ended` before the end of the application's audio, which was not delivered yet."""
        self._why: Failure | None = None
        """Why the last live connection was lost."""
        self._over = ConnectionLost("The stream was closed.")
        """The exception for an application that sends on a stream that has ended."""
        self._actions: list[Action] = []
        self._events: list[ServerEvent] = []

    # Called for the application

    def open(self) -> None:
        """Open the stream."""
        self._connect(Cause.OPEN)

    def send_audio(self, data: bytes) -> None:
        """Add audio to be sent, channels interleaved; pieces may have any size.

        Raises `ConnectionLost` or `ServerError` if the stream is over.
        """
        self._check_open()
        self.continuity.log.add_audio(data)

    def send_message(self, message: Message) -> None:
        """Add a message to be sent after the audio added so far.

        Raises `ConnectionLost` or `ServerError` if the stream is over.
        """
        self._check_open()
        self.continuity.add_message(message)

    def reconnect_now(self) -> None:
        """If waiting to reconnect, make the next attempt now, because the network is available."""
        if self.state is State.WAITING:
            self._connect(Cause.RETRY)

    def close(self) -> None:
        """Close the stream at once; audio that is not sent or settled is lost."""
        if self.state is not State.CLOSED:
            self._drop(Action.CLOSE)
            self._move(Cause.CLOSE)

    # Called for the socket

    def receive_connected(self) -> None:
        """Record that the websocket is open; the driver then sends `start_message()`."""
        self._move(Cause.RESUME if self._token else Cause.START)
        self._deadline_s = self._now_s + self._open_timeout_s

    def receive_refusal(self, refusal: ServerError) -> None:
        """Record that the server answered with an HTTP error instead of opening a websocket."""
        self._has_socket = False
        if self._may_come_back and refusal.code in policy.RETRIED_REFUSALS:
            self._lose(refusal)
        else:
            self._fail(refusal)

    def receive_lost(self, why: ConnectionLost) -> None:
        """Record that the websocket was closed, or could not be opened."""
        self._has_socket = False
        closed = why.close_code is not None
        if closed:
            self._token = ""  # A server that closes the websocket drops the stream.
        if self.state is State.ENDED:
            self._receive_close_after_ended(why.close_code)
        elif self._may_come_back and why.close_code in policy.RETRIED_CLOSES:
            self._lose(why, at_once=closed)
        else:
            self._fail(why)

    def receive_message(self, message: str | bytes) -> None:
        """Take a text frame that the websocket has received."""
        if self.state not in (State.STARTING, State.RESUMING, State.LIVE):
            return
        self.patience.note_answer()
        try:
            event = parse(message)
        except ValueError as error:
            self._fail(ServerError("bad_message", f"The server sent {error}"))
            return
        match event:
            case Error(fatal=True):
                self._receive_fatal(event)
            case Ready():
                self._receive_ready(event)
            case Ended():
                self._receive_ended(event)
            case _:
                if isinstance(event, Progress) and self.state is State.LIVE:
                    self._backoff.note_progress()
                    self.patience.note_progress()
                self._events += self.continuity.receive(event)
        self.patience.note(self.continuity.owes_answer, self._now_s)

    # Called for the clock

    def receive_time(self, now_s: float) -> None:
        """Set the time, in seconds of a monotonic clock, and do what is due.

        A driver calls it before every other `receive_*` or application call, and at `wake_at_s`.
        """
        self._now_s = now_s
        if now_s < self.wake_at_s:
            return
        match self.state:
            case State.WAITING:
                self._connect(Cause.RETRY)
            case State.LIVE if now_s >= self.patience.until_s:
                self.patience.note_given_up()
                self._give_connection_up(
                    "An expected message of the server did not arrive in time."
                )
            case State.LIVE:
                self._last_sent_s = now_s
                self.continuity.add_message({"type": "keepalive"})
            case State.CONNECTING:
                self._give_connection_up("The connection to the server did not open in time.")
            case _:
                self._give_connection_up("The server did not send `ready` in time.")

    @property
    def wake_at_s(self) -> float:
        """The time at which `receive_time` must be called; infinity if nothing is due."""
        match self.state:
            case State.NEW | State.CLOSED:
                return math.inf
            case State.WAITING:
                return self.wait_until_s
            case State.LIVE:
                return min(self.patience.until_s, self._keepalive_at_s)
        return self._deadline_s

    # Results for the driver

    def actions_to_take(self) -> list[Action]:
        """Return the actions since the last call, in order."""
        actions, self._actions = self._actions, []
        return actions

    def events_to_tell(self) -> list[ServerEvent]:
        """Return the events since the last call, for delivery to the application."""
        events, self._events = self._events, []
        return events

    @property
    def all_sent(self) -> bool:
        """Whether all audio and messages were sent on the current connection."""
        connected = self.state in (State.LIVE, State.ENDED)
        return connected and self.continuity.log.all_sent

    def start_message(self) -> str:
        """Return the first frame of a connection, to be sent after `receive_connected`."""
        if self.state is State.RESUMING and self.ready:
            resume = {
                "session": self.ready.session,
                "token": self._token,
                "seq": self.continuity.timeline.last_seq,
            }
            return json.dumps({"type": "start", "resume": resume})
        return json.dumps({"type": "start", **self.continuity.settings})

    def next_frame(self) -> str | bytes | None:
        """Return the next frame to send, and count it as sent; None if there is none for now."""
        if self.state is not State.LIVE or not self.ready:
            return None
        most = self.ready.limits.max_frame_bytes or policy.LONGEST_FRAME_BYTES
        item = self.continuity.take(min(most, policy.LONGEST_FRAME_BYTES))
        if item is None:
            return None
        self._last_sent_s = self._now_s
        self.patience.note(self.continuity.owes_answer, self._now_s)
        return json.dumps(item) if isinstance(item, dict) else item

    # Connections

    @property
    def _may_come_back(self) -> bool:
        return self.ready is not None and self.continuity.possible

    @property
    def _keepalive_at_s(self) -> float:
        if not self._keep_alive or not self.ready:
            return math.inf
        idle_s = self.ready.limits.idle_s or policy.IDLE_S
        return self._last_sent_s + policy.KEEPALIVE_PART * idle_s

    def _connect(self, cause: Cause) -> None:
        self._move(cause)
        self._actions.append(Action.CONNECT)
        self._has_socket = True
        self._deadline_s = self._now_s + self._open_timeout_s

    def _drop(self, action: Action) -> None:
        """Request `CLOSE` or `ABORT` of the websocket, if there is one."""
        if self._has_socket:
            self._actions.append(action)
        self._has_socket = False

    def _give_connection_up(self, why: str) -> None:
        # After a close frame the server would drop the stream. So if the stream can be resumed, the
        # websocket is aborted without one.
        self._drop(Action.ABORT if self._token else Action.CLOSE)
        self.receive_lost(ConnectionLost(why))

    def _lose(self, why: Failure, *, at_once: bool = False) -> None:
        """Reconnect after a wait; fail if the wait would exceed `reconnect_s` since the loss.

        If `at_once`, there is no wait after a good connection.
        """
        was_live = self.state in (State.LIVE, State.ENDED)
        if was_live or self._why is None:
            self._why = why
        wait_s = self._backoff.wait_s(self._now_s, was_live=was_live, at_once=at_once)
        if wait_s is None:
            self._fail(self._why)
            return
        self._move(Cause.LOSE)
        self.wait_until_s = self._now_s + wait_s
        if not wait_s:
            self._connect(Cause.RETRY)

    def _fail(self, failure: Failure) -> None:
        """Close the stream with a failure, and release the events that were held back."""
        if self._early_end:
            self._events += self.continuity.receive(self._early_end)
        self._events += self.continuity.release()
        self._drop(Action.CLOSE)
        self._move(Cause.FAIL)
        self.failure = failure

    def _move(self, cause: Cause) -> None:
        self.state = TRANSITIONS[self.state][cause]

    def _check_open(self) -> None:
        if self.failure:
            raise self.failure
        if self.state is State.CLOSED or (self.state is State.ENDED and not self._early_end):
            raise self._over

    # Beginning and end of a stream of the server

    def _receive_fatal(self, error: Error) -> None:
        if error.code == "resume_refused" and self.state is State.RESUMING:
            self._token = ""
            self._drop(Action.CLOSE)
            self._move(Cause.LOSE)
            self._connect(Cause.RETRY)
        elif not (self._may_come_back and error.code in policy.RETRIED_ERRORS):
            self._fail(ServerError(error.code, error.message))

    def _receive_ready(self, ready: Ready) -> None:
        if self.state is State.LIVE:
            return
        if self.state is State.RESUMING:
            self._events += self.continuity.resume(ready)
        else:
            # Only now is the early end dropped: if no server had accepted the stream, `_fail` would
            # have delivered it.
            self._early_end = None
            self._events += self.continuity.begin_anew(ready)
        self._move(Cause.READY)
        self.ready = ready
        self._token = ready.resume_token if self.continuity.possible else ""
        self._last_sent_s = self._now_s
        self._backoff.note_live(self._now_s)

    def _receive_ended(self, ended: Ended) -> None:
        if self.state is State.STARTING:
            return  # The server is being stopped; its close frame leads to the next attempt.
        self._move(Cause.END)
        self._deadline_s = self._now_s + self._open_timeout_s
        self._token = ""
        if self.continuity.is_complete(ended):
            self._over = ended_by_server(1000)
            self._events += self.continuity.receive(ended)
        else:
            self._early_end = ended  # The close code, which follows, is the reason.

    def _receive_close_after_ended(self, code: int | None) -> None:
        """Continue with another stream if the server ended this one before the application did."""
        early = self._early_end
        if early is None:
            self._move(Cause.FINISH)
            return
        # If the stream ended because it was idle, another one is opened only if there is unsent
        # audio or the application has chosen `keep_alive`.
        wanted = code != policy.IDLE or self._keep_alive or self.continuity.has_more(early)
        if self.continuity.possible and code in policy.RETRIED_CLOSES and wanted:
            self._lose(ended_by_server(code), at_once=True)
        elif self.continuity.end_asked and code != policy.GOING_AWAY:
            self._events += self.continuity.receive(early)
            self._move(Cause.FINISH)
        else:
            self._fail(ended_by_server(code))


def ended_by_server(code: int | None) -> ConnectionLost:
    """Return the exception for a stream that the server ended with this close code."""
    return ConnectionLost(WHY_ENDED.get(code or 0, f"The server ended the stream ({code})."), code)
