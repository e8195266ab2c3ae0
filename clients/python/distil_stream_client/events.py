"""The messages of the server, each a frozen dataclass.

Times are seconds from the first sample of the stream, channels count from 0, and samples are
counted per channel at the rate of the client.
"""

import dataclasses
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Word:
    """One word of a partial or a final."""

    word: str
    start: float
    end: float
    confidence: float = 0.0
    """Probability, 0..1."""


@dataclass(frozen=True, slots=True)
class Latency:
    """The delay of a final and its parts, in milliseconds."""

    endpoint_ms: float = 0.0
    """Silence after the speech until the server ended the utterance."""
    queue_ms: float = 0.0
    encode_ms: float = 0.0
    decode_ms: float = 0.0
    total_ms: float = 0.0
    """From the last sample of speech to the sending of the final."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of the server."""

    max_frame_bytes: int = 0
    max_ahead_s: float = 0.0
    """Seconds of speech that may wait for the model before the server stops reading."""
    idle_s: float = 0.0
    """Seconds without any message after which the server ends the stream."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerEvent:
    """Base class of the messages of the server."""

    seq: int = 0
    """Counts the messages of a session: 1, 2, 3, … without gaps."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready(ServerEvent):
    """The stream is open."""

    protocol: int
    session: str
    model: str
    received: int
    """Samples that the server has received: 0 for a new stream; after a resume, the sample with
    which the client continues."""
    resume_token: str = ""
    limits: Limits = Limits()


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeechStarted(ServerEvent):
    """Speech began on a channel."""

    channel: int
    utterance: int
    time: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeechEnded(ServerEvent):
    """An utterance ended on a channel."""

    channel: int
    utterance: int
    time: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap(ServerEvent):
    """Time passed without audio on a channel: packets were lost, or a recorder was muted."""

    channel: int
    time: float
    """Where it begins, in seconds."""
    duration: float
    """Seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Partial(ServerEvent):
    """The hypothesis of an utterance that is not over."""

    channel: int
    utterance: int
    revision: int
    start: float
    end: float
    committed: str
    """Words that do not change; later partials add words after them."""
    tentative: str
    """Words that may change. `committed + tentative` is the text, spaces included."""
    words: tuple[Word, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Final(ServerEvent):
    """The words of an utterance; the finals in order are the transcript of a channel."""

    channel: int
    utterance: int
    start: float
    end: float
    text: str
    language: str = ""
    confidence: float = 0.0
    """Probability, 0..1."""
    words: tuple[Word, ...] = ()
    problems: tuple[str, ...] = ()
    """Codes of the guards that removed words which were probably not spoken, or that found all
    words doubtful; usually none."""
    latency: Latency = Latency()


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress(ServerEvent):
    """How much audio the server has received and settled.

    It is sent after each second of audio, and with every final.
    """

    received: int
    settled: int
    """All audio before this sample is in a final or holds no speech."""
    lag_ms: float = 0.0
    load: str = "normal"
    """What the server omits because it is busy: nothing (`normal`), most partials
    (`slow_partials`) or all partials (`finals_only`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark(ServerEvent):
    """Every sample sent before the mark is settled."""

    id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Configured(ServerEvent):
    """The settings that are in force from now on."""

    settings: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Error(ServerEvent):
    """An error after which the stream continues; a fatal one is raised as `ServerError`."""

    code: str
    message: str
    fatal: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended(ServerEvent):
    """The last message; every received sample is settled."""

    received: int
    settled: int
    speech_s: float = 0.0
    finals: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Unknown(ServerEvent):
    """A message of a type that this version of the client does not support."""

    type: str
    fields: Mapping[str, Any] = field(default_factory=dict)


EVENTS: dict[str, type[ServerEvent]] = {
    "ready": Ready,
    "speech_started": SpeechStarted,
    "speech_ended": SpeechEnded,
    "gap": Gap,
    "partial": Partial,
    "final": Final,
    "progress": Progress,
    "mark": Mark,
    "error": Error,
    "ended": Ended,
}

NESTED: dict[str, Callable[[Any], Any]] = {
    "words": lambda words: tuple(known_fields(Word, word) for word in words),
    "problems": tuple,
    "latency": lambda latency: known_fields(Latency, latency),
    "limits": lambda limits: known_fields(Limits, limits),
}


def parse(message: str | bytes) -> ServerEvent:
    """Parse one message. Unknown fields are ignored; a message of unknown type becomes `Unknown`.

    Raises `ValueError` if the text is not a message, or if a required field is missing.
    """
    fields = json.loads(message)
    if not isinstance(fields, dict) or not isinstance(fields.get("type"), str):
        raise ValueError(f"not a message: {message[:80]!r}")
    name, seq = fields.pop("type"), fields.pop("seq", 0)
    if name == "configured":
        return Configured(seq=seq, settings=fields.get("settings", fields))
    if name not in EVENTS:
        return Unknown(seq=seq, type=name, fields=fields)
    try:
        return known_fields(EVENTS[name], {**fields, "seq": seq})
    except TypeError as error:
        raise ValueError(f"a {name!r} message without all of its fields: {error}") from error


def known_fields(kind: type[T], values: Mapping[str, Any]) -> T:
    """Build a `kind` from the values, ignoring nulls and values for which it has no field."""
    names = {field.name for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    return kind(
        **{
            name: NESTED[name](value) if name in NESTED else value
            for name, value in values.items()
            if name in names and value is not None
        }
    )
