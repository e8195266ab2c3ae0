"""Stores the last messages that were sent to a client, because they may not have reached it.

If a socket breaks, the data in the buffers between server and client is lost. A client that
resumes its stream names the last message that it received, and gets the later ones again. Pure.
"""

from collections import deque

LIMIT_BYTES = 256 * 1024
"""The size of those buffers together: the send buffer of this kernel has 128 kB (on Linux, twice
the requested size), and the receive buffer of the client's kernel is seldom larger. A client that
missed more than that cannot resume."""


class ReplayBuffer:
    """The last frames of a stream; the first frame of the stream has number 1."""

    def __init__(self, limit_bytes: int = LIMIT_BYTES) -> None:
        self.count = 0
        """Number of frames that were ever sent."""
        self._limit_bytes = limit_bytes
        self._frames: deque[str | bytes] = deque()
        self._bytes = 0

    def append(self, frame: str | bytes) -> None:
        """Store a frame, and drop the oldest ones above the limit, but never the last one."""
        self.count += 1
        self._frames.append(frame)
        self._bytes += len(frame)
        while self._bytes > self._limit_bytes and len(self._frames) > 1:
            self._bytes -= len(self._frames.popleft())

    def after(self, number: int) -> list[str | bytes] | None:
        """Return the frames after that number; None if one was dropped or it was never sent."""
        missing = self.count - number
        if not 0 <= missing <= len(self._frames):
            return None
        return list(self._frames)[len(self._frames) - missing :]
