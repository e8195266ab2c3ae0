"""The audit log: who opened, read, renamed and deleted what, and when; never what was said.

Each entry is a JSON object on a line. `docs/keys.md` lists the actions.
"""

import json
import logging
import logging.handlers
import os
import time
from collections import OrderedDict
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from stream.errors import UsageError

log = logging.getLogger(__name__)

ACTIONS = frozenset(
    {
        "open_stream",
        "resume_stream",
        "end_stream",
        "join_room",
        "read_room",
        "list_rooms",
        "rename_room",
        "delete_room",
        "upload",
        "make_token",
        "refuse",
    }
)

REPEATED_S = 60.0
"""A reader that asks again and again, as a video player does, is noted once in this time."""

MAX_REPEATED = 10_000


class Audit:
    """Writes the entries to a file, or nowhere."""

    def __init__(self, path: Path | None, wall_time: Callable[[], float] = time.time) -> None:
        """Open the file, with the mode 600 if it is new. Raises `UsageError` if that fails."""
        self._wall_time = wall_time
        self._noted: OrderedDict[tuple[str, ...], float] = OrderedDict()
        self._handler: logging.Handler | None = None
        if path is None:
            return
        try:
            os.close(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600))
            # Opens the file again if it was renamed, as logrotate does.
            self._handler = logging.handlers.WatchedFileHandler(path, encoding="utf-8")
        except OSError as error:
            raise UsageError(f"audit_file: {path} cannot be written: {error.strerror}.") from None

    def note(self, action: str, *, key: str, client: str, **about: object) -> None:
        """Write an entry.

        Args:
            action: one of `ACTIONS`.
            key: name of the key; empty if there is none.
            client: address of the client.
            about: further fields, such as `room` and `session`; None is left out.
        """
        assert action in ACTIONS
        if self._handler is None:
            return
        now = datetime.fromtimestamp(self._wall_time(), UTC).isoformat(timespec="milliseconds")
        given = {name: value for name, value in about.items() if value is not None}
        line = json.dumps({"time": now, "action": action, "key": key, "client": client, **given})
        self._handler.handle(logging.makeLogRecord({"msg": line}))

    def note_reading(self, *, key: str, client: str, room: str, how: str) -> None:
        """Write that a room was read, at most once in `REPEATED_S` for the same client and way."""
        seen, now = (key, client, room, how), self._wall_time()
        if now - self._noted.get(seen, 0.0) < REPEATED_S:
            return
        self._noted[seen] = now
        self._noted.move_to_end(seen)
        while len(self._noted) > MAX_REPEATED:
            self._noted.popitem(last=False)
        self.note("read_room", key=key, client=client, room=room, how=how)

    def close(self) -> None:
        """Close the file."""
        if self._handler is not None:
            self._handler.close()
