"""The data that session and engine exchange: the session sends a window, and gets a hypothesis.

Sample indices are absolute: they count 16 kHz samples of one channel from the start of its
session, so that the time of a word does not depend on its window.
"""

from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray


class WindowKind(Enum):
    """The kind of a window, by which `engine.scheduler` orders windows."""

    PARTIAL = "partial"
    """The utterance is not over; a newer window of it replaces this one in the queue."""
    FINAL = "final"
    """The utterance is over, or is over unless speech continues."""
    FILE = "file"
    """The window belongs to a recording; windows of live streams come first."""


@dataclass(frozen=True, slots=True)
class DecodingOptions:
    """The settings of a stream that affect the decoding of a window."""

    language: str = "en"
    """A language code of the model, or `auto`."""
    expected_language: str = ""
    """With `auto`, the language of the stream so far; another one must be much more probable to be
    detected instead. Empty if no language is expected."""
    task: str = "transcribe"
    """`transcribe` or `translate`."""
    prompt: str = ""
    """Text that is given to the model as the transcript of preceding speech."""
    keyterms: tuple[str, ...] = ()
    """Names and terms that are likely to occur in the speech."""
    timestamps: bool = False
    """Whether the model generates timestamps, so that the hypothesis can have a `cut`."""


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """A span of the audio of one channel, to be transcribed."""

    session: str
    id: int
    """Number that increases with each window of the session."""
    channel: int
    utterance: int
    kind: WindowKind
    start_sample: int
    samples: NDArray[np.float32]
    """(n_samples,) at 16 kHz, in -1..1."""
    speech: tuple[tuple[int, int], ...]
    """Spans [start_sample, end_sample) within the window in which speech was detected."""
    draft: tuple[int, ...] = ()
    """Tokens of the previous hypothesis within this window, which the model verifies."""
    options: DecodingOptions = DecodingOptions()
    own_sample: int = 0
    """The first sample of the utterance; the audio before it is context whose words are known."""
    awaited: bool = False
    """Whether the utterance has no words to show yet, so that the first ones are urgent."""
    full: bool = False
    """Whether the window has the greatest length, so that the session commits its first words."""

    @property
    def end_sample(self) -> int:
        """The first sample after the window."""
        return self.start_sample + len(self.samples)


@dataclass(frozen=True, slots=True)
class Word:
    """A word as the model spells it, with its leading space, if any, and its punctuation."""

    text: str
    start_sample: int
    end_sample: int
    confidence: float
    """Probability, 0..1."""
    tokens: tuple[int, ...] = ()
    """The model's tokens; those of a hypothesis's words are the draft of the next window."""
    log_probabilities: tuple[float, ...] = ()
    """One for each of the tokens, if the model decoded them."""


@dataclass(frozen=True, slots=True)
class DroppedWord:
    """A word that a guard removed, because it was probably not spoken."""

    guard: str
    """The code of the guard."""
    sample: int
    """The middle of the word."""


@dataclass(frozen=True, slots=True)
class EngineTiming:
    """How long the transcription of a window took, and how much decoding it needed."""

    queue_ms: float = 0.0
    encode_ms: float = 0.0
    decode_ms: float = 0.0
    decoder_passes: int = 0
    drafted_tokens: int = 0
    accepted_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Cut:
    """The end of the last complete segment, in a window that ends within a segment.

    Only the model's timestamps show where segments end.
    """

    words: int
    """Number of leading words of the hypothesis that belong to complete segments."""
    sample: int
    """The sample at which the last complete segment ends."""


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """The words that the engine recognised in a window; none if it holds no speech."""

    window: Window
    words: tuple[Word, ...]
    """The words in order of time; starts and ends never decrease."""
    language: str = "en"
    timing: EngineTiming = EngineTiming()
    cut: Cut | None = None
    """Set if timestamps were requested and the last segment is not complete."""
    dropped: tuple[DroppedWord, ...] = ()
    """The words that guards removed."""
    problems: tuple[str, ...] = ()
    """Codes of the guards whose words are kept, because nothing would be left without them."""
    failure: str = ""
    """If the transcription failed, a sentence with the reason, and no words; else empty."""
