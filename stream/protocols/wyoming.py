"""Wyoming, the protocol of Home Assistant's voice services, over TCP on a port of its own.

Theory of operation. An event is a line of JSON with a type, perhaps followed by more data (JSON)
and a payload, whose lengths the line gives. `audio-start` opens a session, `audio-chunk` fills it
and `audio-stop` ends it; the connection stays open for the next. Committed words are sent while the
audio comes (`transcript-chunk`), and the whole text at the end (`transcript`).
"""

from typing import Any

import msgspec

from stream.core import events
from stream.errors import PeerError
from stream.protocols.channel_mixing import Mixer
from stream.protocols.declarations import HttpResponse, OwnPort, Query, Transport
from stream.protocols.event_messages import text_of
from stream.protocols.interface import QueuedMessage, Service
from stream.protocols.open_sessions import OpenSession
from stream.protocols.session_protocol import SessionProtocol

Json = dict[str, Any]

MAX_LINE_BYTES = 64 * 1024
MAX_PART_BYTES = 1 << 20
"""Of data and payload: 30 s of audio at 16 kHz."""

ENCODINGS = {2: "pcm_s16le"}
"""Encodings by `width`, in bytes."""

VERSION = "1.10.2"
"""Of the library wyoming, whose events these are."""


class Transcribe(msgspec.Struct, frozen=True):
    """How the next audio is to be transcribed; other fields have no meaning here."""

    language: str | None = None
    transcript_names: tuple[str, ...] | None = None
    transcript_terms: tuple[str, ...] | None = None


