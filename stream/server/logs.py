"""Formats log lines as text or as JSON, on stderr.

A line about a stream has its session id. `LOG_FIELDS` names all fields that a line may have in
addition to its text; `docs/serving.md` lists them.
"""

import json
import logging
import sys
from datetime import UTC, datetime
from textwrap import indent

from stream.config import LogFormat, LogLevel

LOG_FIELDS = (
    "session",
    "key",
    "peer",
    "close_code",
    "audio_s",
    "filled_s",
    "late_s",
    "skipped",
    "finals",
    "partials",
    "errors",
    "segments",
    "problems",
)


class TextFormatter(logging.Formatter):
    """Formats a record as `12:00:00 info    [session] message`."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, and the traceback below it if there is one."""
        clock = datetime.fromtimestamp(record.created).strftime("%H:%M:%S")
        session = getattr(record, "session", None)
        prefix = f"[{session}] " if session else ""
        line = f"{clock} {record.levelname.lower():7} {prefix}{on_one_line(record.getMessage())}"
        if not record.exc_info:
            return line
        # Indented, because the text of an exception may come from a client.
        return f"{line}\n{indent(printable(self.formatException(record.exc_info)), '    ')}"


def printable(text: str) -> str:
    """Return a text in which all control characters but line ends are escaped."""
    return "".join(
        one if one.isprintable() or one == "\n" else one.encode("unicode_escape").decode()
        for one in text
    )


def on_one_line(text: str) -> str:
    """Return a text with escaped control characters: what a client sends must not forge a line."""
    return printable(text).replace("\n", "\\n")


class JsonFormatter(logging.Formatter):
    """Formats a record as a JSON object: time (UTC), level, logger, message, and its fields."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line; a traceback is one of its fields."""
        content: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        content |= {field: vars(record)[field] for field in LOG_FIELDS if field in vars(record)}
        if record.exc_info:
            content["traceback"] = self.formatException(record.exc_info)
        return json.dumps(content)


def set_up_logging(level: LogLevel, log_format: LogFormat) -> None:
    """Log records of at least this level to stderr; for libraries, at least warnings."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if log_format == "json" else TextFormatter())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("stream").setLevel(level.upper())
