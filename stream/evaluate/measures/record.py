"""What a streaming system showed, and when: the record that every figure is computed from.

An adapter makes these events of whatever its system says; nothing here knows a protocol. Times
within events are seconds of the recording; `Stamped.at_s` is the feeder's audio clock.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from stream.errors import DistilStreamError

Utterance = tuple[int, int]
"""A channel, and the number of an utterance on it."""


class StreamError(DistilStreamError):
    """A recording could not be played to its end."""


@dataclass(frozen=True, slots=True)
class TimedWord:
    """A word and when it is spoken."""

    text: str
    start_s: float
    end_s: float
    confidence: float | None = None
    """Probability, 0..1; None where the system does not say."""


@dataclass(frozen=True, slots=True)
class SpeechBegan:
    """The system heard speech begin."""

    utterance: Utterance
    time_s: float


@dataclass(frozen=True, slots=True)
class SpeechOver:
    """The system heard speech end."""

    utterance: Utterance
    time_s: float


@dataclass(frozen=True, slots=True)
class Shown:
    """From now on a reader sees these words of an utterance."""

    utterance: Utterance
    committed: tuple[str, ...]
    """Promised to stay."""
    tentative: tuple[str, ...] = ()

    @property
    def words(self) -> tuple[str, ...]:
        """All of them."""
        return self.committed + self.tentative


@dataclass(frozen=True, slots=True)
class Finished:
    """An utterance as it stays."""

    utterance: Utterance
    text: str
    words: tuple[TimedWord, ...] = ()
    by_silence: bool = False
    """Silence ended it, not a cut and not the end of the stream."""
    server_ms: Mapping[str, float] = field(default_factory=dict)
    """Where the system says that it spent the time, in milliseconds."""


@dataclass(frozen=True, slots=True)
class Broken:
    """A promise of the protocol was broken: a sentence that says which."""

    promise: str


Event = SpeechBegan | SpeechOver | Shown | Finished | Broken


@dataclass(frozen=True, slots=True)
class Stamped:
    """An event, and when it arrived."""

    at_s: float
    """Seconds of audio that a microphone had heard by then."""
    event: Event


@dataclass(slots=True)
class Caption:
    """All that was shown of one utterance."""

    utterance: Utterance
    shown: list[tuple[float, Shown]] = field(default_factory=list)
    """When, and what."""
    began_s: float | None = None
    """Where in the recording the system heard its speech begin; None where it does not say."""
    over_s: float | None = None
    final: Finished | None = None
    final_at_s: float = 0.0
    forced: bool = False
    """The stream ended before its silence did, so the final came sooner than it would have."""


def captions(events: Iterable[Stamped]) -> list[Caption]:
    """Sort events by utterance, in the order in which the utterances were first heard of."""
    found: dict[Utterance, Caption] = {}
    for stamped in events:
        event = stamped.event
        if isinstance(event, Broken):
            continue
        caption = found.setdefault(event.utterance, Caption(event.utterance))
        match event:
            case SpeechBegan():
                caption.began_s = event.time_s
            case SpeechOver():
                caption.over_s = event.time_s
            case Shown():
                caption.shown.append((stamped.at_s, event))
            case Finished():
                caption.final, caption.final_at_s = event, stamped.at_s
    last = {caption.utterance[0]: caption for caption in found.values()}
    for caption in last.values():
        caption.forced = caption.final is not None and not caption.final.by_silence
    return list(found.values())


def transcript(events: Sequence[Stamped]) -> str:
    """Return the text of the finals, in the order of their arrival."""
    return " ".join(e.event.text.strip() for e in events if isinstance(e.event, Finished))


def final_words(events: Sequence[Stamped]) -> list[TimedWord]:
    """Return the words of the finals, where the system times them."""
    return [word for e in events if isinstance(e.event, Finished) for word in e.event.words]
