"""The interface between the engine and what recognises speech.

A transcriber is a model in this process, a script for tests, or an engine that runs elsewhere: the
engine calls `transcribe` from `at_once` threads and waits for the answer, wherever it is computed.
"""

from collections.abc import Sequence
from typing import Protocol

from stream.core.windows import Hypothesis, Window


class Memories(Protocol):
    """What the encoder keeps of live streams between their windows."""

    hits: int
    """Windows that were encoded with a memory."""
    misses: int
    """Windows of live streams that were encoded without one."""

    @property
    def n_bytes(self) -> int:
        """Return the size of all memories in bytes."""

    def forget(self, session: str) -> None:
        """Remove the memories of a session that has ended."""


class Transcriber(Protocol):
    """Turns windows into hypotheses."""

    name: str
    languages: tuple[str, ...]
    at_once: int
    """How many threads can usefully call `transcribe` at the same time."""

    @property
    def memories(self) -> Memories | None:
        """The memories of streams; None if the transcriber keeps none."""

    def token_bytes(self, token: int) -> bytes:
        """Return the bytes of UTF-8 that a token spells; they may be a part of a character."""

    def transcribe(self, windows: Sequence[Window]) -> list[Hypothesis]:
        """Return one hypothesis for each window, in order; one that fails says so in `failure`."""
