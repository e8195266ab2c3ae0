"""A part of a file as a file of its own."""

import io
from typing import BinaryIO


class FileSlice(io.RawIOBase, BinaryIO):
    """Reads the bytes [start, end) of an open file, which others may move meanwhile."""

    def __init__(self, file: BinaryIO, start: int, end: int) -> None:
        self._file = file
        self._start = start
        self._size = end - start
        self._at = 0

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def tell(self) -> int:
        """Return the position."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move, and return the position."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = max(base + offset, 0)
        return self._at

    def read(self, size: int = -1) -> bytes:
        """Return up to `size` bytes; all that are left if it is negative."""
        left = max(self._size - self._at, 0)
        if not left:  # FFmpeg may have moved beyond any position that a file can have
            return b""
        self._file.seek(self._start + self._at)
        data = self._file.read(left if size < 0 else min(size, left))
        self._at += len(data)
        return data
