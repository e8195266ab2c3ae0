"""What passes between a session and the engine: a window goes out, a hypothesis comes back.

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
    """The utterance goes on: a newer window replaces this one."""
    FINAL = "final"
    """The utterance is over, or may be."""
    FILE = "file"
    """The window of a recording, which waits for those of live streams."""


@dataclass(frozen=True, slots=True)
class DecodingOptions:
    """How the client wants its words decoded."""

    language: str = "en"
    """A language code of the model, or `auto`."""
    expected_language: str = ""
    """With `auto`: the last language; another one must be much likelier to be detected."""
    task: str = "transcribe"
    """`transcribe` or `translate`."""
    prompt: str = ""
    """Text that the model reads as if it had been spoken before."""
    keyterms: tuple[str, ...] = ()
    """Names and terms to expect."""
    timestamps: bool = False
    """Let the model write timestamps, and return where its last complete segment ends."""


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """A span of one channel's audio that is to be transcribed."""

    session: str
    id: int
    """Unique within the session, counting up."""
    channel: int
    utterance: int
    kind: WindowKind
    start_sample: int
    samples: NDArray[np.float32]
    """(n_samples,) at 16 kHz, in -1..1."""
    speech: tuple[tuple[int, int], ...]
    """Spans [start_sample, end_sample) within the window in which speech was detected."""
    draft: tuple[int, ...] = ()
    """Tokens of the previous hypothesis in this window; the model verifies each of them."""
    options: DecodingOptions = DecodingOptions()
    own_sample: int = 0
    """Where the utterance begins; before it is its context, whose words are known."""
    awaited: bool = False
    """Whether its utterance has no words to show yet, so that its reader waits for the first."""
    full: bool = False
    """Whether it has grown to the session's limit, so that the session commits its first words."""

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
class EngineTiming:
    """The times of a hypothesis, and the work of its decoding."""

    queue_ms: float = 0.0
    encode_ms: float = 0.0
    decode_ms: float = 0.0
    decoder_passes: int = 0
    drafted_tokens: int = 0
    accepted_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Cut:
    """Where the last complete segment ends in a window that ends within a segment.

    It is known by the model's timestamps only.
    """

    words: int
    """How many words of the hypothesis belong to complete segments."""
    sample: int
    """Where the last of these segments ends."""


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """The words that the engine recognised in a window; none if it holds no speech."""

    window: Window
    words: tuple[Word, ...]
    """In order of time; starts and ends never decrease."""
    language: str = "en"
    timing: EngineTiming = EngineTiming()
    cut: Cut | None = None
    """Set if timestamps were requested and the last segment is not complete."""
    failure: str = ""
    """If the engine failed, a sentence that says why; there are no words then."""
