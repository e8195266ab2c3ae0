"""What passes between a session and the engine: a window goes out, a hypothesis comes back.

Sample indices are absolute: they count 16 kHz samples of one channel from the start of its
session, so that a word keeps its place whichever window it was heard in.
"""

from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray


class WindowKind(Enum):
    """What a window is worth to whoever waits for it; `engine.scheduler` goes by it."""

    PARTIAL = "partial"
    """Somebody is speaking: a newer window takes this one's place."""
    FINAL = "final"
    """Somebody has spoken."""
    FILE = "file"
    """Of a recording: it can wait for everybody who is speaking."""


@dataclass(frozen=True, slots=True)
class DecodingOptions:
    """What the client asked of the words."""

    language: str = "en"
    """A language code of the model, or `auto`."""
    expected_language: str = ""
    """What was spoken last, where the language is `auto`: it takes much to hear another."""
    task: str = "transcribe"
    """`transcribe` or `translate`."""
    prompt: str = ""
    """Text that the model reads as if it had been said before."""
    keyterms: tuple[str, ...] = ()
    """Names and terms to expect."""
    timestamps: bool = False
    """Let the model write timestamps, and say where its last complete segment ends."""


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """A stretch of one channel's audio that is to be transcribed."""

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
    """Spans [start_sample, end_sample) within the window in which the VAD heard speech."""
    draft: tuple[int, ...] = ()
    """Tokens that the previous hypothesis heard in this window: verified, never trusted."""
    options: DecodingOptions = DecodingOptions()
    own_sample: int = 0
    """Where what is new begins: before it is what was said before, whose words are known."""
    awaited: bool = False
    """Whether nothing of its utterance can be read yet: somebody waits for a sign."""
    full: bool = False
    """Whether it has grown to the session's limit, so that the session commits its first words."""

    @property
    def end_sample(self) -> int:
        """The first sample after the window."""
        return self.start_sample + len(self.samples)


@dataclass(frozen=True, slots=True)
class Word:
    """One word as the model spells it: a leading space where it writes one, its punctuation."""

    text: str
    start_sample: int
    end_sample: int
    confidence: float
    """Probability, 0..1."""
    tokens: tuple[int, ...] = ()
    """The model's tokens; together the words of a hypothesis make the next window's draft."""


@dataclass(frozen=True, slots=True)
class EngineTiming:
    """Where a hypothesis spent its time, and what its decoding took."""

    queue_ms: float = 0.0
    encode_ms: float = 0.0
    decode_ms: float = 0.0
    decoder_passes: int = 0
    drafted_tokens: int = 0
    accepted_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Cut:
    """Where a window that breaks off in the middle of a segment had its last complete one end.

    Only the model's timestamps say that.
    """

    words: int
    """So many of the hypothesis' words belong to complete segments."""
    sample: int
    """Where the last of these segments ends."""


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """What the engine heard in a window. No words: it holds no speech."""

    window: Window
    words: tuple[Word, ...]
    """In order of time; starts and ends never decrease."""
    language: str = "en"
    timing: EngineTiming = EngineTiming()
    cut: Cut | None = None
    """Where timestamps were asked for and the last segment is not complete."""
    failure: str = ""
    """Where the engine failed: a sentence that says why; then there are no words."""
