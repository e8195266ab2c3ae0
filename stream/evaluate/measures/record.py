"""The events of a streaming system with their arrival times, from which all figures are computed.

An adapter turns the messages of its system into these events; they do not depend on a protocol.
Times within events are seconds of the recording; `Stamped.at_s` is the feeder's audio clock.
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
    """A word, with its start and end in seconds of the recording."""

    text: str
    start_s: float
    end_s: float
    confidence: float | None = None
    """Probability, 0..1; None if the system does not report it."""


@dataclass(frozen=True, slots=True)
class Transcript:
    """The text that a system recognised on one channel of a recording."""

    text: str
    words: tuple[TimedWord, ...] = ()
    """Empty if the system does not report the times of words."""


@dataclass(frozen=True, slots=True)
class SpeechBegan:
    """The system detected the start of speech, at `time_s`."""

    utterance: Utterance
    time_s: float


@dataclass(frozen=True, slots=True)
class SpeechOver:
    """The system detected the end of speech, at `time_s`."""

    utterance: Utterance
    time_s: float


@dataclass(frozen=True, slots=True)
class Shown:
    """A partial: it replaces the words of its utterance that were shown before."""

    utterance: Utterance
    committed: tuple[str, ...]
    """Words that must not change any more."""
    tentative: tuple[str, ...] = ()

    @property
    def words(self) -> tuple[str, ...]:
        """The committed and the tentative words."""
        return self.committed + self.tentative


@dataclass(frozen=True, slots=True)
class Finished:
    """The final of an utterance."""

    utterance: Utterance
    text: str
    words: tuple[TimedWord, ...] = ()
    by_silence: bool = False
    """Whether silence ended the utterance, not a cut or the end of the stream."""
    server_ms: Mapping[str, float] = field(default_factory=dict)
    """Milliseconds for each step of the system, as it reports them."""


@dataclass(frozen=True, slots=True)
class Broken:
    """A guarantee of the protocol was violated."""

    promise: str
    """A sentence that describes the violation."""


Event = SpeechBegan | SpeechOver | Shown | Finished | Broken


@dataclass(frozen=True, slots=True)
class Stamped:
    """An event with its arrival time."""

    at_s: float
    """Arrival time on the audio clock: seconds of audio that a microphone had recorded by then."""
    event: Event


@dataclass(slots=True)
class Caption:
    """The events of one utterance."""

    utterance: Utterance
    shown: list[tuple[float, Shown]] = field(default_factory=list)
    """The partials, each with its arrival time."""
    began_s: float | None = None
    """Start of speech in the recording; None if the system does not report it."""
    over_s: float | None = None
    """End of speech in the recording; None if the system does not report it."""
    final: Finished | None = None
    final_at_s: float = 0.0
    forced: bool = False
    """Whether this last utterance of its channel was ended by the end of the stream, not by
    silence, so that its final came early."""


def captions(events: Iterable[Stamped]) -> list[Caption]:
    """Group events by utterance, in the order of the first event of each utterance."""
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


def on_channel(events: Iterable[Stamped], channel: int) -> list[Stamped]:
    """Return the events of one channel, without violations, which belong to the whole stream."""
    return [
        stamped
        for stamped in events
        if not isinstance(stamped.event, Broken) and stamped.event.utterance[0] == channel
    ]


def transcript(events: Sequence[Stamped]) -> str:
    """Return the text of the finals, in the order of their arrival."""
    return " ".join(e.event.text.strip() for e in events if isinstance(e.event, Finished))


def final_words(events: Sequence[Stamped]) -> list[TimedWord]:
    """Return the words of the finals; empty if the system does not report word times."""
    return [word for e in events if isinstance(e.event, Finished) for word in e.event.words]
