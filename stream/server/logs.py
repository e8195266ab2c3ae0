"""Log lines, for people or for machines, on stderr.

A line about a stream carries its session id; `LOG_FIELDS` names everything that a line may carry
besides its text, and `docs/serving.md` lists it.
"""

import json
import logging
import sys
from datetime import UTC, datetime

from stream.config import LogFormat, LogLevel

LOG_FIELDS = (
    "session",
    "peer",
    "close_code",
    "audio_s",
    "filled_s",
    "late_s",
    "finals",
    "partials",
    "errors",
    "segments",
    "problems",
)


class TextFormatter(logging.Formatter):
    """`12:00:00 info    [session] message`."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, and the traceback below it if there is one."""
        clock = datetime.fromtimestamp(record.created).strftime("%H:%M:%S")
        session = getattr(record, "session", None)
        about = f"[{session}] " if session else ""
        line = f"{clock} {record.levelname.lower():7} {about}{record.getMessage()}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time (UTC), level, logger, message, and the fields that apply."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line; a traceback is a field of it."""
        content: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        content |= {field: vars(record)[field] for field in LOG_FIELDS if field in vars(record)}
        if record.exc_info:
            content["traceback"] = self.formatException(record.exc_info)
        return json.dumps(content, ensure_ascii=False)


def set_up_logging(level: LogLevel, log_format: LogFormat) -> None:
    """Log from `level` up; libraries only their warnings."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if log_format == "json" else TextFormatter())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("stream").setLevel(level.upper())
