"""No client of a vendor's protocol can make it raise, whatever it sends."""

import json
from typing import Any
from urllib.parse import parse_qs

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.protocols.protocol_table import PROTOCOLS
from tests.protocols.conversations import CONVERSATIONS, SERVICE, kind_of

numbers = st.integers(-(2**70), 2**70) | st.floats()
scalars = st.none() | st.booleans() | numbers | st.text(max_size=9)
values = st.recursive(
    scalars,
    lambda some: st.lists(some, max_size=3) | st.dictionaries(st.text(max_size=9), some),
    max_leaves=6,
)


def mutated(message: Any, data: st.DataObject) -> Any:
    """The message with one of its values replaced, or removed."""
    if not isinstance(message, dict) or not message:
        return data.draw(values)
    name = data.draw(st.sampled_from(sorted(message)))
    change = data.draw(st.sampled_from(["replace", "remove", "deeper"]))
    if change == "remove":
        return {key: value for key, value in message.items() if key != name}
    inner = mutated(message[name], data) if change == "deeper" else data.draw(values)
    return {**message, name: inner}


@pytest.mark.parametrize("name", PROTOCOLS)
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_nothing_that_a_client_sends_makes_it_raise(name: str, data: st.DataObject) -> None:
    conversation = cached(name)
    protocol = kind_of(name)(SERVICE, "0123456789abcdef", parse_qs(conversation.query))
    frames = [*conversation.begin, *conversation.audio[:3], *conversation.end]
    at = data.draw(st.integers(0, len(frames) - 1))
    for number, frame in enumerate(frames):
        one: Any = frame
        if number == at and isinstance(frame, str):
            one = json.dumps(mutated(json.loads(frame), data))
        elif number == at:
            one = data.draw(st.binary(max_size=99))
        receive = protocol.receive_text if isinstance(one, str) else protocol.receive_binary
        receive(one, 0.0)
        for message in protocol.messages_to_send():
            protocol.encode(message, 0.0)
    protocol.windows_to_transcribe()


FOUND: dict[str, Any] = {}


def cached(name: str) -> Any:
    """The conversation of a protocol, which is made once."""
    if name not in FOUND:
        FOUND[name] = CONVERSATIONS[name]()
    return FOUND[name]
