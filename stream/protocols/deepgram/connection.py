"""What Deepgram's two live endpoints share: keys, refusals, and the ways in which audio comes.

Audio comes as samples, in a container, or as one Opus packet in each message. Several channels are
mixed here unless each is to be transcribed. A subclass handles text messages and events.
"""

import hashlib
from typing import ClassVar

import msgspec

from stream.core.audio import SAMPLE_RATE
from stream.core.settings import CONTAINER
from stream.errors import PeerError
from stream.protocols.channel_mixing import Mixer, unpacked
from stream.protocols.close_codes import CloseCode
from stream.protocols.declarations import HttpResponse, KeyPlaces, Query
from stream.protocols.deepgram import parameters
from stream.protocols.deepgram.parameters import ListenParameters
from stream.protocols.deepgram.results import Json, request_id
from stream.protocols.interface import PacketDecoder, QueuedMessage, Service
from stream.protocols.session_protocol import ENDED, SessionProtocol

OGG = b"OggS"
"""The first bytes of an Ogg page."""

KEYS = KeyPlaces(
    headers=(("Authorization", "Token"), ("Authorization", "Bearer")),
    query_fields=("token",),
    subprotocol_labels=("token", "bearer"),
)

ERROR_CODES = {
    "not_authorised": "INVALID_AUTH",
    "not_allowed": "INSUFFICIENT_PERMISSIONS",
    "over_limit": "TOO_MANY_REQUESTS",
    "too_many_tries": "TOO_MANY_REQUESTS",
    "bad_settings": "Bad Request",
    "full": "TOO_MANY_REQUESTS",
    "too_busy": "TOO_MANY_REQUESTS",
    "busy": "TOO_MANY_REQUESTS",
    "not_ready": "SERVICE_UNAVAILABLE",
    "origin_not_allowed": "FORBIDDEN",
}
"""`err_code` of a refusal, by the server's own code."""


def refusal(status: int, code: str, sentence: str) -> HttpResponse:
    """Return how Deepgram refuses a request: JSON, and the reason in a header.

    A server without room is a rate limit to Deepgram's clients, which wait and try again.
    """
    if code in ("full", "too_busy", "busy"):
        status = 429
    body = {"err_code": ERROR_CODES.get(code, code), "err_msg": sentence}
    plain = sentence.encode("ascii", "replace").decode()
    headers = {"Content-Type": "application/json", "dg-error": plain.replace("\n", " ")}
    return HttpResponse(status, msgspec.json.encode(body).decode(), headers)


class DeepgramConnection(SessionProtocol):
    """A connection whose settings are in its query, and whose stream is open at once."""

    subprotocols = ("token", "bearer")
    key = KEYS
    close_codes: ClassVar = {
        CloseCode.MALFORMED: 1008,
        CloseCode.BAD_SETTINGS: 1008,
        CloseCode.IDLE: 1011,
        CloseCode.NOT_ALLOWED: 1008,
        CloseCode.OVER_LIMIT: 1008,
    }

    @classmethod
    def read(cls, service: Service, query: Query) -> ListenParameters:
        """Read the query of the endpoint. Raises `PeerError` for what cannot be served."""
        return parameters.read(service, query)

    @classmethod
    def refusal(cls, status: int, code: str, sentence: str) -> HttpResponse:
        """Return how Deepgram refuses a request."""
        return refusal(status, code, sentence)

    @classmethod
    def check_request(cls, service: Service, query: Query) -> None:
        """Raise `PeerError` for parameters that cannot be served."""
        cls.read(service, query)

    def __init__(self, service: Service, session_id: str, query: Query) -> None:
        super().__init__(service, session_id, query)
        self.request_id = request_id(session_id)
        self.n_channels = 1
        """Channels that are transcribed."""
        self.digest = hashlib.sha256()
        """Of all bytes of audio."""
        self._mixer: Mixer | None = None
        self._opus: PacketDecoder | None = None
        self._undecided = False
        """Whether the first message of audio will show if it is a packet or a container."""
        self._n_marks = 0
        try:
            self.asked = self.read(service, query)
        except PeerError as error:  # `check_request` refuses it before, but for other callers
            self.fail(error.code, str(error))
            return
        if self.asked.unknown:
            self.note(parameters.note_of(self.asked.unknown))
        self._undecided = self.asked.packets
        self.prepare()
        if not self._undecided:
            self._open()

    def prepare(self) -> None:
        """Set the state of the subclass, now that the request is known."""

    def handle_binary(self, data: bytes) -> None:
        """Act on audio; an empty message ends the stream, as in older versions of the protocol."""
        if self.no_more_audio:
            return
        if not data:
            self.close_stream()
            return
        self.digest.update(data)
        if self._undecided:
            self._undecided = False
            self._open(packets=not data.startswith(OGG))
        if self._opus is not None:
            data = unpacked(self._opus, data, to_mono=not self.asked.multichannel)
        elif self._mixer is not None:
            data = self._mixer.mix(data)
        self.add_audio(data)

    def _open(self, packets: bool = False) -> None:
        """Open the session, for audio as it will be after mixing and unpacking."""
        asked, start = self.asked, dict(self.asked.start)
        channels = asked.settings.channels
        if packets:
            assert self.service.opus is not None
            channels = min(channels, 2)
            self._opus = self.service.opus(channels)
            start |= {"encoding": "pcm_f32le", "sample_rate": self._opus.sample_rate}
        elif channels > 1 and not asked.multichannel and start["encoding"] != CONTAINER:
            self._mixer = Mixer(str(start["encoding"]), channels)
            start["encoding"] = "pcm_f32le"
        self.n_channels = channels if asked.multichannel else 1
        self.open_session({**start, "channels": self.n_channels})

    def finalize(self) -> tuple[int, int] | None:
        """Make all audio so far final; return the mark that follows, and its 16 kHz sample."""
        if self.session is None:
            return None
        self._n_marks += 1
        sample = self.session.held * SAMPLE_RATE // self.session.settings.sample_rate
        self.session.receive_finalize(self._n_marks)
        return self._n_marks, sample

    def close_stream(self) -> None:
        """Send the rest, and close the connection."""
        if self.session is None:  # no audio came, so it is not known what would have
            self._undecided = False
            self._open()
        self.finish(ENDED)

    @property
    def now_sample(self) -> int:
        """The audio clock, in 16 kHz samples."""
        if self.session is None:
            return 0
        return self.session.received * SAMPLE_RATE // self.session.settings.sample_rate

    def read_message(self, text: str) -> Json:
        """Return a JSON object with a type. Raises `ValueError` for anything else."""
        try:
            message = msgspec.json.decode(text)
            kind = message["type"]
        except (msgspec.DecodeError, RecursionError, TypeError, KeyError, UnicodeError):
            kind = None
        if not isinstance(kind, str):
            raise ValueError("The message is no JSON object with a type.")
        found: Json = message
        return found

    def close_reason(self, code: str, sentence: str) -> str:
        """Return Deepgram's code and the sentence."""
        return f"{'DATA-0000' if code == 'malformed' else 'NET-0000'}: {sentence}"

    def encode(self, message: QueuedMessage, now: float) -> str:
        """Return the JSON of a message."""
        return msgspec.json.encode(message.body).decode()
