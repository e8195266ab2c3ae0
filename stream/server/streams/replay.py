"""What was sent to one client and may not have reached it.

A socket that breaks takes along what lies in the buffers between here and the client. A client that
comes back says which message it has seen last, and gets those after it once more. Pure.
"""

from collections import deque

LIMIT_BYTES = 256 * 1024
"""As much as those buffers hold: the kernel's here is 128 kB (twice what was asked for, on Linux),
that of the client's kernel seldom more. A client that misses more than that is told so."""


class Sent:
    """The last frames of a stream; the first ever sent is number 1."""

    def __init__(self, limit_bytes: int = LIMIT_BYTES) -> None:
        self.count = 0
        """Frames sent in all."""
        self._limit_bytes = limit_bytes
        self._frames: deque[str | bytes] = deque()
        self._bytes = 0

    def put(self, frame: str | bytes) -> None:
        """Remember a frame; the oldest are forgotten, but never the last."""
        self.count += 1
        self._frames.append(frame)
        self._bytes += len(frame)
        while self._bytes > self._limit_bytes and len(self._frames) > 1:
            self._bytes -= len(self._frames.popleft())

    def after(self, number: int) -> list[str | bytes] | None:
        """Return all frames after that one; None where they are forgotten or never were."""
        missing = self.count - number
        if not 0 <= missing <= len(self._frames):
            return None
        return list(self._frames)[len(self._frames) - missing :]