class WyomingProtocol(SessionProtocol):
    """One connection."""

    transport = Transport.TCP
    own_port = OwnPort("wyoming_port", host_setting="wyoming_host", allow_setting="wyoming_allow")
    key = None

    @classmethod
    def refusal(cls, status: int, code: str, sentence: str) -> HttpResponse:
        """Return a refusal as an event."""
        return HttpResponse(status, encoded("error", {"text": sentence, "code": code}).decode())

    def __init__(self, service: Service, session_id: str, query: Query) -> None:
        super().__init__(service, session_id, query)
        self._received = b""
        self._asked = Transcribe()
        self._mixer: Mixer | None = None
        self._n_sessions = 0
        self._current: str | None = None
        """Id of the session that takes audio."""
        self._texts: dict[str, str] = {}
        """What was told of each session, by its id."""
        self._done: dict[str, str] = {}
        """The finals of each session, joined."""
        self._languages: dict[str, str] = {}

    def handle_binary(self, data: bytes) -> None:
        """Act on the events that are complete, and keep the rest."""
        self._received += data
        while not self.no_more_audio and (found := self._next_event()) is not None:
            self._act(*found)

    def _next_event(self) -> tuple[str, Json, bytes] | None:
        """Take the next event: type, data, payload; None if it is not complete.

        Raises `PeerError` if it cannot be read.
        """
        line, newline, _ = self._received.partition(b"\n")
        if len(line) > MAX_LINE_BYTES:
            raise PeerError("malformed", "An event's line is too long.", None)
        if not newline:
            return None
        try:
            head = msgspec.json.decode(line)
            kind, data = head["type"], dict(head.get("data") or {})
            sizes = [int(head.get(name) or 0) for name in ("data_length", "payload_length")]
            if not all(0 <= size <= MAX_PART_BYTES for size in sizes):
                raise PeerError("malformed", "An event is too large.", None)
            start = len(line) + 1
            middle, end = start + sizes[0], start + sum(sizes)
            if len(self._received) < end:
                return None
            if sizes[0]:
                data |= msgspec.json.decode(self._received[start:middle])
        except (msgspec.DecodeError, RecursionError, TypeError, KeyError, ValueError):
            raise PeerError("malformed", "That is no event of Wyoming.", None) from None
        payload, self._received = self._received[middle:end], self._received[end:]
        return str(kind), data, payload

    def _act(self, kind: str, data: Json, payload: bytes) -> None:
        match kind:
            case "describe":
                self._send("info", self._info())
            case "ping":
                self._send("pong", {"text": data.get("text")})
            case "transcribe":
                self._asked = self._read(data)
            case "audio-start":
                self._start(data)
            case "audio-chunk":
                if self._current is None:
                    self._start(data)
                self._add(payload)
            case "audio-stop" if self._current is not None:
                session_id, self._current = self._current, None
                self.end_session(session_id)
            case _:
                pass  # servers drop events that they do not have

    def _read(self, data: Json) -> Transcribe:
        try:
            return msgspec.convert(data, Transcribe, strict=False)
        except msgspec.ValidationError as error:
            self.complain("bad_message", f"transcribe does not fit: {error}.")
            return Transcribe()

    def _start(self, data: Json) -> None:
        """Open a session for the audio that follows."""
        if self._current is not None:
            self.end_session(self._current)
        rate, width, channels = (data.get(name) for name in ("rate", "width", "channels"))
        if width not in ENCODINGS or not isinstance(rate, int) or not isinstance(channels, int):
            message = f"The audio has {width} bytes a sample at {rate} Hz; send 16-bit samples."
            raise PeerError("bad_settings", message, None)
        encoding = ENCODINGS[width]
        self._mixer = Mixer(encoding, channels) if channels > 1 else None
        self._n_sessions += 1
        session_id = f"{self.session_id}.{self._n_sessions}"
        asked = self._asked
        start = {
            "encoding": "pcm_f32le" if self._mixer else encoding,
            "sample_rate": rate,
            "language": asked.language or "auto",
            "keyterms": (*(asked.transcript_names or ()), *(asked.transcript_terms or ())),
            "words": True,
        }
        self._texts[session_id] = self._done[session_id] = ""
        self.open_session(start, session_id=session_id)
        self._current = session_id

    def _add(self, audio: bytes) -> None:
        if self._current is not None:
            self.add_audio(self._mixer.mix(audio) if self._mixer else audio, self._current)

    # Messages to the client

    def send_event(self, opened: OpenSession, event: events.Event) -> None:
        """Queue committed words as they come, and the whole text at the end."""
        session_id = opened.session.id
        match event:
            case events.Partial(committed=committed):
                self._tell(session_id, self._done[session_id] + text_of(committed))
            case events.Final() if event.words:
                self._done[session_id] += text_of(event.words)
                self._languages[session_id] = event.language
                self._tell(session_id, self._done[session_id])
            case events.Failure(code=code, message=message):
                self.complain(code, message)
            case events.Ended():
                self._end(session_id, opened)

    def _tell(self, session_id: str, text: str) -> None:
        """Tell what is new in a text that only grows."""
        before = self._texts[session_id]
        new = text[len(before) :]
        if not new:
            return
        if not before:
            self._send("transcript-start", {})
            new = new.lstrip()
        self._texts[session_id] = text
        self._send("transcript-chunk", {"text": new})

    def _end(self, session_id: str, opened: OpenSession) -> None:
        if not self._texts.pop(session_id):
            self._send("transcript-start", {})
        data: Json = {"text": self._done.pop(session_id).strip()}
        language = self._languages.pop(session_id, opened.session.settings.language)
        if language != "auto":
            data["language"] = language
        self._send("transcript", data)
        self._send("transcript-stop", {})

    def _info(self) -> Json:
        attribution = {"name": "distil-stream", "url": "https://github.com/openai/whisper"}
        artifact: Json = {
            "attribution": attribution,
            "installed": True,
            "description": "Whisper, transcribed while it is spoken",
            "version": None,
        }
        model = {**artifact, "name": self.service.model, "languages": list(self.service.languages)}
        program = {
            **artifact,
            "name": "distil-stream",
            "models": [model],
            "supports_transcript_streaming": True,
            "requires_external_vad": True,
        }
        return {"asr": [program]}

    def _send(self, kind: str, data: Json) -> None:
        self.send(QueuedMessage((kind, data)))

    def send_error(self, code: str, sentence: str, fatal: bool) -> None:
        """Queue `error`."""
        self._send("error", {"text": sentence, "code": code})

    def encode(self, message: QueuedMessage, now: float) -> bytes:
        """Return the bytes of an event."""
        return encoded(*message.body)


def encoded(kind: str, data: Json) -> bytes:
    """Return the bytes of an event without a payload."""
    content = msgspec.json.encode(data) if data else b""
    head: Json = {"type": kind, "version": VERSION}
    if content:
        head["data_length"] = len(content)
    return msgspec.json.encode(head) + b"\n" + content
