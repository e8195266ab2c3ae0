"""The results of transcribing a recording: words, segments and the whole transcription."""

from collections.abc import Sequence
from dataclasses import dataclass

from stream.core.line_breaking import join_texts


@dataclass(frozen=True, slots=True)
class TimedWord:
    """A word with its punctuation, its times and its confidence."""

    text: str
    """Begins with a space if the language separates this word from the previous one by a space."""
    start_s: float
    """Seconds from the beginning of the recording."""
    end_s: float
    confidence: float
    """Probability, 0..1."""
    tokens: tuple[int, ...] = ()
    """The tokens of the model that spell the word; empty if they are not known."""
    log_probabilities: tuple[float, ...] = ()
    """The log probability of each token; empty if they are not known."""


@dataclass(frozen=True, slots=True)
class Segment:
    """Consecutive words of one channel: a sentence, or the words between two pauses."""

    words: tuple[TimedWord, ...]
    language: str
    """Code of the language that was recognised."""
    channel: int = 0
    """Index of the channel; always 0 if the channels were mixed."""

    @property
    def text(self) -> str:
        """The words as one string."""
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
        """Mean of the confidences of the words, 0..1."""
        return sum(word.confidence for word in self.words) / len(self.words)


@dataclass(frozen=True, slots=True)
class Transcription:
    """The transcript of a whole recording."""

    segments: tuple[Segment, ...]
    """In order of time."""
    language: str
    """Code of the language of most words; without words, the requested language."""
    duration_s: float
    """Seconds of audio."""
    channels: int = 1
    """Number of channels that were transcribed separately."""
    problems: tuple[str, ...] = ()
    """One sentence for each part that was damaged or could not be transcribed."""

    @property
    def text(self) -> str:
        """The texts of all segments, with a space between two if their script has one."""
        return join_texts(segment.text for segment in self.segments)

    @property
    def words(self) -> tuple[TimedWord, ...]:
        """The words of all segments."""
        return tuple(word for segment in self.segments for word in segment.words)


def main_language(segments: Sequence[Segment], otherwise: str) -> str:
    """Return the language of most words; `otherwise` if there are no segments."""
    counts: dict[str, int] = {}
    for segment in segments:
        counts[segment.language] = counts.get(segment.language, 0) + len(segment.words)
    return max(counts, key=lambda code: counts[code]) if counts else otherwise
