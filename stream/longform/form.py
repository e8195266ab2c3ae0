"""What every long-form algorithm looks like: a pure object between audio and engine.

`receive_*` in, `*_to_transcribe` and `segments` out, as a session has it; an algorithm does no I/O,
reads no clock, and knows no model.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from stream.core.hypothesis import DecodingOptions, Hypothesis, Window
from stream.core.settings import MAX_KEYTERMS, MAX_PROMPT_LENGTH
from stream.core.vad import VoiceDetector
from stream.errors import UsageError
from stream.longform.results import Segment

LongForm = Literal["chunked", "sequential"]

LONGEST_CHUNK_S = 30.0
"""Whisper hears no further."""
SHORTEST_CHUNK_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class FileOptions:
    """How a recording is to be transcribed. Raises `UsageError` for what cannot be."""

    language: str = "auto"
    """Code of the language, or `auto`: what is heard, window by window."""
    task: str = "transcribe"
    """`transcribe`, or `translate` into English."""
    prompt: str = ""
    """Text that the model reads as if it had been said before."""
    keyterms: tuple[str, ...] = ()
    """Names and terms to expect."""
    long_form: LongForm = "chunked"
    """`chunked`: windows by themselves, many at once. `sequential`: one after the other, each with
    the text of the one before."""
    chunk_length_s: float = 28.0
    """The longest window, strides included."""
    stride_s: float | None = None
    """What a window hears beyond either end of its own part, where there is no pause to cut in; a
    sixth of the chunk unless told."""

    def __post_init__(self) -> None:
        if self.task not in ("transcribe", "translate"):
            raise UsageError(f"task is {self.task!r}; use transcribe or translate.")
        if self.long_form not in ("chunked", "sequential"):
            raise UsageError(f"long_form is {self.long_form!r}; use chunked or sequential.")
        if not SHORTEST_CHUNK_S <= self.chunk_length_s <= LONGEST_CHUNK_S:
            raise UsageError(
                f"chunk_length_s is {self.chunk_length_s:g}; use {SHORTEST_CHUNK_S:g} to "
                f"{LONGEST_CHUNK_S:g} seconds."
            )
        if not 0.1 <= self.stride <= self.chunk_length_s / 4:
            raise UsageError(
                f"stride_s is {self.stride:g}; use 0.1 to {self.chunk_length_s / 4:g} seconds, a "
                "quarter of the chunk."
            )
        if len(self.prompt) > MAX_PROMPT_LENGTH or len(self.keyterms) > MAX_KEYTERMS:
            raise UsageError(
                f"A prompt has at most {MAX_PROMPT_LENGTH} characters, and there are at most "
                f"{MAX_KEYTERMS} key terms."
            )

    @property
    def stride(self) -> float:
        """Seconds."""
        return self.chunk_length_s / 6 if self.stride_s is None else self.stride_s

    def decoding(self, expected_language: str = "", prompt: str | None = None) -> DecodingOptions:
        """What a window's words are asked to be."""
        return DecodingOptions(
            language=self.language,
            expected_language=expected_language,
            task=self.task,
            prompt=self.prompt if prompt is None else prompt,
            keyterms=self.keyterms,
        )


@dataclass(frozen=True, slots=True)
class Place:
    """Whose windows these are."""

    session: str
    channel: int
    window_ids: Iterator[int]
    """Of the whole session."""


class Form(Protocol):
    """One channel of a recording."""

    problems: list[str]
    """Windows that could not be transcribed, a sentence each."""

    def receive_samples(self, samples: NDArray[np.float32]) -> None:
        """Take (n_samples,) more at 16 kHz."""

    def receive_end(self) -> None:
        """Take note that no more comes."""

    def receive_hypothesis(self, hypothesis: Hypothesis) -> None:
        """Take the engine's answer to a window."""

    def windows_to_transcribe(self) -> list[Window]:
        """Return the windows that became due, each once."""

    def segments(self) -> list[Segment]:
        """Return the segments that became certain, in order, each once."""


def new_form(options: FileOptions, place: Place, detector: Callable[[], VoiceDetector]) -> Form:
    """Return the algorithm that the options name."""
    from stream.longform.chunked import Chunked  # they import this module
    from stream.longform.sequential import Sequential

    algorithms: dict[LongForm, type[Chunked] | type[Sequential]] = {
        "chunked": Chunked,
        "sequential": Sequential,
    }
    return algorithms[options.long_form](options, place, detector())
