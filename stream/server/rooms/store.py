"""Stores rooms and their lines in SQLite, in memory or in a file.

A line is written when it is final, so that none is lost if the server is killed. A statement that
fails, because the disk is full or the file is locked, is queued and executed again with the next
one; streams are not affected.
"""

import json
import logging
import sqlite3
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from stream.errors import UsageError
from stream.rooms.messages import Final, Listing
from stream.rooms.room import Room

log = logging.getLogger(__name__)

MAX_LISTED = 1000
"""Rooms in a listing: the latest ones."""

LOCKED_MS = 100
"""Milliseconds to wait for a locked file; all streams wait as well, so it is short."""

SCHEMA = """
create table if not exists rooms (
    name text primary key, opened_at real not null, ended_at real, about text not null, owner text
) strict;
create table if not exists lines (
    room text not null references rooms (name) on delete cascade,
    line integer not null, speaker text not null,
    start real not null, "end" real not null, text text not null,
    primary key (room, line)
) strict;
pragma foreign_keys = on;
pragma journal_mode = wal;
pragma synchronous = normal;
pragma secure_delete = on;
pragma temp_store = memory;
"""


class StoreError(Exception):
    """The rooms that are over cannot be read: the file is damaged, or its disk does not answer."""


@contextmanager
def errors_of_reading() -> Iterator[None]:
    """Log an error of SQLite, and raise it as a `StoreError`."""
    try:
        yield
    except sqlite3.Error as error:
        log.error("rooms cannot be read: %s", error)
        raise StoreError(str(error)) from error


