"""The JSON messages of calls, and the tables of names in which the services differ.

The messages have Twilio's names here; a `Dialect` has the names that another service uses for the
same things.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, get_args

import msgspec
from msgspec import Meta, Struct
from msgspec import field as struct_field

from stream.protocols.track_mixer import TOLERANCE_MS

Number = Annotated[int, Meta(ge=0, le=2**53)]


@dataclass(frozen=True, slots=True)
class Dialect:
    """What a service calls the things that Twilio Media Streams has."""

    service: str
    """Name of the service, for sentences."""
    encodings: Mapping[str, str]
    """Names of encodings in lower case, without parameters, and the native ones."""
    names: Mapping[str, str] = field(default_factory=dict)
    """Names of fields at the service, and Twilio's names for them."""
    relative: bool = False
    """Whether timestamps count from that of the first packet instead of the start of the call."""
    tolerance_ms: int = TOLERANCE_MS
    """Milliseconds by which a timestamp may differ from the end of the audio before it."""
    query_has_parameters: bool = False
    """Whether the query of the request has custom parameters beside settings."""

    def renamed(self, fields: Any) -> Any:
        """Return a message with Twilio's names."""
        if not isinstance(fields, dict):
            return fields
        return {self.names.get(name, name): self.renamed(value) for name, value in fields.items()}


class Event(Struct, frozen=True, kw_only=True, tag_field="event", rename="camel"):
    """Base class of the messages, in which numbers may be strings."""

    sequence_number: Number | None = None


class Connected(Event, frozen=True, kw_only=True, tag="connected"):
    """The websocket is open."""


class MediaFormat(Struct, frozen=True, rename="camel"):
    """The audio format."""

    encoding: str = "audio/x-mulaw"
    sample_rate: int = 8000
    channels: int = 1


class CallStart(Struct, frozen=True, rename="camel"):
    """The description of a call."""

    call_sid: str
    stream_sid: str = ""
    tracks: tuple[str, ...] | None = None
    """None if the service does not name them."""
    media_format: MediaFormat = MediaFormat()
    custom_parameters: dict[str, str] = struct_field(default_factory=dict)
    caller: str = struct_field(default="", name="from")
    callee: str = struct_field(default="", name="to")


class Start(Event, frozen=True, kw_only=True, tag="start"):
    """The call begins."""

    start: CallStart
    stream_sid: str = ""
    extra_headers: str = struct_field(default="", name="extra_headers")
    """Custom parameters in a string."""


class Chunk(Struct, frozen=True):
    """Audio of a track."""

    payload: str
    """The audio in base64."""
    track: str = "inbound"
    timestamp: Number | None = None
    """Milliseconds; None if the packet follows the one before it."""


class Media(Event, frozen=True, kw_only=True, tag="media"):
    """A packet of audio."""

    media: Chunk


class Tone(Struct, frozen=True):
    """A key of the telephone."""

    digit: str
    track: str = "inbound_track"


class Dtmf(Event, frozen=True, kw_only=True, tag="dtmf"):
    """The caller pressed a key."""

    dtmf: Tone


class Mark(Event, frozen=True, kw_only=True, tag="mark"):
    """Audio that a server sent to the caller was played; this server sends none."""


class Stop(Event, frozen=True, kw_only=True, tag="stop"):
    """The call is over."""


class Other(Struct, frozen=True, kw_only=True, rename="camel"):
    """A message of a kind that is not used here."""

    event: str
    sequence_number: Number | None = None


Incoming = Connected | Start | Media | Dtmf | Mark | Stop
KINDS = frozenset(kind.__struct_config__.tag for kind in get_args(Incoming))


def decode(text: str, dialect: Dialect) -> Incoming | Other:
    """Return the message in a text frame. Raises `msgspec.DecodeError`, or `RecursionError`."""
    content = dialect.renamed(msgspec.json.decode(text))
    try:
        message: Incoming = msgspec.convert(content, Incoming, strict=False)
        return message
    except msgspec.ValidationError:
        other = msgspec.convert(content, Other, strict=False)
        if other.event in KINDS:
            raise
        return other
