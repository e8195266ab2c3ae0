"""The codes and messages are declared once, and `docs/protocol.md` lists every one of them."""

from pathlib import Path
from typing import get_args

import pytest

from stream.core.settings import StreamSettings
from stream.protocols import messages
from stream.protocols.close_codes import CloseCode
from stream.protocols.native import State

ROOT = Path(__file__).parents[2]
PROTOCOL = (ROOT / "docs" / "protocol.md").read_text()
STRUCTS = [*get_args(messages.Incoming), *get_args(messages.Outgoing)]


@pytest.mark.parametrize("code", messages.ERROR_CODES)
def test_error_codes_are_documented(code: str) -> None:
    close_code = messages.ERROR_CODES[code]
    row = f"| `{code}` | {int(close_code) if close_code else ''} |".replace("|  |", "| |")
    assert row in PROTOCOL


@pytest.mark.parametrize("code", CloseCode)
def test_close_codes_are_documented(code: CloseCode) -> None:
    assert f"| {int(code)} |" in PROTOCOL


@pytest.mark.parametrize("struct", STRUCTS, ids=lambda struct: struct.__name__)
def test_messages_and_their_fields_are_documented(struct: type) -> None:
    assert f"| `{struct.__struct_config__.tag}` |" in PROTOCOL or struct is messages.Start
    if struct is not messages.Configured:
        for field in struct.__struct_fields__:
            assert f"`{field}`" in PROTOCOL


def test_start_offers_what_a_stream_can_be_set_to() -> None:
    settable = set(StreamSettings.__dataclass_fields__)
    assert set(messages.Start.__struct_fields__) == settable | {
        "model",
        "room",
        "speakers",
        "resume",
    }
    assert set(messages.Configured.__struct_fields__) == settable | {"seq"}


def test_errors_of_the_session_have_the_types_of_the_client() -> None:
    core = ROOT / "stream" / "core"
    codes = {
        line.split('Failure("')[1].split('"')[0]
        for file in core.glob("*.py")
        for line in file.read_text().splitlines()
        if 'Failure("' in line
    }
    assert codes
    assert codes <= set(messages.ERROR_CODES)


def test_every_state_has_its_row() -> None:
    from stream.protocols.native import ACTIONS

    assert set(ACTIONS) == set(State)
