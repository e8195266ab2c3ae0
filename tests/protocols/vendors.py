"""Lets protocols of other services converse without a server, with a scripted engine."""

import json
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import parse_qs

from stream.core.windows import Hypothesis, Window
from stream.protocols.interface import Service
from stream.protocols.session_protocol import SessionProtocol
from tests.core.rehearsal import LoudIsSpeech, Script

SCRIPT = Script([(2.0, 1.0), (1.5, 1.5)])
SERVICE = Service(
    model="scripted", languages=("en", "de"), detector=LoudIsSpeech, wall_time=lambda: 1e9
)
ALL = "w0 w1 w2 w3 w4 w5 w6 w7 w8 w9 w10"


def pieces(audio: bytes, size: int = 3_200) -> list[bytes]:
    """Audio in messages of `size` bytes."""
    return [audio[at : at + size] for at in range(0, len(audio), size)]


Answer = Callable[[Window], Hypothesis]


def answer(protocol: SessionProtocol, engine: Answer = SCRIPT.answer) -> None:
    """Answer every window that is due."""
    while windows := protocol.windows_to_transcribe():
        for window in windows:
            protocol.receive_hypothesis(engine(window))


def drain(protocol: SessionProtocol) -> list[Any]:
    """The messages since the last call, as they are on the wire, read as JSON."""
    return [json.loads(protocol.encode(one, 0.0)) for one in protocol.messages_to_send()]


def play(
    protocol: SessionProtocol,
    *frames: Any,
    answered: bool = True,
    engine: Answer = SCRIPT.answer,
) -> list[Any]:
    """Let it receive frames (objects are sent as JSON); return what it sends."""
    sent: list[Any] = drain(protocol)
    for frame in frames:
        if isinstance(frame, bytes):
            protocol.receive_binary(frame, 0.0)
        else:
            protocol.receive_text(frame if isinstance(frame, str) else json.dumps(frame), 0.0)
        if answered:
            answer(protocol, engine)
        sent += drain(protocol)
    return sent


def opened(kind: type[SessionProtocol], query: str = "", service: Service = SERVICE) -> Any:
    """A protocol as a server makes it of a request."""
    fields = parse_qs(query, keep_blank_values=True)
    kind.check_request(service, fields)
    return kind(service, "0123456789abcdef", fields)


def of_type(messages: Iterable[Any], *types: str) -> list[Any]:
    return [message for message in messages if message["type"] in types]
