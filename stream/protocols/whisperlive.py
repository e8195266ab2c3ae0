"""WhisperLive's protocol, on a port of its own: its clients connect to `ws://HOST:PORT/`.

Theory of operation. The first message is the configuration, as JSON; then binary messages hold
samples of 16 kHz, and `END_OF_AUDIO` ends them. Each answer repeats the last segments: completed
ones, which do not change any more, and the one that is being spoken.
"""

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np

from stream.core import events
from stream.core.windows import Word
from stream.errors import PeerError
from stream.protocols.close_codes import CloseCode
from stream.protocols.declarations import KeyPlaces, OwnPort, Query
from stream.protocols.event_messages import seconds, text_of
from stream.protocols.interface import Closing, QueuedMessage, Service
from stream.protocols.open_sessions import OpenSession
from stream.protocols.session_protocol import ENDED, SessionProtocol

Json = dict[str, Any]

END_OF_AUDIO = b"END_OF_AUDIO"
RATE = 16_000
"""Hertz; clients resample."""
ENCODINGS = {"float32": "pcm_f32le", "int16": "pcm_s16le", "uint8": "pcm_s16le"}
"""Encodings by `audio_format`; 8-bit samples are widened here."""

LACKING = {
    "enable_translation": "The server does not translate beside transcribing.",
    "enable_diarization": "The server does not label speakers.",
}
"""What a client may ask for and does not get, with the warning that it is sent."""


class Configuration(msgspec.Struct, frozen=True):
    """The first message; other fields have no meaning here."""

    uid: str
    language: str | None = None
    task: str = "transcribe"
    send_last_n_segments: int = 10
    word_timestamps: bool = False
    initial_prompt: str | None = None
    hotwords: str | list[str] | None = None
    audio_format: str = "float32"
    enable_translation: bool = False
    enable_diarization: bool = False

    def start(self) -> Json:
        """Return the fields of the native `start`. Raises `PeerError` for an unknown format."""
        if self.audio_format not in ENCODINGS:
            message = f"audio_format is {self.audio_format!r}; use float32, int16 or uint8."
            raise PeerError("bad_settings", message, CloseCode.BAD_SETTINGS)
        words = self.hotwords.split(",") if isinstance(self.hotwords, str) else self.hotwords
        return {
            "encoding": ENCODINGS[self.audio_format],
            "sample_rate": RATE,
            "language": self.language or "auto",
            "task": self.task,
            "prompt": self.initial_prompt or "",
            "keyterms": tuple(word.strip() for word in words or () if word.strip()),
            "words": True,
        }


class WhisperLiveProtocol(SessionProtocol):
    """One client."""

    own_port = OwnPort("whisperlive_port")
    subprotocols = ("bearer",)
    key = KeyPlaces(subprotocol_labels=("bearer",))

    def __init__(self, service: Service, session_id: str, query: Query) -> None:
        super().__init__(service, session_id, query)
        self.configuration: Configuration | None = None
        self._segments: list[Json] = []
        """The completed ones, as many as the client wants repeated."""
        self._language_told = False

    def handle_text(self, text: str) -> None:
        """Act on the configuration, or on the end of the audio."""
        if text.encode() == END_OF_AUDIO:
            self.finish(ENDED)
            return
        if self.configuration is not None:
            return  # as at WhisperLive, only the first one counts
        try:
            self.configuration = msgspec.json.decode(text, type=Configuration, strict=False)
        except (msgspec.DecodeError, RecursionError) as error:
            raise PeerError(
                "malformed", f"The first message is no configuration: {error}.", None
            ) from None
        for name, sentence in LACKING.items():
            if getattr(self.configuration, name):
                self._send(status="WARNING", message=sentence)
        self.open_session(self.configuration.start())

    def handle_binary(self, data: bytes) -> None:
        """Act on samples."""
        if self.no_more_audio:
            return
        if data == END_OF_AUDIO:
            self.finish(ENDED)
        elif self.configuration is None:
            raise PeerError("malformed", "Audio came before the configuration.", None)
        elif self.configuration.audio_format == "uint8":
            samples = (np.frombuffer(data, np.uint8).astype(np.int16) - 128) * 256
            self.add_audio(samples.astype("<i2").tobytes())
        else:
            self.add_audio(data)

    def announce(self, opened: OpenSession) -> None:
        """Queue `SERVER_READY`; clients collect segments only of the backend that it names."""
        self._send(message="SERVER_READY", backend="faster_whisper")

    def send_event(self, opened: OpenSession, event: events.Event) -> None:
        """Queue the segments that an event changes."""
        match event:
            case events.Partial(committed=committed, tentative=tentative):
                if words := committed + tentative:
                    segments = [*self._segments, self._segment(words, completed=False)]
                    self._send_segments(segments, QueuedMessage(None, "segments", replaceable=True))
            case events.Final() if event.words:
                self._tell_language(event.language)
                self._segments.append(self._segment(event.words, completed=True))
                del self._segments[: -self._n_repeated]
                received_at = opened.speech_received_at(event)
                message = QueuedMessage(None, "segments", speech_received_at=received_at)
                self._send_segments(self._segments, message)
            case events.Failure(code=code, message=message):
                self.complain(code, message)

    def finish(self, closing: Closing) -> None:
        """Take no more audio, and send the rest.

        If the client did not ask for the end, `DISCONNECT` is sent first.
        """
        if not self.no_more_audio and closing is not ENDED and self.configuration is not None:
            self._send(message="DISCONNECT")
        super().finish(closing)

    @property
    def _n_repeated(self) -> int:
        asked = self.configuration.send_last_n_segments if self.configuration else 10
        return min(max(asked, 1), 100)

    def _tell_language(self, language: str) -> None:
        detected = self.configuration is not None and self.configuration.language is None
        if detected and not self._language_told:
            self._language_told = True
            self._send(language=language, language_prob=None)

    def _segment(self, words: Sequence[Word], *, completed: bool) -> Json:
        segment: Json = {
            "start": f"{seconds(words[0].start_sample):.3f}",
            "end": f"{seconds(words[-1].end_sample):.3f}",
            "text": f" {text_of(words).strip()}",
            "completed": completed,
        }
        if self.configuration and self.configuration.word_timestamps:
            segment["words"] = [
                {
                    "word": word.text,
                    "start": seconds(word.start_sample),
                    "end": seconds(word.end_sample),
                    "probability": round(word.confidence, 4),
                }
                for word in words
            ]
        return segment

    def _send_segments(self, segments: list[Json], message: QueuedMessage) -> None:
        body = {"uid": self._uid, "segments": list(segments[-self._n_repeated :])}
        self.send(
            QueuedMessage(body, message.subject, message.replaceable, message.speech_received_at)
        )

    @property
    def _uid(self) -> str | None:
        return self.configuration.uid if self.configuration else None

    def _send(self, **fields: object) -> None:
        self.send(QueuedMessage({"uid": self._uid, **fields}))

    def send_error(self, code: str, sentence: str, fatal: bool) -> None:
        """Queue a status message."""
        self._send(status="ERROR" if fatal else "WARNING", message=sentence)

    def encode(self, message: QueuedMessage, now: float) -> str:
        """Return the JSON of a message."""
        return msgspec.json.encode(message.body).decode()
