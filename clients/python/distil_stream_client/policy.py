"""When a stream reconnects, how long it waits, and when it gives a silent server up.

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
        1014,  # a proxy whose server is not there
        IDLE,
        RESUME_REFUSED,
    }
)
"""Close codes after which another connection may succeed."""

RETRIED_REFUSALS = frozenset({"http_502", "http_503", "http_504"})
"""Refusals that pass: the server is busy or not ready yet, or a proxy waits for it."""

RETRIED_ERRORS = frozenset({"internal"})
"""Fatal errors after which another connection may succeed; the close code follows."""

FIRST_WAIT_S = 0.3
LONGEST_WAIT_S = 10.0
"""Before an attempt to reconnect; each wait is twice the one before, give or take a quarter."""

STEADY_S = 10.0
"""A connection that was live for so long counts as good: waits begin with the shortest again."""

ANSWERED_EVERY_S = 2.0
"""Seconds of audio after which a server has certainly answered: it does after each second."""

MOST_DOUBLINGS = 20
"""Keeps the powers of two finite."""

KEEPALIVE_PART = 0.3
"""Part of the server's `idle_s` after which a keepalive is sent if nothing else was."""

IDLE_S = 60.0
"""The `idle_s` of a server that announces none."""

LONGEST_FRAME_BYTES = 64_000
"""Audio in one message, if there is so much to send."""


class Backoff:
    """Decides how long to wait before the next connection, and when there is to be none."""

    def __init__(self, reconnect_s: float, random: Callable[[], float]) -> None:
        self._reconnect_s = reconnect_s
        self._random = random
        self._attempts = 0
        """To reconnect, since the last good connection."""
        self._live_since_s = 0.0
        self._good = False
        self._lost_since_s: float | None = None

    def note_live(self, now_s: float) -> None:
        """Take note that a connection is live."""
        self._good = False
        self._live_since_s = now_s

    def note_progress(self) -> None:
        """Take note that the connection has brought the stream forward: it is a good one."""
        self._good = True

    def wait_s(self, now_s: float, *, was_live: bool, at_once: bool) -> float | None:
        """Return the seconds to wait before the next attempt; None to give up.

        Args:
            now_s: the time.
            was_live: whether the connection that is lost was live.
            at_once: whether there need be no wait, if that connection was a good one.
        """
        good = was_live and (self._good or now_s - self._live_since_s >= STEADY_S)
        if good or self._lost_since_s is None:
            self._attempts, self._lost_since_s = 0, now_s
        doubled = min(FIRST_WAIT_S * 2.0**self._attempts, LONGEST_WAIT_S)
        # Varied, so that the clients of a server do not all come back at the same moment.
        wait_s = 0.0 if at_once and good else doubled * (0.75 + self._random() / 2)
        self._attempts = min(self._attempts + 1, MOST_DOUBLINGS)
        return None if now_s + wait_s > self._lost_since_s + self._reconnect_s else wait_s


class Patience:
    """Decides when a server that owes an answer is given up."""

    def __init__(self, silent_s: float) -> None:
        self.silent_s = silent_s
        self._silences = 0
        """How often a server was given up since the last progress: each time later."""
        self._owed_since_s: float | None = None

    def note(self, owes_answer: bool, now_s: float) -> None:
        """Take note whether the server owes an answer."""
        if not owes_answer:
            self._owed_since_s = None
        elif self._owed_since_s is None:
            self._owed_since_s = now_s

    def note_answer(self) -> None:
        """Take note that the server has sent something."""
        self._owed_since_s = None

    def note_progress(self) -> None:
        """Take note that the server keeps up: its next silence is measured from the shortest."""
        self._silences = 0

    def note_given_up(self) -> None:
        """Take note that the server was given up: it may only have been slow."""
        self._owed_since_s = None
        self._silences = min(self._silences + 1, MOST_DOUBLINGS)

    @property
    def until_s(self) -> float:
        """When the server is given up; infinity if it owes nothing."""
        if self._owed_since_s is None:
            return math.inf
        return self._owed_since_s + self.silent_s * 2.0**self._silences
