"""What the server and its protocols give to each other, apart from audio and text."""

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
    """Return no token: streams cannot be resumed."""
    return None


def unsigned(text: str) -> str:
    """Return no signature: the server requires no key."""
    return ""


def accept_any_key(key: str) -> bool:
    """Accept every key: the server requires none."""
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
class Service:
    """What a server offers to each of its clients."""

    model: str
    languages: tuple[str, ...] = ("en",)
    """Language codes. A single code means that the model can neither detect nor translate."""
    max_frame_bytes: int = 1 << 20
    max_ahead_s: float = 60.0
    idle_s: float = 60.0
    tuning: SessionTuning = field(default_factory=SessionTuning)
    detector: MakeDetector = webrtc_vad
    container: Callable[[int], AudioDecoder] | None = None
    """Makes a decoder of containers for a number of channels; None if the server has none."""
    opus: Callable[[int], PacketDecoder] | None = None
    """Makes a decoder of Opus packets without a container, for a number of channels; None if the
    server has none."""
    token_bytes: Callable[[int], bytes] = no_bytes
    """Returns the bytes of UTF-8 that a token of the model spells."""
    wall_time: Callable[[], float] = at_the_epoch
    """Returns the time of day, in seconds since 1970, for messages that contain it."""
    resume_token: Callable[[str], str | None] = no_resume_token
    """Returns the token with which the client of a session resumes it; None if it cannot."""
    sign: Callable[[str], str] = unsigned
    """Returns the server's signature of a text; `key_fits` accepts `ek_TEXT.SIGNATURE` until the
    time `exp` in it."""
    shown_key: str = ""
    """The key that the client of this connection showed in its request."""
    key_fits: Callable[[str], bool] = accept_any_key
    """Whether a key that a client shows in its first message is right."""


@dataclass(frozen=True, slots=True)
class Resumption:
    """The stream that a client asks to resume after it lost its connection."""

    session: str
    token: str
    seq: int
    """Number of the last message that the client received."""


@dataclass(frozen=True, slots=True)
class RoomMembership:
    """The room that a session belongs to, and the labels of its channels there."""

    room: str
    channels: int
    sample_rate: int
    """Hertz, of the samples that `Progress` counts."""
    speakers: tuple[str, ...] = ()
    """Labels of the channels: of all of them, or of the first ones."""
    about: Mapping[str, str] = field(default_factory=dict)
    """Further facts about the stream, such as the id of a call and its custom parameters."""


@dataclass(frozen=True, slots=True)
class QueuedMessage:
    """A message that has not been sent yet."""

    body: Any
    """In the protocol's own type; `SessionProtocol.encode` makes a frame of it."""
    subject: tuple[object, ...] | str | None = None
    """What the message is about; a newer message about the same subject may replace it."""
    replaceable: bool = False
    """Whether a newer message replaces it: true for partials and progress, false for finals."""
    speech_received_at: float | None = None
    """When the last sample of the speech in it was received, in seconds of the caller's clock."""


@dataclass(frozen=True, slots=True)
class Closing:
    """The close code and the reason with which a connection is closed."""

    code: int
    reason: str


@dataclass(slots=True)
class StreamCounts:
    """What the log and the metrics report about a connection."""

    audio_s: float = 0.0
    speech_s: float = 0.0
    filled_s: float = 0.0
    """Seconds of silence in place of audio of a call that did not arrive."""
    late_s: float = 0.0
    """Seconds of audio of a call that arrived too late and were left out."""
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
