"""The interface between the engine and what recognises speech.

A transcriber is a model in this process, a script for tests, or an engine that runs elsewhere: the
engine calls `transcribe` from `at_once` threads and waits for the answer, wherever it is computed.
"""

from collections.abc import Sequence
from typing import Protocol

from stream.core.windows import Hypothesis, Window


class Transcriber(Protocol):
    """Turns windows into hypotheses."""

    name: str
    languages: tuple[str, ...]
    at_once: int
    """How many threads can usefully call `transcribe` at the same time."""

    def token_bytes(self, token: int) -> bytes:
        """Return the bytes of UTF-8 that a token spells; they may be a part of a character."""

    def transcribe(self, windows: Sequence[Window]) -> list[Hypothesis]:
        """Return one hypothesis for each window, in order; one that fails says so in `failure`."""
