"""The encoder's memories of all streams, within a budget of bytes.

A memory is a saving and never a condition: a window whose memory is gone is encoded in full. Each
channel of a session has one memory. A window takes it out while it is transcribed, so that no two
threads change it. If the budget is exceeded, the memory that was unused the longest is removed.
"""

import threading
import zlib
from collections import OrderedDict
from collections.abc import Callable

import numpy as np

from stream.core.windows import Window, WindowKind
from stream.engine.cores import usable_memory
from stream.engine.network.encoder_memory import EncoderMemory
from stream.engine.words.alignment import SAMPLES_PER_POSITION

SHARE_OF_MEMORY = 4
"""By default the memories may take this part (one in so many) of what the process may use,"""
MOST_BYTES = 1 << 30
"""but not more than this."""

Channel = tuple[str, int]
"""Session, channel."""


def default_budget() -> int:
    """Return how many bytes the memories take at most, unless it is set."""
    return min(usable_memory() // SHARE_OF_MEMORY, MOST_BYTES)


class EncoderMemories:
    """Keeps what windows leave for the next ones; all methods may be called from any thread."""

    def __init__(self, budget_bytes: int, begin: Callable[[int], EncoderMemory]) -> None:
        """Keep nothing yet.

        Args:
            budget_bytes: the most that is kept between windows; 0 keeps nothing.
            begin: makes an empty memory for windows that begin at a sample.
        """
        self.budget_bytes = budget_bytes
        self.hits = 0
        """Windows that were encoded from memory."""
        self.misses = 0
        """Windows of live streams that were encoded in full."""
        self._begin = begin
        self._kept: OrderedDict[Channel, EncoderMemory] = OrderedDict()
        """The longest unused first."""
        self._bytes: dict[Channel, int] = {}
        self._audio: dict[Channel, int] = {}
        """Checksums of the audio that is settled."""
        self._lock = threading.Lock()

    @property
    def n_bytes(self) -> int:
        """Bytes that are kept; memories in use are not counted."""
        with self._lock:
            return sum(self._bytes.values())

    def take(self, window: Window, refresh: int) -> EncoderMemory | None:
        """Take out the memory for a window; None if the window neither uses nor leaves one.

        Args:
            window: that is about to be encoded.
            refresh: positions before the window's end that are encoded in any case.
        """
        if not self.budget_bytes or window.kind is WindowKind.FILE:
            return None
        channel = window.session, window.channel
        with self._lock:
            memory = self._kept.get(channel)
            if (
                memory is not None
                and serves(memory, window, refresh)
                and checksum(memory, window) == self._audio[channel]
            ):
                self._remove(channel)
                self.hits += 1
                return memory
            self.misses += 1
        # A final that begins elsewhere leaves the memory to the partials.
        return self._begin(window.start_sample) if window.kind is WindowKind.PARTIAL else None

    def put(self, window: Window, memory: EncoderMemory) -> None:
        """Keep what a window has left, in place of an older memory of its channel."""
        n_bytes = memory.n_bytes
        if not n_bytes:
            return
        channel = window.session, window.channel
        with self._lock:
            self._remove(channel)
            self._kept[channel], self._bytes[channel] = memory, n_bytes
            self._audio[channel] = checksum(memory, window)
            while sum(self._bytes.values()) > self.budget_bytes:
                self._remove(next(iter(self._kept)))

    def forget(self, session: str) -> None:
        """Remove the memories of a session that has ended."""
        with self._lock:
            for channel in [channel for channel in self._kept if channel[0] == session]:
                self._remove(channel)

    def _remove(self, channel: Channel) -> None:
        self._kept.pop(channel, None)
        self._bytes.pop(channel, None)
        self._audio.pop(channel, None)


def checksum(memory: EncoderMemory, window: Window) -> int:
    """Return a number that differs if the settled audio of a window differs.

    Sessions of one engine should have names of their own; this makes sure that one stream never
    gets the words of another. One sample of ten is read.
    """
    settled = window.samples[: memory.n_settled * SAMPLES_PER_POSITION : 10]
    return zlib.crc32(np.ascontiguousarray(settled).tobytes())


def serves(memory: EncoderMemory, window: Window, refresh: int) -> bool:
    """Return whether a window may be encoded from this memory.

    It must begin at the same sample. One that ends well before the window that filled the memory
    would have hardly any fresh positions.
    """
    if memory.start_sample != window.start_sample:
        return False
    fresh = len(window.samples) // SAMPLES_PER_POSITION - memory.n_settled
    return fresh >= refresh // 2
