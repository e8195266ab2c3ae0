"""Genesys AudioHook, version 2: the connection URI is `wss://…/v1/audiohook`.

Theory of operation. The client sends `open` with the audio formats that it can send; the server
answers `opened` with one of them, and binary messages of mu-law at 8 kHz follow, in which the
channels `external` (the customer) and `internal` (the agent) are interleaved. Audio that was not
sent, during a pause or otherwise, is told by `resumed` and `discarded`, and is a gap. `ping` is
answered by `pong`, and `close` by the last finals and `closed`. Words are sent as `transcript`
entities in `event` messages, and to the room. The names are those of Genesys' own reference
implementation, and of pipecat's serializer. Signatures of requests are not verified: the API key
is.
"""

import re
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import msgspec

from stream.core import events
from stream.core.audio import SAMPLE_RATE
from stream.core.windows import Word
from stream.errors import PeerError
from stream.protocols.call_settings import named_speakers, room_name
from stream.protocols.declarations import KeyPlaces, Query
from stream.protocols.event_messages import seconds, text_of
from stream.protocols.interface import QueuedMessage, Service
from stream.protocols.open_sessions import OpenSession
from stream.protocols.session_protocol import ENDED
from stream.protocols.start_settings import from_query
from stream.protocols.telephony import CallProtocol

Json = dict[str, Any]

CHANNELS = {"external": "Caller", "internal": "Agent"}
"""Names of the channels, with their default labels."""

RATE = 8_000
"""Hertz."""

DURATION = re.compile(r"PT([0-9]+(?:\.[0-9]+)?)S")


