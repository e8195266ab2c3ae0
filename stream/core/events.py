"""The events that a session emits; times are absolute samples (protocols send seconds)."""

from dataclasses import dataclass

from stream.core.load import Load
from stream.core.settings import StreamSettings
from stream.core.windows import EngineTiming, Word


@dataclass(frozen=True, slots=True)
class SpeechStarted:
    """An utterance has begun; its speech starts at `sample`, after the pre-roll."""

    channel: int
    utterance: int
    sample: int


@dataclass(frozen=True, slots=True)
class SpeechEnded:
    """An utterance is over, because silence followed or it was cut; its speech ends at `sample`."""

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
    """Words that never change again."""
    tentative: tuple[Word, ...]
    """Words after the committed ones, which the next partial or the final may change."""


@dataclass(frozen=True, slots=True)
class Final:
    """All words of an utterance that is over; they never change."""

    channel: int
    utterance: int
    start_sample: int
    end_sample: int
    words: tuple[Word, ...]
    language: str
    speech_end_sample: int
    """The last sample of speech, from which latency counts."""
    endpoint_ms: float
    """Milliseconds of audio from the end of the speech to the decision that the utterance is
    over."""
    timing: EngineTiming
    problems: tuple[str, ...] = ()
    """Codes of the guards that removed words without a replacement, and of those whose words were
    kept because nothing would have been left."""

    @property
    def confidence(self) -> float:
        """Mean confidence of the words, 0..1."""
        return sum(word.confidence for word in self.words) / max(len(self.words), 1)


@dataclass(frozen=True, slots=True)
class Progress:
    """How much audio was received and settled, in samples of each channel at the client's rate."""

    received: int
    settled: int
    """All audio before this sample is in a final or holds no speech."""
    lag_ms: float
    """Milliseconds of received speech that no hypothesis covers yet, in the channel that has the
    most of it."""
    load: Load = Load.NORMAL


@dataclass(frozen=True, slots=True)
class MarkReached:
    """All audio that was received before the mark is in a final or holds no speech."""

    id: int


@dataclass(frozen=True, slots=True)
class Configured:
    """The settings of the stream were changed; these apply from now on."""

    settings: StreamSettings


@dataclass(frozen=True, slots=True)
class Failure:
    """An error; the message describes the fault and how to correct it."""

    code: str
    message: str
    close_code: int | None = None
    """Code with which the websocket is closed after this event; None if the stream continues."""


@dataclass(frozen=True, slots=True)
class Ended:
    """The last event of a session; samples are counted as in `Progress`."""

    received: int
    settled: int
    speech_s: float
    finals: int


@dataclass(frozen=True, slots=True)
class KeyPressed:
    """A key of the telephone was pressed (DTMF), as the telephony protocol signals it."""

    channel: int
    key: str
    sample: int


@dataclass(frozen=True, slots=True)
class AudioGap:
    """Time passed without audio: packets were lost, or a recorder was paused."""

    channel: int
    start_sample: int
    end_sample: int


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
    | AudioGap
)
