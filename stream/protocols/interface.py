"""The data types that the server and its protocols exchange, apart from audio and text."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from stream.core import events
from stream.core.audio import AudioDecoder
from stream.core.settings import SessionTuning
from stream.core.vad import MakeDetector, webrtc_vad


def no_resume_token(session_id: str) -> str | None:
    """Return None, because streams cannot be resumed."""
    return None


def unsigned(text: str) -> str:
    """Return no signature: the server requires no key."""
    return ""


def accept_any_key(key: str) -> bool:
    """Accept every key, because the server requires none."""
    return True


def no_bytes(token: int) -> bytes:
    """Return no bytes: the model has no tokens."""
    return b""


def at_the_epoch() -> float:
    """Return no time of day: the caller has no clock."""
    return 0.0


class PacketDecoder(Protocol):
    """Decodes packets of compressed audio, one after the other."""

    sample_rate: int
    """Hertz, of the samples that it returns."""

    def decode(self, packet: bytes) -> NDArray[np.float32]:
        """Return the samples of a packet, (channels, n_samples) in -1..1.

        Raises `PeerError` if the packet cannot be decoded.
        """


@dataclass(frozen=True, slots=True)
class RoomMembership:
    """The room to which a session belongs, and the labels of its channels there."""

    room: str
    channels: int
    sample_rate: int
    """Sample rate in hertz of the sample counts in `Progress`."""
    speakers: tuple[str, ...] = ()
    """Labels of the channels, in order; may be fewer than the channels."""
    about: Mapping[str, str] = field(default_factory=dict)
    """Further facts about the stream, such as the id of a call and its custom parameters."""
    owner: str | None = None
    """Name of the key to which the room belongs if this session opens it; None if to none."""


def admit_all(membership: RoomMembership | None) -> RoomMembership | None:
    """Return the membership: every client may speak in every room."""
    return membership


@dataclass(frozen=True, slots=True)
class Service:
    """What a server offers to a client: model, limits and functions."""

    model: str
    languages: tuple[str, ...] = ("en",)
    """Codes of the languages. With a single one, the model cannot detect languages or translate."""
    max_frame_bytes: int = 1 << 20
    max_ahead_s: float = 60.0
    idle_s: float = 60.0
    tuning: SessionTuning = field(default_factory=SessionTuning)
    detector: MakeDetector = webrtc_vad
    container: Callable[[int], AudioDecoder] | None = None
    """Returns a decoder of containers for a number of channels; None if containers are refused."""
    opus: Callable[[int], PacketDecoder] | None = None
    """Makes a decoder of Opus packets without a container, for a number of channels; None if the
    server has none."""
    token_bytes: Callable[[int], bytes] = no_bytes
    """Returns the bytes of UTF-8 that a token of the model spells."""
    wall_time: Callable[[], float] = at_the_epoch
    """Returns the time of day, in seconds since 1970, for messages that contain it."""
    resume_token: Callable[[str], str | None] = no_resume_token
    """Returns the token to resume the session with this id; None if it cannot be resumed."""
    sign: Callable[[str], str] = unsigned
    """Returns the server's signature of a text for the client; `key_fits` accepts
    `ek_TEXT.SIGNATURE` until the time `exp` in it, with the rights of that client."""
    shown_key: str = ""
    """The key that the client of this connection showed in its request."""
    key_fits: Callable[[str], bool] = accept_any_key
    """Returns whether a key that a client sent in its first message is right."""
    admit: Callable[[RoomMembership | None], RoomMembership | None] = admit_all
    """Checks whether the client may open a session in a room, or in none, and returns the
    membership that it gets; raises `PeerError`."""


@dataclass(frozen=True, slots=True)
class Resumption:
    """The stream that a client requests to resume after it lost its connection."""

    session: str
    token: str
    seq: int
    """Number of the last message that the client received."""


@dataclass(frozen=True, slots=True)
class QueuedMessage:
    """A message to a client that was not sent yet.

    If it is `replaceable`, a newer message with the same `subject` replaces it.
    """

    body: Any
    """The message in a type of the protocol, which `SessionProtocol.encode` turns into a frame."""
    subject: tuple[object, ...] | str | None = None
    """Key of the messages that can replace each other, such as a channel and an utterance."""
    replaceable: bool = False
    """Whether a newer message with the same subject replaces this one: true for partials and
    progress, false for finals."""
    speech_received_at: float | None = None
    """For a final, the time at which the last sample of its speech was received, in seconds of the
    caller's clock."""


@dataclass(frozen=True, slots=True)
class Closing:
    """The close code and the reason with which a connection is closed."""

    code: int
    reason: str


@dataclass(slots=True)
class StreamCounts:
    """Counts of a connection for the log and the metrics."""

    audio_s: float = 0.0
    speech_s: float = 0.0
    filled_s: float = 0.0
    """Seconds of audio of a call that did not arrive, of all its tracks together."""
    late_s: float = 0.0
    """Seconds of audio of a call that arrived too late and were dropped."""
    skipped: int = 0
    """Messages of unknown kinds that were skipped."""
    finals: int = 0
    partials: int = 0
    errors: int = 0

    def add(self, event: events.Event) -> None:
        """Count an event of a session."""
        match event:
            case events.Final():
                self.finals += 1
            case events.Partial():
                self.partials += 1
            case events.Failure():
                self.errors += 1
            case events.Ended(speech_s=speech_s):
                self.speech_s += speech_s
