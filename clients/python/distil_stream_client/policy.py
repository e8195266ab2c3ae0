"""When a stream reconnects, how long it waits, and when it considers a silent server lost.

The constants are those of the JavaScript client (`clients/javascript/policy.js`).
"""

import math
from collections.abc import Callable

GOING_AWAY = 1001
IDLE = 4000
RESUME_REFUSED = 4002

RETRIED_CLOSES = frozenset(
    {
        None,  # no close frame: the connection broke
        GOING_AWAY,
        1005,  # a close frame without a code, as some proxies send
        1011,  # a fault of the server
        1012,  # the server restarts
        1013,  # the client did not read for too long, as when its computer was suspended
        1014,  # a proxy that cannot reach the server
        IDLE,
        RESUME_REFUSED,
    }
)
"""Close codes after which another connection may succeed."""

RETRIED_REFUSALS = frozenset({"http_429", "http_502", "http_503", "http_504"})
"""Temporary refusals: the key is over a limit, the server is busy or not ready yet, or a proxy
cannot reach it."""

RETRIED_ERRORS = frozenset({"internal"})
"""Fatal errors after which another connection may succeed; the close code follows."""

FIRST_WAIT_S = 0.3
LONGEST_WAIT_S = 10.0
"""The longest wait before an attempt to reconnect. Each wait is twice the one before, varied by up
to 25 %."""

STEADY_S = 10.0
"""A connection that was live for this long counts as good: waits begin at `FIRST_WAIT_S` again."""

ANSWERED_EVERY_S = 2.0
"""Seconds of audio within which a server must answer; it reports progress after each second."""

MOST_DOUBLINGS = 20
"""Greatest number of times that a wait is doubled, so that it stays finite."""

KEEPALIVE_PART = 0.3
"""Fraction of the server's `idle_s` after which a keepalive is sent if nothing else was sent."""

IDLE_S = 60.0
"""The `idle_s` that is assumed for a server that does not announce it."""

LONGEST_FRAME_BYTES = 64_000
"""The most bytes of audio in one message."""


class Backoff:
    """Decides how long to wait before the next attempt to connect, and when to stop trying."""

    def __init__(self, reconnect_s: float, random: Callable[[], float]) -> None:
        self._reconnect_s = reconnect_s
        self._random = random
        self._attempts = 0
        """Attempts to reconnect since the last good connection."""
        self._live_since_s = 0.0
        self._good = False
        self._lost_since_s: float | None = None

    def note_live(self, now_s: float) -> None:
        """Record that a connection is live."""
        self._good = False
        self._live_since_s = now_s

    def note_progress(self) -> None:
        """Record that the stream has made progress on the connection, which makes it a good one."""
        self._good = True

    def wait_s(self, now_s: float, *, was_live: bool, at_once: bool) -> float | None:
        """Return the seconds to wait before the next attempt; None to give up.

        Args:
            now_s: the current time.
            was_live: whether the connection that was lost was live.
            at_once: whether to return 0 if that connection was a good one.
        """
        good = was_live and (self._good or now_s - self._live_since_s >= STEADY_S)
        if good or self._lost_since_s is None:
            self._attempts, self._lost_since_s = 0, now_s
        doubled = min(FIRST_WAIT_S * 2.0**self._attempts, LONGEST_WAIT_S)
        # The wait is varied, so that the clients of a server do not all reconnect at once.
        wait_s = 0.0 if at_once and good else doubled * (0.75 + self._random() / 2)
        self._attempts = min(self._attempts + 1, MOST_DOUBLINGS)
        return None if now_s + wait_s > self._lost_since_s + self._reconnect_s else wait_s


class Patience:
    """Decides when a server that has not answered is considered lost.

    The time that a server has to answer doubles with each silence, because it may only be slow.
    """

    def __init__(self, silent_s: float) -> None:
        self.silent_s = silent_s
        self._silences = 0
        """How many times a server was considered lost since the last progress."""
        self._owed_since_s: float | None = None

    def note(self, owes_answer: bool, now_s: float) -> None:
        """Record whether the server has yet to answer; the first time starts the clock."""
        if not owes_answer:
            self._owed_since_s = None
        elif self._owed_since_s is None:
            self._owed_since_s = now_s

    def note_answer(self) -> None:
        """Record that the server has sent a message, which stops the clock."""
        self._owed_since_s = None

    def note_progress(self) -> None:
        """Record that the server makes progress: the time to answer is `silent_s` again."""
        self._silences = 0

    def note_given_up(self) -> None:
        """Record that the server was considered lost: the next time to answer is twice as long."""
        self._owed_since_s = None
        self._silences = min(self._silences + 1, MOST_DOUBLINGS)

    @property
    def until_s(self) -> float:
        """The time at which the server is considered lost; infinity if no answer is due."""
        if self._owed_since_s is None:
            return math.inf
        return self._owed_since_s + self.silent_s * 2.0**self._silences
