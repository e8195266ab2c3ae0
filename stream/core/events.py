"""The events that a session sends its client; times are absolute samples (seconds on the wire)."""

from dataclasses import dataclass

from stream.core.load import Load
from stream.core.settings import StreamSettings
from stream.core.windows import EngineTiming, Word


@dataclass(frozen=True, slots=True)
class SpeechStarted:
    """The voice detector found the beginning of speech."""

    channel: int
    utterance: int
    sample: int


@dataclass(frozen=True, slots=True)
class SpeechEnded:
    """The voice detector found the end of speech, and enough silence after it."""

    channel: int
    utterance: int
    sample: int


@dataclass(frozen=True, slots=True)
class Partial:
    """The words of an utterance so far."""

    channel: int
    utterance: int
    revision: int
    """Counts the partials of this utterance from 1."""
    start_sample: int
    end_sample: int
    committed: tuple[Word, ...]
    """These never change again."""
    tentative: tuple[Word, ...]
    """These may change."""


@dataclass(frozen=True, slots=True)
class Final:
    """The final words of an utterance."""

    channel: int
    utterance: int
    start_sample: int
    end_sample: int
    words: tuple[Word, ...]
    language: str
    speech_end_sample: int
    """The last sample of speech; latency counts from here."""
    endpoint_ms: float
    """Audio between the last sample of speech and the decision that the utterance is over."""
    timing: EngineTiming
    problems: tuple[str, ...] = ()
    """Codes of the guards that removed words for which there are no others."""

    @property
    def confidence(self) -> float:
        """The mean of the words' confidences, 0..1."""
        return sum(word.confidence for word in self.words) / max(len(self.words), 1)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the session is. Samples are the client's own, per channel, at its own rate."""

    received: int
    settled: int
    """Everything before this sample is in a final or was found to hold no speech."""
    lag_ms: float
    """Audio received that no hypothesis has covered yet and that may hold speech."""
    load: Load = Load.NORMAL


@dataclass(frozen=True, slots=True)
class MarkReached:
    """Every sample received before the mark is settled."""

    id: int


@dataclass(frozen=True, slots=True)
class Configured:
    """The settings that hold from here on."""

    settings: StreamSettings


@dataclass(frozen=True, slots=True)
class Failure:
    """An error; the message says what to do."""

    code: str
    message: str
    close_code: int | None = None
    """The websocket close code that follows; None if the stream goes on."""


@dataclass(frozen=True, slots=True)
class Ended:
    """The last event of a session. Samples are the client's own, as in `Progress`."""

    received: int
    settled: int
    speech_s: float
    finals: int


@dataclass(frozen=True, slots=True)
class KeyPressed:
    """A key of the telephone was pressed; a call signals keys apart from its audio."""

    channel: int
    key: str
    sample: int


Event = (
    SpeechStarted
    | SpeechEnded
    | Partial
    | Final
    | Progress
    | MarkReached
    | Configured
    | Failure
    | Ended
)
