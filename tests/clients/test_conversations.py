"""The recorded conversations, replayed by the Python client's stream object."""

import ast
import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from distil_stream_client import ConnectionLost, ServerError, State, StreamProtocol
from distil_stream_client import protocol as protocol_module
from distil_stream_client.events import EVENTS, Configured, ServerEvent, Unknown
from distil_stream_client.states import TRANSITIONS

FOLDER = Path(__file__).parents[2] / "clients" / "conversations"
CONVERSATIONS = sorted(FOLDER.glob("*.json"))
NAMES = {kind: name for name, kind in EVENTS.items()}
PURE = ["continuity", "errors", "events", "policy", "protocol", "states", "timeline", "unsettled"]


@pytest.mark.parametrize("path", CONVERSATIONS, ids=lambda path: path.stem)
def test_conversation(path: Path) -> None:
    conversation = json.loads(path.read_text())
    stream = Replay(conversation["options"])
    for i, step in enumerate(conversation["steps"]):
        expected = {"socket": [], "sent": [], "told": [], "raised": None} | step
        happened = stream.take(step)
        where = f"step {i + 1} of {path.name}: {json.dumps(step)}"
        for effect in ("socket", "sent", "told", "raised", "state", "failure"):
            if effect in expected:
                assert_like(happened[effect], stream.read(expected[effect]), f"{effect} in {where}")


def assert_like(actual: Any, expected: Any, where: str) -> None:
    """Of objects in a list, the fields that are expected; of everything else, all."""
    if isinstance(expected, list) and isinstance(actual, list):
        assert len(actual) == len(expected), f"{where}, not {actual}"
        for one, other in zip(actual, expected, strict=True):
            assert_like(one, other, where)
    elif isinstance(expected, dict) and isinstance(actual, dict):
        assert {name: actual.get(name) for name in expected} == expected, f"{where}, not {actual}"
    else:
        assert actual == expected, f"{where}, not {actual}"


class Replay:
    """A stream object, and what a driver would do with it."""

    def __init__(self, options: dict[str, Any]) -> None:
        options = dict(options)
        if options.get("reconnect_s", 0) is None:
            options["reconnect_s"] = math.inf
        self.channels = options["settings"].get("channels", 1)
        self.stream = StreamProtocol(**options, random=lambda: 0.5)

    def take(self, step: dict[str, Any]) -> dict[str, Any]:
        """Let a step happen; returns its effects."""
        raised = None
        try:
            match step:
                case {"clock": now_s}:
                    self.stream.receive_time(now_s)
                case {"app": {"audio": samples}}:
                    self.stream.send_audio(self.audio(*samples))
                case {"app": {"send": message}}:
                    self.stream.send_message(message)
                case {"app": action}:
                    getattr(self.stream, *action)()
                case {"wire": cause}:
                    self.arrive(cause)
        except (ConnectionLost, ServerError) as error:
            raised = described(error)
        sent: list[Any] = []
        if step.get("wire") == {"connected": True}:
            sent.append(json.loads(self.stream.start_message()))
        while (frame := self.stream.next_frame()) is not None:
            sent.append(json.loads(frame) if isinstance(frame, str) else frame)
        return {
            "socket": [action.value for action in self.stream.actions_to_take()],
            "sent": sent,
            "told": [fields(event) for event in self.stream.events_to_tell()],
            "raised": raised,
            "state": self.stream.state.value,
            "failure": self.stream.failure and described(self.stream.failure),
        }

    def arrive(self, cause: dict[str, Any]) -> None:
        match cause:
            case {"connected": True}:
                self.stream.receive_connected()
            case {"message": message}:
                self.stream.receive_message(json.dumps(message))
            case {"text": text}:
                self.stream.receive_message(text)
            case {"lost": close_code}:
                self.stream.receive_lost(ConnectionLost("Lost.", close_code))
            case {"refused": code}:
                self.stream.receive_refusal(ServerError(code, "No."))

    def read(self, expected: Any) -> Any:
        """Replace descriptions of audio by the audio."""
        if not isinstance(expected, list):
            return expected
        return [
            self.audio(*item["audio"], item.get("silent", {}))
            if isinstance(item, dict) and "audio" in item
            else item
            for item in expected
        ]

    def audio(self, first: int, end: int, silent: dict[str, list[int]] | None = None) -> bytes:
        """pcm_s16le, (n_samples, channels): each sample is another number."""
        audio = b""
        for n in range(first, end):
            for c in range(self.channels):
                begin, until = (silent or {}).get(str(c), (0, 0))
                value = 0 if begin <= n < until else (n * 7 + c * 1000 + 1) % 32768
                audio += value.to_bytes(2, "little")
        return audio


def fields(event: ServerEvent) -> dict[str, Any]:
    """The message that an event was read from, with defaults in place of what it left out."""
    if isinstance(event, Configured):
        return {"type": "configured", "seq": event.seq, **event.settings}
    if isinstance(event, Unknown):
        return {"seq": event.seq, "type": event.type, **event.fields}
    message = {"type": NAMES[type(event)], **asdict(event)}
    return {name: list(v) if isinstance(v, tuple) else v for name, v in message.items()}


def described(error: ConnectionLost | ServerError) -> dict[str, Any]:
    if isinstance(error, ServerError):
        return {"code": error.code}
    return {"close_code": error.close_code}


def test_each_transition_is_in_a_conversation() -> None:
    """All but those of an application that closes the stream, which are alike in every state."""
    seen = set()

    class Watched(StreamProtocol):
        def _move(self, cause: Any) -> None:
            seen.add((self.state, cause.value))
            super()._move(cause)

    for path in CONVERSATIONS:
        conversation = json.loads(path.read_text())
        replay = Replay(conversation["options"])
        replay.stream.__class__ = Watched
        for step in conversation["steps"]:
            replay.take(step)
    possible = {(state, cause.value) for state, causes in TRANSITIONS.items() for cause in causes}
    assert {(s.value, c) for s, c in possible - seen if c != "CLOSE"} == set()
    assert TRANSITIONS.keys() == set(State)


@pytest.mark.parametrize("name", PURE)
def test_the_stream_object_does_no_input_or_output(name: str) -> None:
    module = Path(protocol_module.__file__).with_name(f"{name}.py")
    imported = set()
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.Import):
            imported |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add(node.module)
    ours = {name for name in imported if name.startswith("distil_stream_client")}
    pure = {f"distil_stream_client.{name}" for name in PURE}
    assert ours - pure <= {"distil_stream_client"}
    allowed = {"collections.abc", "dataclasses", "enum", "json", "math", "random", "typing"}
    assert imported - ours <= allowed
