"""Jitsi's videobridge, as a client of a transcription service: `wss://…/transcribe`.

Theory of operation. One websocket carries a conference. `start` names a participant by a `tag` and
tells the format of the audio; each `media` is a packet of Opus of one participant, with its RTP
timestamp (48 kHz). Each participant is a session of its own, so that the speaker of each word is
known. A jump of the timestamps is time without audio, in which the participant is muted; packets
that come after later ones are left out. The words are sent as `transcription-result`, if `sendBack`
and `sendBackInterim` ask for them, and to the room, whose name is the `sessionId`. The messages are
those of Jitsi's opus-transcriber-proxy.
"""

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from stream.core import events
from stream.core.settings import CONTAINER
from stream.core.windows import Word
from stream.errors import PeerError, SettingsError
from stream.protocols.call_settings import SETTINGS
from stream.protocols.channel_mixing import unpacked
from stream.protocols.declarations import Query
from stream.protocols.event_messages import text_of
from stream.protocols.interface import PacketDecoder, QueuedMessage, Service
from stream.protocols.open_sessions import OpenSession
from stream.protocols.participants import MAX_PARTICIPANTS, ParticipantsProtocol
from stream.protocols.start_settings import from_query, settings_of

Json = dict[str, Any]

ENDPOINT = re.compile(r"([0-9a-fA-F]+)-.*")
"""A tag is the id of an endpoint of the conference, a dash and the id of its source."""

RTP_RATE = 48_000
"""Hertz of the timestamps of Opus in RTP (RFC 7587)."""

RTP_CYCLE = 1 << 32
"""RTP timestamps are unsigned numbers of 32 bits, which overflow."""

OGG_NAMES = frozenset({"ogg", "ogg-opus"})


@dataclass(slots=True)
class Track:
    """The audio of one participant."""

    session_id: str
    decoder: PacketDecoder | None
    """Decodes Opus packets; None if the audio is in Ogg pages."""
    next_timestamp: int | None = None
    """RTP timestamp that follows the audio so far."""


