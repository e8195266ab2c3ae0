"""Three small protocols that together use everything that a protocol may declare.

Tests add them to a server with a row each in its registry, and change nothing else.
"""

import json
import struct
from dataclasses import dataclass
from http import HTTPStatus
from typing import ClassVar

from stream.config import ServerConfig
from stream.core import events
from stream.core.transcript import text_of
from stream.errors import PeerError
from stream.protocols.close_codes import CloseCode
from stream.protocols.declarations import (
    HttpRequest,
    HttpResponse,
    HttpRoute,
    KeyPlaces,
    OwnPort,
    Transport,
)
from stream.protocols.interface import QueuedMessage, Service
from stream.protocols.open_sessions import OpenSession
from stream.protocols.protocol_table import PROTOCOLS
from stream.protocols.session_protocol import ENDED, SessionProtocol

REGISTRY = {
    **PROTOCOLS,
    "ticker": "tests.protocols.toys:TickerProtocol",
    "meeting": "tests.protocols.toys:MeetingProtocol",
    "line": "tests.protocols.toys:LineProtocol",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ToyConfig(ServerConfig):
    """The settings of a server that has ports for toys."""

    ticker_port: int | None = None
    line_port: int | None = None
    line_settings: str = ""


def describe(service: Service, request: HttpRequest) -> HttpResponse:
    """Answer with the model and the request; refuse a body that is not JSON."""
    try:
        asked = json.loads(request.body)
    except ValueError:
        raise PeerError("malformed", "The body is not JSON.", None) from None
    answer = {"model": service.model, "room": request.path_fields["room"], "asked": asked}
    return HttpResponse(200, json.dumps(answer), {"Content-Type": "application/json"})


class TickerProtocol(SessionProtocol):
    """Partials as text, finals in binary; its own keys, refusals, error wording and close codes.

    A client sends frames of a byte `A` and audio, and the text `stop`.
    """

    paths = ("/ticker/{room}",)
    subprotocols = ("ticker", "ticker-key")
    own_port = OwnPort("ticker_port")
    key = KeyPlaces(
        headers=(("X-Ticker-Key", ""), ("Authorization", "Ticker")),
        query_fields=("ticker_key",),
        subprotocol_labels=("ticker-key",),
        subprotocol_prefixes=("ticker.",),
    )
    close_codes: ClassVar = {
        CloseCode.MALFORMED: 3007,
        CloseCode.IDLE: 3008,
        CloseCode.GOING_AWAY: 3001,
    }
    http_routes = (HttpRoute("POST", "/ticker/{room}/describe", describe),)

    @classmethod
    def refusal(cls, status: int, code: str, sentence: str) -> HttpResponse:
        body = json.dumps({"oops": code, "hint": sentence})
        headers = {"Content-Type": "application/json", "X-Oops": HTTPStatus(status).phrase}
        return HttpResponse(status, body, headers)

    def handle_text(self, text: str) -> None:
        if text != "stop":
            raise PeerError("malformed", f"{text!r} is not a word of the ticker.", None)
        self.finish(ENDED)

    def handle_binary(self, data: bytes) -> None:
        if data[:1] != b"A":
            raise PeerError("malformed", "A frame begins with A.", None)
        if self.session is None:
            room = self.query.get("room", ["lobby"])[-1]
            self.open_session({"room": room, "words": True})
        self.add_audio(data[1:])

    def announce(self, opened: OpenSession) -> None:
        self.send(QueuedMessage("hello"))

    def send_event(self, opened: OpenSession, event: events.Event) -> None:
        match event:
            case events.Partial(committed=committed, tentative=tentative):
                text = text_of(committed + tentative).strip()
                self.send(QueuedMessage(f"… {text}", subject="partial", replaceable=True))
            case events.Final(words=words):
                body = struct.pack(">I", event.end_sample) + text_of(words).encode()
                received_at = opened.speech_received_at(event)
                self.send(QueuedMessage(body, "partial", speech_received_at=received_at))

    def send_error(self, code: str, sentence: str, fatal: bool) -> None:
        self.send(QueuedMessage(f"oops {code}: {sentence}"))

    def close_reason(self, code: str, sentence: str) -> str:
        return f"oops-{code}"


class MeetingProtocol(SessionProtocol):
    """A session for each participant; the key is in the first message.

    A client sends `{"key": …}`, `{"join": NAME}`, `{"leave": NAME}`, `{"over": true}`, and frames
    of a name, a zero byte and audio.
    """

    paths = ("/meeting",)
    key = KeyPlaces(headers=(), query_fields=(), first_message=True)

    def handle_text(self, text: str) -> None:
        try:
            message = json.loads(text)
        except ValueError:
            raise PeerError("malformed", "That is not JSON.", None) from None
        match message:
            case {"key": str(shown)}:
                self.receive_key(shown)
            case {"join": str(name)}:
                asked = {"room": "meeting", "speakers": (name,), "sample_rate": 16_000}
                self.open_session(asked, session_id=f"{self.session_id}.{name}")
            case {"leave": str(name)}:
                self.end_session(f"{self.session_id}.{name}")
            case {"over": True}:
                self.finish(ENDED)
            case _:
                self.complain("bad_message", "That is no message of a meeting.")

    def handle_binary(self, data: bytes) -> None:
        label, _, audio = data.partition(b"\0")
        name = label.decode(errors="replace")
        session_id = f"{self.session_id}.{name}"
        if self.sessions.get(session_id) is None:
            self.complain("bad_message", f"{name} has not joined.")
        else:
            self.add_audio(audio, session_id)

    def send_event(self, opened: OpenSession, event: events.Event) -> None:
        name = opened.session.id.partition(".")[2]
        match event:
            case events.Final(words=words):
                self.send(QueuedMessage(json.dumps({"name": name, "text": text_of(words)})))
            case events.Ended():
                self.send(QueuedMessage(json.dumps({"name": name, "left": True})))

    def send_error(self, code: str, sentence: str, fatal: bool) -> None:
        self.send(QueuedMessage(json.dumps({"error": code, "fatal": fatal})))


class LineProtocol(SessionProtocol):
    """Raw audio through TCP, answered by a line for each final."""

    transport = Transport.TCP
    own_port = OwnPort("line_port", query_setting="line_settings")
    key = None

    def handle_binary(self, data: bytes) -> None:
        if self.session is None:
            self.open_session({"keyterms": tuple(self.query.get("keyterms", ()))})
        self.add_audio(data)

    def send_event(self, opened: OpenSession, event: events.Event) -> None:
        match event:
            case events.Final(words=words):
                self.send(QueuedMessage(text_of(words).strip() + "\n"))