class RoomStore:
    """The stored rooms, by name. Times are in seconds since 1970."""

    def __init__(self, path: Path | None = None) -> None:
        """Open a file, or memory if `path` is None. Raises `UsageError` if the file is unusable."""
        try:
            # Other threads only read; SQLite itself lets one thread at a time use a connection.
            self._db = sqlite3.connect(
                path or ":memory:", isolation_level=None, check_same_thread=False
            )
            self._db.executescript(SCHEMA)
            self._add_owners()
            self._db.execute(f"pragma busy_timeout = {LOCKED_MS}")
        except sqlite3.Error as error:
            raise UsageError(f"{path} cannot be used to store rooms: {error}.") from None
        self._unwritten: deque[tuple[str, Sequence[Any]]] = deque()

    def _add_owners(self) -> None:
        """Add the column of owners to a file of an earlier version; its rooms belong to no key."""
        columns = [row[1] for row in self._db.execute("pragma table_info (rooms)")]
        if "owner" not in columns:
            self._db.execute("alter table rooms add column owner text")

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def _write(self, statement: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        """Execute the queued statements and this one; return the rows of this one.

        Returns no rows if a statement fails; it and those after it stay queued.
        """
        self._unwritten.append((statement, values))
        rows: list[tuple[Any, ...]] = []
        while self._unwritten:
            first = self._unwritten.popleft()
            try:
                rows = self._db.execute(*first).fetchall()
            except sqlite3.DatabaseError as error:
                if isinstance(error, sqlite3.ProgrammingError | sqlite3.IntegrityError):
                    raise  # a mistake of ours
                self._unwritten.appendleft(first)
                log.error(
                    "rooms cannot be written: %s; %d statements are queued",
                    error,
                    len(self._unwritten),
                )
                return []
        return rows

    def open_room(self, room: Room) -> None:
        """Store a room as live."""
        self._write(
            "insert into rooms (name, opened_at, about, owner) values (?, ?, ?, ?)"
            " on conflict (name) do update set ended_at = null, about = excluded.about",
            (room.name, room.opened_at, json.dumps(room.about), room.owner),
        )

    def add_line(self, room: str, line: Final) -> None:
        """Store a line of a live room."""
        self._write(
            "insert or replace into lines values (?, ?, ?, ?, ?, ?)",
            (room, line.line, line.speaker, line.start, line.end, line.text),
        )

    def end_room(self, name: str, now: float) -> None:
        """Mark a room as over since `now`."""
        self._write("update rooms set ended_at = ? where name = ?", (now, name))

    def end_all(self, now: float) -> None:
        """Mark all rooms as over; some are stored as live if the server was killed."""
        self._write("update rooms set ended_at = ? where ended_at is null", (now,))

    def forget_ended_before(self, time: float) -> list[str]:
        """Delete the rooms that were over before a time; return their names."""
        rows = self._write("delete from rooms where ended_at < ? returning name", (time,))
        if rows:
            self._empty_log()
        return [name for (name,) in rows]

    def forget_all_but(self, most: int) -> list[str]:
        """Delete the rooms that were over first, if there are too many; return their names."""
        rows = self._write(
            "delete from rooms where ended_at is not null and name in"
            " (select name from rooms order by ended_at is null desc, ended_at desc"
            " limit -1 offset ?) returning name",
            (most,),
        )
        if rows:
            self._empty_log()
        return [name for (name,) in rows]

    def delete(self, name: str) -> None:
        """Delete a room and its lines. Raises `StoreError` if that has to wait for the disk."""
        self._write("delete from rooms where name = ?", (name,))
        if self._unwritten:
            raise StoreError(f"{len(self._unwritten)} statements wait to be written")
        self._empty_log()

    def rename(self, name: str, new_name: str) -> None:
        """Give a room another name, which no room has. Raises `StoreError` if that fails."""
        if self._unwritten:
            raise StoreError(f"{len(self._unwritten)} statements wait to be written")
        with errors_of_reading():
            self._db.execute("begin immediate")
            try:
                self._db.execute("pragma defer_foreign_keys = on")
                self._db.execute("update rooms set name = ? where name = ?", (new_name, name))
                self._db.execute("update lines set room = ? where room = ?", (new_name, name))
                self._db.execute("commit")
            except sqlite3.Error:
                self._db.execute("rollback")
                raise

    def _empty_log(self) -> None:
        """Write the log of SQLite into the file and empty it, so that no deleted words stay there.

        If another program is reading the file, the log is emptied by a later call.
        """
        with suppress(sqlite3.Error):
            self._db.execute("pragma wal_checkpoint(truncate)")

    @errors_of_reading()
    def owner_of(self, name: str) -> tuple[bool, str | None]:
        """Return whether a room is stored, and its owner. Raises `StoreError`."""
        row = self._db.execute("select owner from rooms where name = ?", (name,)).fetchone()
        return (True, row[0]) if row else (False, None)

    @errors_of_reading()
    def find(self, name: str) -> Room | None:
        """Return a room with its stored lines; None if there is none. Raises `StoreError`."""
        row = self._db.execute(
            "select opened_at, about, owner from rooms where name = ?", (name,)
        ).fetchone()
        if row is None:
            return None
        opened_at, about, owner = row
        lines = self._db.execute(
            'select line, speaker, start, "end", text from lines where room = ?'
            " order by start, line",
            (name,),
        )
        finals = [
            Final(line=line, speaker=speaker, start=start, end=end, text=text)
            for line, speaker, start, end, text in lines
        ]
        return Room.reopened(name, opened_at, json.loads(about), finals, owner)

    @errors_of_reading()
    def listing(self) -> list[Listing]:
        """Return an entry for each of the latest rooms, newest first. Raises `StoreError`."""
        rows = self._db.execute(
            "select name, opened_at, ended_at, owner, about,"
            " (select count(*) from lines where room = name)"
            " from rooms order by opened_at desc, name limit ?",
            (MAX_LISTED,),
        )
        return [
            Listing(
                room=name,
                opened_at=opened_at,
                ended_at=ended_at,
                lines=lines,
                owner=owner,
                about=json.loads(about),
            )
            for name, opened_at, ended_at, owner, about, lines in rows
        ]