class JitsiProtocol(ParticipantsProtocol):
    """One conference. Fields of the native `start` in the query are settings."""

    paths = ("/transcribe",)

    @classmethod
    def check_request(cls, service: Service, query: Query) -> None:
        """Raise `PeerError` for a query that cannot be served."""
        if service.opus is None:
            raise SettingsError("encoding", "This server cannot decode Opus.")
        encoding = (query.get("encoding") or ["opus"])[-1]
        if encoding not in ("opus", "ogg-opus"):
            raise SettingsError("encoding", f"encoding is {encoding!r}; use opus or ogg-opus.")
        settings_of(settings_in(query), service)

    def __init__(self, service: Service, session_id: str, query: Query) -> None:
        super().__init__(service, session_id, query)
        self._tracks: dict[str, Track] = {}
        self._refused: set[str] = set()
        """Tags whose audio cannot be decoded."""
        self._ogg = query.get("encoding", ["opus"])[-1] == "ogg-opus"
        self._room = query.get("sessionId", [""])[-1]
        self._wants_finals = query.get("sendBack", [""])[-1] == "true"
        self._wants_partials = query.get("sendBackInterim", [""])[-1] == "true"
        self._send({"event": "info", "application": "distil-stream", "model": service.model})

    def handle_text(self, text: str) -> None:
        """Handle a message; one of an unknown kind is counted."""
        if self.no_more_audio:
            return
        try:
            message = msgspec.json.decode(text)
        except (msgspec.DecodeError, RecursionError):
            raise PeerError("malformed", "This is not a message of Jitsi's bridge.", None) from None
        match message:
            case {"event": "ping"}:
                named = {"id": message["id"]} if "id" in message else {}
                self._send({"event": "pong", **named})
            case {"event": "start", "start": {"tag": str(tag), **more}}:
                self._start(tag, more.get("mediaFormat"))
            case {"event": "media", "media": {"tag": str(tag), "payload": str(payload), **more}}:
                self._add(tag, payload, more.get("timestamp"))
            case _:
                self.counts.skipped += 1

    def _start(self, tag: str, media_format: object) -> None:
        """Open the session of a participant, unless it is open or its format is unknown."""
        name = media_format.get("encoding") if isinstance(media_format, dict) else None
        name = str(name or "opus").lower()
        if name not in ("opus", *OGG_NAMES):
            self._refused.add(tag)
            self.note(f"The audio of a participant is {name[:40]!r}; only Opus can be decoded.")
        elif tag not in self._tracks:
            self._refused.discard(tag)
            self._open(tag, in_ogg=name in OGG_NAMES or self._ogg)

    def _open(self, tag: str, *, in_ogg: bool) -> None:
        if len(self.participants) >= MAX_PARTICIPANTS:
            self._refused.add(tag)
            self.note(f"Only the first {MAX_PARTICIPANTS} participants are transcribed.")
            return
        assert self.service.opus is not None
        decoder = None if in_ogg else self.service.opus(2)
        medium: Json = {"encoding": CONTAINER}
        if decoder is not None:
            medium = {"encoding": "pcm_f32le", "sample_rate": decoder.sample_rate}
        asked = {**settings_in(self.query), **medium, "channels": 1}
        about = {"call": self._room} if self._room else {}
        session_id = self.open_for(tag, asked, self._room, about, endpoint_of(tag))
        self._tracks[tag] = Track(session_id, decoder)

    def _add(self, tag: str, payload: str, timestamp: object) -> None:
        if tag in self._refused:
            self.counts.skipped += 1
            return
        if tag not in self._tracks:
            self._open(tag, in_ogg=self._ogg)
        track = self._tracks.get(tag)
        try:
            packet = base64.b64decode(payload, validate=True)
        except ValueError:
            raise PeerError("malformed", "A payload is not base64.", None) from None
        if track is None:
            self.counts.skipped += 1
        elif track.decoder is None:
            self.add_audio(packet, track.session_id)
        elif self._is_next(track, timestamp):
            audio = unpacked(track.decoder, packet, to_mono=True)
            if track.next_timestamp is not None:
                track.next_timestamp = (track.next_timestamp + len(audio) // 4) % RTP_CYCLE
            self.add_audio(audio, track.session_id)

    def _is_next(self, track: Track, timestamp: object) -> bool:
        """Let the time before a packet pass; return False for a packet that came too late."""
        try:
            at = int(str(timestamp)) % RTP_CYCLE
        except ValueError:
            return True  # without a timestamp, the packet follows the one before it
        if track.next_timestamp is None:
            track.next_timestamp = at
        ahead = (at - track.next_timestamp + RTP_CYCLE // 2) % RTP_CYCLE - RTP_CYCLE // 2
        if ahead < 0:
            self.counts.late_s += -ahead / RTP_RATE
            return False
        if 0 < ahead <= self.service.tuning.max_gap_s * RTP_RATE:
            self.counts.filled_s += ahead / RTP_RATE
            self.add_gap(ahead, track.session_id)
        track.next_timestamp = at
        return True

    def send_event(self, opened: OpenSession, event: events.Event) -> None:
        """Queue the words of a participant, if the client asked for them."""
        match event:
            case events.Partial(committed=committed, tentative=tentative) if self._wants_partials:
                self._send_words(opened, event, committed + tentative)
            case events.Final(words=words) if self._wants_finals:
                self._send_words(opened, event, words)

    def _send_words(
        self, opened: OpenSession, event: events.Partial | events.Final, words: Sequence[Word]
    ) -> None:
        if not words:
            return
        tag = self.participant_of(opened.session.id)
        confidence = sum(word.confidence for word in words) / len(words)
        result: Json = {
            "type": "transcription-result",
            "event": "transcription-result",
            "is_interim": isinstance(event, events.Partial),
            "message_id": f"{opened.session.id}.{event.utterance}",
            "transcript": [
                {"text": text_of(words).strip(), "confidence": round(confidence, 4)},
            ],
            "participant": {"id": endpoint_of(tag), "tag": tag},
            "timestamp": round(self.service.wall_time() * 1000),
        }
        if isinstance(event, events.Final):
            result["language"] = event.language
        subject = (opened.session.id, event.utterance)
        self.send(QueuedMessage(result, subject, replaceable=result["is_interim"]))

    def _send(self, message: Json) -> None:
        self.send(QueuedMessage(message))

    def encode(self, message: QueuedMessage, now: float) -> str:
        """Return the JSON of a message."""
        return msgspec.json.encode(message.body).decode()


def endpoint_of(tag: str) -> str:
    """Return the id of the participant in the conference."""
    found = ENDPOINT.fullmatch(tag)
    return found[1] if found else tag


def settings_in(query: Query) -> Json:
    """Return the settings in a query, `lang` among them. Raises `PeerError` for a bad value."""
    fields = {name: values for name, values in query.items() if name in SETTINGS - {"room"}}
    if language := query.get("lang"):
        fields["language"] = language
    return {"language": "auto", **from_query(fields).given()}
