"""What a transcription of a recording is made of."""

from collections.abc import Sequence
from dataclasses import dataclass

from stream.core.line_breaking import join_texts


@dataclass(frozen=True, slots=True)
class TimedWord:
    """A word as it is printed, with its punctuation."""

    text: str
    """With a leading space where the language writes one before the word."""
    start_s: float
    """Seconds from the beginning of the recording."""
    end_s: float
    confidence: float
    """Probability, 0..1."""


@dataclass(frozen=True, slots=True)
class Segment:
    """Words that belong together: a sentence, or what is said between two pauses."""

    words: tuple[TimedWord, ...]
    language: str
    """Code of the language that was heard."""
    channel: int = 0
    """Counts from 0; always 0 unless the channels were transcribed apart."""

    @property
    def text(self) -> str:
        """As it is printed."""
        return "".join(word.text for word in self.words).strip()

    @property
    def start_s(self) -> float:
        """Seconds from the beginning of the recording."""
        return self.words[0].start_s

    @property
    def end_s(self) -> float:
        """Seconds from the beginning of the recording."""
        return self.words[-1].end_s

    @property
    def confidence(self) -> float:
        """Mean of its words', 0..1."""
        return sum(word.confidence for word in self.words) / len(self.words)


@dataclass(frozen=True, slots=True)
class Transcription:
    """All that was heard in a recording."""

    segments: tuple[Segment, ...]
    """In order of time."""
    language: str
    """Code of the language of most of its words; of none, what was asked for."""
    duration_s: float
    """Seconds of audio."""
    channels: int = 1
    """How many were transcribed apart."""
    problems: tuple[str, ...] = ()
    """What was damaged or could not be transcribed, a sentence each."""

    @property
    def text(self) -> str:
        """All segments, with a space between two where their script has one."""
        return join_texts(segment.text for segment in self.segments)

    @property
    def words(self) -> tuple[TimedWord, ...]:
        """The words of all segments."""
        return tuple(word for segment in self.segments for word in segment.words)


def main_language(segments: Sequence[Segment], otherwise: str) -> str:
    """Return the language of most words."""
    counts: dict[str, int] = {}
    for segment in segments:
        counts[segment.language] = counts.get(segment.language, 0) + len(segment.words)
    return max(counts, key=lambda code: counts[code]) if counts else otherwise
