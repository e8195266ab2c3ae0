"""Reads the joined files of a byte stream one by one, as the bytes arrive."""

from collections.abc import Callable, Iterator

from stream.media.joined import LONGEST_START, Run, Start, runs_of


class PartReader:
    """An input of FFmpeg that ends where a file ends; `begin` goes on to the next one."""

    def __init__(self, read: Callable[[int], bytes]) -> None:
        """Take the function that reads 1 to n bytes of the stream; none at its end."""
        self._read = read
        self._ahead = bytearray()
        """Bytes that were read and not passed on."""
        self._runs: Iterator[Run] = iter(())
        self._run: Run | None = None
        self._left = 0
        """Bytes that are left of the run."""

    def begin(self) -> bool:
        """Go on to the next file; return False at the end of the stream."""
        while self.read(1 << 16):
            pass
        if not self.peek(1):
            return False
        self._runs, self._run = runs_of(self.peek), None
        return True

    def peek(self, n: int) -> bytes:
        """Return the next n bytes without passing them on; fewer at the end of the stream."""
        while len(self._ahead) < n and (data := self._read(n - len(self._ahead))):
            self._ahead += data
        return bytes(self._ahead[:n])

    def read(self, size: int) -> bytes:
        """Return 1 to `size` bytes of this file; none at its end."""
        while True:
            if self._run is None:
                self._run = next(self._runs, None)
                if self._run is None:
                    return b""
                self._left = self._run.length
            run = self._run
            data = self._take(min(size, self._left), run)
            self._left -= len(data)
            if not data:  # the stream ends, or another file begins
                self._runs = iter(())
            if not data or not self._left:
                self._run = None
            if data and run.kept:
                return data

    def _take(self, size: int, run: Run) -> bytes:
        """Take up to `size` bytes of a run; none if it ends here."""
        if not self._ahead:
            self._ahead += self._read(size)
        if run.start is not None:
            size = min(size, self._before_start(run.start))
        data = bytes(self._ahead[:size])
        del self._ahead[:size]
        return data

    def _before_start(self, start: Start) -> int:
        """Return how many of the bytes ahead are before another file: 0 if it begins with them.

        Bytes that may be the first of a file are not passed on until more of them have come.
        """
        while True:
            if found := start.pattern.search(self._ahead):
                return found.start()
            tail = range(max(len(self._ahead) - LONGEST_START, 0), len(self._ahead))
            doubtful = (at for at in tail if start.may_begin(bytes(self._ahead[at : at + 4])))
            before = next(doubtful, len(self._ahead))
            more = b"" if before else self._read(LONGEST_START)
            if not more:
                return before or len(self._ahead)
            self._ahead += more
