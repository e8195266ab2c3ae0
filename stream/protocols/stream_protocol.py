"""What every protocol looks like to the server: a pure object with messages in and out.

The connection feeds it what arrives and sends what it has to say. It holds the session, reads no
clock (it is told the time, in seconds of any steady clock) and never raises for what a peer sends.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from stream.core.audio import AudioDecoder
from stream.core.events import Event, KeyPressed
from stream.core.load import Load
from stream.core.settings import SessionTuning
from stream.core.vad import MakeDetector, webrtc_vad
from stream.core.windows import Hypothesis, Window


def no_token(session_id: str) -> str | None:
    """Let nobody come back."""
    return None


@dataclass(frozen=True, slots=True)
class Service:
    """What a server offers to each of its clients."""

    model: str
    languages: tuple[str, ...] = ("en",)
    """Language codes; a single one means that there is nothing to detect or translate."""
    max_frame_bytes: int = 1 << 20
    max_ahead_s: float = 60.0
    idle_s: float = 60.0
    tuning: SessionTuning = field(default_factory=SessionTuning)
    detector: MakeDetector = webrtc_vad
    container: Callable[[int], AudioDecoder] | None = None
    """Decodes containers into so many channels, where the server can."""
    resume_token: Callable[[str], str | None] = no_token
    """What the client of a session shows when it comes back; None where streams are not kept."""


@dataclass(frozen=True, slots=True)
class Resumption:
    """What a client asks for that has lost its socket."""

    session: str
    token: str
    seq: int
    """Of the last message that reached it."""


@dataclass(frozen=True, slots=True)
class Seat:
    """The room that a stream is part of, and as whom."""

    room: str
    channels: int
    sample_rate: int
    """Hertz, of the samples that `Progress` counts."""
    speakers: tuple[str, ...] = ()
    """Labels of the channels, the first of them or all."""
    about: Mapping[str, str] = field(default_factory=dict)
    """What else is known of the stream: of a call, its number and what its caller was asked."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A message that has not left yet."""

    body: Any
    """The protocol's own; `encode` takes it back."""
    subject: tuple[int, int] | str | None = None
    """What it is about, where a newer draft can make an older one on the subject superfluous."""
    replaceable: bool = False
    """Whether it is dropped then: partials and progress are, no final is."""
    spoken_at: float | None = None
    """When the last sample of the speech in it arrived."""


@dataclass(frozen=True, slots=True)
class Closing:
    """How the connection is to be closed once everything has been sent."""

    code: int
    reason: str


@dataclass(slots=True)
class Tally:
    """What the log and the metrics say of a stream."""

    audio_s: float = 0.0
    speech_s: float = 0.0
    filled_s: float = 0.0
    """Of a call: silence in place of audio that did not come."""
    late_s: float = 0.0
    """Of a call: audio that came too late and was left out."""
    finals: int = 0
    partials: int = 0
    errors: int = 0


class StreamProtocol(Protocol):
    """One stream, as `server/streams/connection.py` drives it."""

    closing: Closing | None
    """Set once nothing more will be said."""
    resumption: Resumption | None
    """Set when the client asks to go on with another stream in place of this one."""
    tally: Tally
    seat: Seat | None
    """Set once the stream has begun, if it is part of a room."""

    def __init__(
        self, service: Service, session_id: str, query: Mapping[str, Sequence[str]]
    ) -> None: ...

    @property
    def pending_s(self) -> float:
        """Audio received that the engine has not answered, in seconds."""

    @property
    def no_more_audio(self) -> bool:
        """Whether it is the server that is waited for now."""

    @property
    def resumable(self) -> bool:
        """Whether the client knows how to come back to this stream."""

    @property
    def compressed(self) -> bool:
        """Whether few bytes may be many seconds: the audio comes in a container."""

    def receive_return(self) -> None:
        """Take note that the client has come back through another socket."""

    def receive_text(self, text: str, now: float) -> None:
        """Take a text frame."""

    def receive_binary(self, data: bytes, now: float) -> None:
        """Take a binary frame."""

    def receive_hypothesis(self, hypothesis: Hypothesis) -> None:
        """Take the engine's answer to a window."""

    def receive_load(self, load: Load) -> None:
        """Take note of what the server leaves out because it is busy."""

    def finish(self, closing: Closing) -> None:
        """Take no more audio, send the finals of what there is, then close so."""

    def fail(self, code: str, message: str) -> None:
        """Say what went wrong and close at once."""

    def windows_to_transcribe(self) -> list[Window]:
        """Return the windows that became due, each once."""

    def messages_to_send(self) -> list[Draft]:
        """Return the messages since the last call."""

    def captions_to_share(self) -> Sequence[Event | KeyPressed]:
        """Return what happened since the last call; nothing where there is no seat."""

    def encode(self, draft: Draft, now: float) -> str:
        """Return the frame to send this very moment."""
