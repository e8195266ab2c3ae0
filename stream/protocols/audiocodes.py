"""AudioCodes VoiceAI Connect, the streaming mode of its Bot API: the bot's URL is `/v1/audiocodes`.

Theory of operation. `session.initiate` offers audio formats, and `session.accepted` chooses one.
`userStream.start`, `userStream.chunk` (audio in base64) and `userStream.stop` carry what a
participant says; without a `participant` there is one, the caller. Words are sent as
`userStream.speech.hypothesis` and `userStream.speech.recognition`, and to the room. `session.end`
ends the call. The messages are those of AudioCodes' documentation.
"""

import base64
from collections.abc import Sequence
from typing import Any

import msgspec

from stream.core import events
from stream.core.audio import SAMPLE_RATE
from stream.core.windows import Word
from stream.errors import PeerError
from stream.protocols.declarations import Query
from stream.protocols.event_messages import text_of
from stream.protocols.interface import QueuedMessage, Service
from stream.protocols.open_sessions import OpenSession
from stream.protocols.participants import MAX_PARTICIPANTS, ParticipantsProtocol
from stream.protocols.session_protocol import ENDED
from stream.protocols.start_settings import from_query, settings_of

Json = dict[str, Any]

FORMATS: dict[str, Json] = {
    "raw/lpcm16": {"encoding": "pcm_s16le", "sample_rate": 16_000},
    "raw/lpcm16_24": {"encoding": "pcm_s16le", "sample_rate": 24_000},
    "raw/lpcm16_8": {"encoding": "pcm_s16le", "sample_rate": 8_000},
    "raw/mulaw": {"encoding": "mulaw", "sample_rate": 8_000},
}
"""AudioCodes' names of the formats, the best ones first."""

CALLER = "caller"


class AudioCodesProtocol(ParticipantsProtocol):
    """One call. The query holds settings, as fields of the native `start`."""

    paths = ("/v1/audiocodes",)

    def __init__(self, service: Service, session_id: str, query: Query) -> None:
        super().__init__(service, session_id, query)
        self._conversation = ""
        self._format = ""
        self._about: dict[str, str] = {}
        self._asked: Json = {}

    def handle_text(self, text: str) -> None:
        """Handle a message."""
        if self.no_more_audio:
            return
        try:
            message = msgspec.json.decode(text)
            kind = message["type"]
        except (msgspec.DecodeError, RecursionError, TypeError, KeyError):
            raise PeerError(
                "malformed", "This is not a message of VoiceAI Connect.", None
            ) from None
        self._conversation = str(message.get("conversationId") or self._conversation)
        self._act(kind, message)

    def _act(self, kind: str, message: Json) -> None:
        participant = str(message.get("participant") or CALLER)
        match kind:
            case "connection.validate":
                self._send("connection.validated", success=True)
            case "session.initiate":
                self._initiate(message)
            case "session.resume":
                self._send("session.error", reason="Sessions cannot be resumed; start a new one.")
            case "userStream.start":
                self._open(participant)
                self._send("userStream.started", **self._named(participant))
            case "userStream.chunk":
                self._add(participant, message.get("audioChunk"))
            case "userStream.stop":
                self._stop(participant)
            case "activities":
                self._read_activities(message.get("activities"))
            case "session.end":
                self.finish(ENDED)
            case _:
                self.counts.skipped += 1

    def _initiate(self, message: Json) -> None:
        offered = message.get("supportedMediaFormats")
        offered = offered if isinstance(offered, list) else []
        usable = [name for name in FORMATS if name in offered]
        if self._format or not usable:
            self._send("session.error", reason=f"Offer one of {', '.join(FORMATS)}, once.")
            self.close(ENDED)
            return
        self._asked = from_query(self.query).given()
        settings_of({**self._asked, **FORMATS[usable[0]]}, self.service)  # refused now, not later
        self._format = usable[0]
        self._about = {"call": self._conversation, "from": str(message.get("caller", ""))}
        self._send("session.accepted", mediaFormat=self._format)

    def _open(self, participant: str) -> None:
        """Open the session of a participant, unless it is open."""
        if not self._format:
            raise PeerError("malformed", "Audio came before `session.initiate`.", None)
        if participant in self.participants:
            return
        if len(self.participants) >= MAX_PARTICIPANTS:
            raise PeerError(
                "malformed", f"There are more than {MAX_PARTICIPANTS} participants.", None
            )
        asked = {**self._asked, **FORMATS[self._format], "channels": 1}
        self.open_for(participant, asked, self._conversation, self._about)

    def _add(self, participant: str, chunk: object) -> None:
        try:
            audio = base64.b64decode(str(chunk), validate=True)
        except ValueError:
            raise PeerError("malformed", "An audioChunk is not base64.", None) from None
        self._open(participant)
        self.add_audio(audio, self.participants[participant])

    def _stop(self, participant: str) -> None:
        """Make final what was said, and let the participant be silent until the next `start`."""
        opened = self.sessions.get(self.participants.get(participant, ""))
        if opened is not None:
            opened.session.receive_finalize()
        self._send("userStream.stopped", **self._named(participant))

    def _read_activities(self, activities: object) -> None:
        """Report pressed keys to the room."""
        opened = self.sessions.get(self.participants.get(CALLER, ""))
        for one in activities if isinstance(activities, list) else ():
            if isinstance(one, dict) and one.get("name") == "dtmf" and opened is not None:
                sample = round(opened.received_s * SAMPLE_RATE)
                key = str(one.get("value"))
                self.press_key(key, 0, sample, opened.session.id)

    def _named(self, participant: str) -> dict[str, str]:
        """Return the field that names a participant, unless it is the only one."""
        return {} if participant == CALLER else {"participant": participant}

    def send_event(self, opened: OpenSession, event: events.Event) -> None:
        """Queue the words of a participant."""
        named = self._named(self.participant_of(opened.session.id))
        match event:
            case events.Partial(committed=committed, tentative=tentative):
                self._send_words("hypothesis", committed + tentative, named, opened)
            case events.Final(words=words):
                self._send_words("recognition", words, named, opened)
            case events.SpeechStarted():
                self._send("userStream.speech.started", **named)
            case events.SpeechEnded():
                self._send("userStream.speech.stopped", **named)

    def _send_words(
        self, kind: str, words: Sequence[Word], named: dict[str, str], opened: OpenSession
    ) -> None:
        if not words:
            return
        confidence = sum(word.confidence for word in words) / len(words)
        alternative = {"text": text_of(words).strip(), "confidence": round(confidence, 4)}
        body = {
            "type": f"userStream.speech.{kind}",
            "conversationId": self._conversation,
            **named,
            "alternatives": [alternative],
        }
        self.send(QueuedMessage(body, opened.session.id, replaceable=kind == "hypothesis"))

    def send_error(self, code: str, sentence: str, fatal: bool) -> None:
        """Queue `session.error` for an error that ends the session."""
        if fatal:
            self._send("session.error", reason=sentence)

    def _send(self, kind: str, **fields: object) -> None:
        body = {"type": kind, "conversationId": self._conversation, **fields}
        self.send(QueuedMessage(body))

    def encode(self, message: QueuedMessage, now: float) -> str:
        """Return the JSON of a message."""
        return msgspec.json.encode(message.body).decode()