class GenesysProtocol(CallProtocol):
    """One call. The query holds settings, as fields of the native `start`."""

    paths = ("/v1/audiohook",)
    key = KeyPlaces(headers=(("X-API-KEY", ""),))

    def __init__(self, service: Service, session_id: str, query: Query) -> None:
        super().__init__(service, session_id, query)
        self._id = ""
        """Id of the AudioHook session, which the client chooses."""
        self._client_seq = 0
        self._server_seq = 0
        self._channels: tuple[str, ...] = ()

    def handle_text(self, text: str) -> None:
        """Handle a message."""
        if self.no_more_audio:
            return
        try:
            message = msgspec.json.decode(text)
            kind, parameters = message["type"], message["parameters"]
            self._id, self._client_seq = str(message["id"]), int(message["seq"])
        except (msgspec.DecodeError, RecursionError, TypeError, KeyError, ValueError):
            raise PeerError("malformed", "This is not a message of AudioHook.", None) from None
        if not isinstance(parameters, dict):
            raise PeerError("malformed", "The parameters of a message are an object.", None)
        self._act(kind, parameters)

    def _act(self, kind: str, parameters: Json) -> None:
        match kind:
            case "open":
                self._open(parameters)
            case "ping":
                self._send("pong", {})
            case "resumed" | "discarded":
                self._pass_time(parameters.get("discarded"))
            case "dtmf":
                sample = round(self.sessions.audio_clock_s * SAMPLE_RATE)
                self.press_key(str(parameters.get("digit")), 0, sample)
            case "close" if self.session is None:
                self._send("closed", {})
                self.close(ENDED)
            case "close":
                self.finish(ENDED)
            case "paused" | "update" | "error":
                pass
            case _:
                self.counts.skipped += 1

    def handle_binary(self, data: bytes) -> None:
        """Handle mu-law samples, channels interleaved."""
        if self.session is None and not self.no_more_audio:
            raise PeerError("malformed", "Audio came before the session was opened.", None)
        self.add_call_audio(data)

    def _open(self, parameters: Json) -> None:
        if self.session is not None:
            raise PeerError("malformed", "A session is opened once.", None)
        media = chosen(parameters.get("media"))
        self._channels = tuple(media["channels"])
        call = str(parameters.get("conversationId", ""))
        party = parameters.get("participant")
        party = party if isinstance(party, dict) else {}
        about = {"call": call, "from": str(party.get("ani", "")), "to": str(party.get("dnis", ""))}
        usual = tuple(CHANNELS[channel] for channel in self._channels)
        named: Json = {"room": room_name(call, self.session_id), "speakers": usual}
        if isinstance(language := parameters.get("language"), str):
            named["language"] = language
        asked = from_query(self.query).given()
        if speakers := asked.get("speakers"):
            asked["speakers"] = named_speakers(speakers, usual)
        medium = {"encoding": "mulaw", "sample_rate": RATE, "channels": len(usual)}
        self.open_session({**named, **asked, **medium}, about)
        opened: Json = {"media": [media], "startPaused": False}
        if parameters.get("supportedLanguages"):
            opened["supportedLanguages"] = list(self.service.languages)
        self._send("opened", opened)

    def _pass_time(self, duration: object) -> None:
        """Let the time pass that was not sent."""
        found = DURATION.fullmatch(str(duration))
        if found is None:
            raise PeerError(
                "malformed", f"{str(duration)[:40]!r} is no duration, such as PT1.5S.", None
            )
        length_s = float(found[1])
        if length_s > self.service.tuning.max_gap_s:
            self.complain("gap_too_long", "A duration was too long, and was ignored.")
        elif length_s > 0:
            self.add_call_gap(round(length_s * RATE))

    def send_event(self, opened: OpenSession, event: events.Event) -> None:
        """Queue the words as transcript entities, and the answer to `close`."""
        match event:
            case events.Partial(committed=committed, tentative=tentative):
                self._send_words(event, committed + tentative, final=False)
            case events.Final() if event.words:
                self._send_words(event, event.words, final=True)
            case events.Ended():
                self._send("closed", {})

    def _send_words(
        self, event: events.Partial | events.Final, words: Sequence[Word], *, final: bool
    ) -> None:
        if not words:
            return
        name = f"{self.session_id}{event.channel:02x}{event.utterance:08x}"
        data = {
            "id": str(UUID(bytes=name.encode()[-16:], version=4)),
            "channel": self._channels[event.channel],
            "isFinal": final,
            "offset": duration(event.start_sample),
            "duration": duration(event.end_sample - event.start_sample),
            "alternatives": [alternative(words)],
        }
        message = self._message("event", {"entities": [{"type": "transcript", "data": data}]})
        subject = (event.channel, event.utterance)
        self.send(QueuedMessage(message, subject, replaceable=not final))

    def send_error(self, code: str, sentence: str, fatal: bool) -> None:
        """Queue `disconnect` for an error that ends the session."""
        if fatal:
            self._send("disconnect", {"reason": "error", "info": sentence})

    def _send(self, kind: str, parameters: Json) -> None:
        self.send(QueuedMessage(self._message(kind, parameters)))

    def _message(self, kind: str, parameters: Json) -> Json:
        return {
            "version": "2",
            "id": self._id,
            "type": kind,
            "clientseq": self._client_seq,
            "parameters": parameters,
        }

    def encode(self, message: QueuedMessage, now: float) -> str:
        """Return the JSON of a message; it is numbered now, because some are replaced unsent."""
        self._server_seq += 1
        return msgspec.json.encode({**message.body, "seq": self._server_seq}).decode()


def chosen(offered: object) -> Json:
    """Return the offered mu-law format with the most channels. Raises `PeerError` without one."""
    fitting = [
        one
        for one in (offered if isinstance(offered, list) else ())
        if isinstance(one, dict)
        and (one.get("type"), one.get("format"), one.get("rate")) == ("audio", "PCMU", RATE)
        and isinstance(channels := one.get("channels"), list)
        and channels
        and all(channel in CHANNELS for channel in channels)
    ]
    if not fitting:
        raise PeerError("wrong_kind", "Offer PCMU at 8000 Hz, external, internal or both.", None)
    best: Json = max(fitting, key=lambda one: len(one["channels"]))
    return best


def duration(samples: int) -> str:
    """Return 16 kHz samples as an ISO 8601 duration."""
    return f"PT{seconds(samples):.3f}S"


def alternative(words: Sequence[Word]) -> Json:
    """Return the words of an utterance with their times."""
    tokens = [
        {
            "type": "word",
            "value": word.text.strip(),
            "confidence": round(word.confidence, 4),
            "offset": duration(word.start_sample),
            "duration": duration(word.end_sample - word.start_sample),
        }
        for word in words
    ]
    confidence = sum(word.confidence for word in words) / len(words)
    interpretation = {"type": "display", "transcript": text_of(words).strip(), "tokens": tokens}
    return {"confidence": round(confidence, 4), "interpretations": [interpretation]}
