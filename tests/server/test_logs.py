"""Log lines, for people and for machines."""

import json
import logging
import sys
from pathlib import Path

import pytest

from stream.server.logs import LOG_FIELDS, JsonFormatter, TextFormatter

SERVING = (Path(__file__).parents[2] / "docs" / "serving.md").read_text()


def a_record(message: str = "closed (%d)", **extra: object) -> logging.LogRecord:
    logger = logging.getLogger("stream.server.streams.connection")
    return logger.makeRecord(
        logger.name, logging.INFO, "f.py", 1, message, (1000,), None, extra=extra
    )


def test_text() -> None:
    line = TextFormatter().format(a_record(session="ab12", finals=3))
    assert line.endswith(" info    [ab12] closed (1000)")
    assert TextFormatter().format(a_record()).endswith(" info    closed (1000)")


def test_json() -> None:
    content = json.loads(JsonFormatter().format(a_record(session="ab12", finals=3)))
    assert content.pop("time").endswith("+00:00")
    assert content == {
        "level": "info",
        "logger": "stream.server.streams.connection",
        "message": "closed (1000)",
        "session": "ab12",
        "finals": 3,
    }


def test_a_traceback_is_part_of_the_line() -> None:
    record = a_record()
    try:
        raise ValueError("so")
    except ValueError:
        record.exc_info = sys.exc_info()
    assert "ValueError: so" in TextFormatter().format(record)
    assert "ValueError: so" in json.loads(JsonFormatter().format(record))["traceback"]


def test_fields_are_documented() -> None:
    assert [field for field in LOG_FIELDS if f"`{field}`" not in SERVING] == []


@pytest.mark.parametrize("bad", ["\n", "\r", "\x1b[2J", "\x85", "\u2028", "\0"])
def test_what_a_client_sends_forges_no_line(bad: str) -> None:
    forged = f"closed{bad}12:00:00 info    [ab12] all is well"
    record = logging.makeLogRecord({"msg": "%s", "args": (forged,), "levelname": "INFO"})
    line = TextFormatter().format(record)
    assert len(line.splitlines()) == 1
    assert bad not in line
    try:
        raise ValueError(forged)
    except ValueError:
        record.exc_info = sys.exc_info()
    lines = TextFormatter().format(record).splitlines()
    assert all(line.startswith("    ") for line in lines[1:])
    assert len(JsonFormatter().format(record).splitlines()) == 1
