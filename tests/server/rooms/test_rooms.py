"""The rooms of a server: their readers, and how long they are kept."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from stream.errors import UsageError
from stream.protocols.interface import RoomMembership
from stream.rooms.room import Room
from stream.server.rooms.rooms import READER_LIMIT, Reader, Rooms
from stream.server.rooms.store import MAX_LISTED, RoomStore, StoreError
from tests.rooms.test_room import final, partial

MEMBER = RoomMembership("standup", 1, 8_000, ("Ada",), {"call": "CA123"})


class Clock:
    """Seconds since 1970, as told."""

    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


def rooms_of(path: Path | None = None, clock: Clock | None = None) -> Rooms:
    return Rooms(RoomStore(path), keep_s=3600, max_readers=10, clock=clock or Clock())


async def everything(reader: Reader) -> list[dict[str, Any]]:
    return [json.loads(message) async for message in reader]


async def test_a_late_reader_gets_the_earlier_lines() -> None:
    rooms = rooms_of()
    room, ada = rooms.join(MEMBER)
    rooms.receive(room, ada, final(0, "before", 1))
    rooms.receive(room, ada, partial(2, "in the", "middle", 2))
    reader = rooms.read("standup")
    rooms.receive(room, ada, final(2, "in the middle", 2))
    rooms.leave(room, ada)
    rooms.close()
    snapshot, line, live = await everything(reader)
    assert snapshot["type"] == "room"
    assert [line["text"] for line in snapshot["finals"]] == ["before"]
    assert [line["committed"] for line in snapshot["partials"]] == ["in the"]
    assert (line["type"], line["text"]) == ("final", "in the middle")
    assert (live["type"], live["live"]) == ("live", False)


async def test_all_readers_are_sent_the_same_bytes() -> None:
    rooms = rooms_of()
    room, ada = rooms.join(MEMBER)
    readers = [rooms.read("standup") for _ in range(3)]
    assert rooms.n_readers == 3
    rooms.receive(room, ada, final(0, "once"))
    bodies = set()
    for reader in readers:
        await anext(reader)
        bodies.add(id(await anext(reader)))
    assert len(bodies) == 1


async def test_a_slow_reader_gets_the_newest_partial_and_every_final() -> None:
    rooms = rooms_of()
    room, ada = rooms.join(MEMBER)
    reader = rooms.read("standup")
    for n in range(1000):
        rooms.receive(room, ada, partial(0, "", f"guess {n}", 1))
    rooms.receive(room, ada, final(0, "said", 1))
    for n in range(1000):
        rooms.receive(room, ada, partial(5, "", f"guess {n}", 2))
    rooms.close()
    _, said, guess = await everything(reader)
    assert said["text"] == "said"
    assert guess["tentative"] == "guess 999"


async def test_a_reader_that_reads_nothing_is_disconnected() -> None:
    rooms = rooms_of()
    room, ada = rooms.join(MEMBER)
    reader = rooms.read("standup")
    for n in range(READER_LIMIT + 1):
        rooms.receive(room, ada, final(n, "said", n))
    with pytest.raises(StopAsyncIteration):
        await anext(reader)
    rooms.stop_reading("standup", reader)
    assert rooms.n_readers == 0


@pytest.mark.parametrize("in_a_file", [False, True])
async def test_rooms_are_kept_for_their_time(tmp_path: Path, in_a_file: bool) -> None:
    clock = Clock()
    rooms = rooms_of(tmp_path / "rooms.db" if in_a_file else None, clock)
    room, ada = rooms.join(MEMBER)
    rooms.receive(room, ada, final(0, "kept"))
    (listed,) = rooms.listing()
    assert (listed.room, listed.ended_at, listed.lines) == ("standup", None, 1)
    assert listed.about == {"call": "CA123"}
    clock.now += 60
    rooms.leave(room, ada)
    assert rooms.live == {}
    assert rooms.listing()[0].ended_at == clock.now
    clock.now += 3600
    reader = rooms.read("standup")
    rooms.forget_old()
    kept = rooms.find("standup")
    assert kept
    assert [line.text for line in kept.finals] == ["kept"]
    clock.now += 1
    rooms.forget_old()
    assert rooms.find("standup") is None
    assert rooms.listing() == []
    assert [m["type"] for m in await everything(reader)] == ["room"], "it ends with the room"


async def test_a_room_continues_while_it_is_stored() -> None:
    clock = Clock()
    rooms = rooms_of(clock=clock)
    room, ada = rooms.join(MEMBER)
    rooms.receive(room, ada, final(0, "before"))
    rooms.leave(room, ada)
    clock.now += 100
    room, ada = rooms.join(MEMBER)
    rooms.receive(room, ada, final(0, "after"))
    assert [(line.text, line.start) for line in room.finals] == [("before", 0), ("after", 100)]
    assert rooms.listing()[0].ended_at is None


def test_the_transcript_of_a_killed_server_is_there_after_its_restart(tmp_path: Path) -> None:
    before = rooms_of(tmp_path / "rooms.db")
    room, ada = before.join(MEMBER)
    before.receive(room, ada, final(0, "kept"))
    clock = Clock()
    clock.now += 10
    rooms = rooms_of(tmp_path / "rooms.db", clock)
    assert rooms.listing()[0].ended_at == clock.now
    kept = rooms.find("standup")
    assert kept
    assert [line.text for line in kept.finals] == ["kept"]


def test_a_file_that_another_user_has_locked(tmp_path: Path, caplog) -> None:
    rooms = rooms_of(tmp_path / "rooms.db")
    room, ada = rooms.join(MEMBER)
    rooms.receive(room, ada, final(0, "before"))
    with closing(sqlite3.connect(tmp_path / "rooms.db", isolation_level=None)) as other:
        other.execute("begin immediate")
        rooms.receive(room, ada, final(1, "meanwhile", 1))
        rooms.forget_old()
        assert "database is locked" in caplog.text
        assert rooms.listing()[0].lines == 1
        other.execute("rollback")
    rooms.receive(room, ada, final(2, "after", 2))
    rooms.leave(room, ada)
    kept = rooms.find("standup")
    assert kept
    assert [line.text for line in kept.finals] == ["before", "meanwhile", "after"]


def test_a_line_that_cannot_be_written_does_not_block_others() -> None:
    rooms = rooms_of()
    room, ada = rooms.join(MEMBER)
    (line,) = room.receive(ada, final(0, "kept"), 0.0)
    with pytest.raises(sqlite3.IntegrityError):
        rooms.store.add_line("no such room", line)
    rooms.store.add_line("standup", line)
    assert rooms.listing()[0].lines == 1


def test_a_file_that_cannot_be_read_ends_no_stream(tmp_path: Path, caplog) -> None:
    rooms = rooms_of(tmp_path / "rooms.db")
    with closing(sqlite3.connect(tmp_path / "rooms.db", isolation_level=None)) as other:
        other.executescript("drop table lines; drop table rooms;")
    room, ada = rooms.join(MEMBER)
    rooms.receive(room, ada, final(0, "said"))
    assert rooms.find("standup") is room
    rooms.stop_reading("another", rooms.read("another"))
    with pytest.raises(StoreError):
        rooms.find("another")
    with pytest.raises(StoreError):
        rooms.listing()
    assert "rooms cannot be read: no such table" in caplog.text


def test_a_file_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("These are notes." * 100)
    for path in (tmp_path / "notes.txt", tmp_path / "no" / "such" / "folder.db"):
        with pytest.raises(UsageError, match="cannot be used to store rooms"):
            RoomStore(path)


def test_too_many_rooms(tmp_path: Path) -> None:
    store = RoomStore(tmp_path / "rooms.sqlite")
    for i in range(30):
        store.open_room(Room(f"room{i}", float(i)))
        if i % 3:
            store.end_room(f"room{i}", 100.0 - i)
    assert len(store.listing()) == 30
    gone = store.forget_all_but(25)
    assert sorted(gone) == sorted(f"room{i}" for i in (29, 28, 26, 25, 23))
    live = {entry.room for entry in store.listing() if entry.ended_at is None}
    assert live == {f"room{i}" for i in range(0, 30, 3)}
    assert len(store.forget_all_but(0)) == 15
    assert {entry.room for entry in store.listing()} == live
    store.close()


def test_a_listing_has_the_latest_rooms() -> None:
    store = RoomStore()
    for i in range(MAX_LISTED + 10):
        store.open_room(Room(f"room{i}", float(i)))
    listing = store.listing()
    assert (len(listing), listing[0].room) == (MAX_LISTED, f"room{MAX_LISTED + 9}")
    store.close()


@pytest.mark.parametrize("how", ["deleted", "forgotten"])
def test_nothing_of_a_deleted_room_stays_on_the_disk(tmp_path: Path, how: str) -> None:
    file, clock = tmp_path / "rooms.db", Clock()
    rooms = rooms_of(file, clock)
    words = "Xylophonists quarrelled"
    for name in ("standup", "other"):
        room, number = rooms.join(RoomMembership(name, 1, 8_000))
        text = words if name == "standup" else "harmless"
        rooms.receive(room, number, final(0, text))
        if name == "standup":
            rooms.leave(room, number)
    content = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"Xylophonists" in content
    if how == "deleted":
        rooms.delete("standup")
    else:
        clock.now += 3601
        rooms.forget_old()
    content = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"Xylophonists" not in content
    assert b"standup" not in content
    assert b"harmless" in content
    assert rooms.find("standup") is None


def test_a_deletion_waits_for_the_disk_and_says_so(tmp_path: Path) -> None:
    file = tmp_path / "rooms.db"
    rooms = rooms_of(file)
    room, number = rooms.join(MEMBER)
    rooms.leave(room, number)
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("begin immediate")
        with pytest.raises(StoreError):
            rooms.delete("standup")
        with pytest.raises(StoreError):
            rooms.rename("standup", "other")
        other.execute("rollback")
    rooms.join(RoomMembership("another", 1, 8_000))
    assert rooms.find("standup") is None


def test_a_file_of_an_earlier_version_gets_owners(tmp_path: Path) -> None:
    file = tmp_path / "rooms.db"
    with closing(sqlite3.connect(file, isolation_level=None)) as old:
        old.executescript(
            "create table rooms (name text primary key, opened_at real not null, ended_at real,"
            " about text not null) strict;"
            "insert into rooms values ('old', 1, 2, '{}');"
        )
    clock = Clock()
    clock.now = 10.0
    rooms = rooms_of(file, clock)
    assert rooms.owner_of("old") == (True, None)
    rooms.join(RoomMembership("new", 1, 8_000, owner="desk"))
    assert rooms.owner_of("new") == (True, "desk")
    rooms.join(RoomMembership("new", 1, 8_000, owner="other"))
    assert rooms.owner_of("new") == (True, "desk")


def test_a_renamed_room_keeps_its_lines_and_its_owner(tmp_path: Path) -> None:
    rooms = rooms_of(tmp_path / "rooms.db")
    room, number = rooms.join(RoomMembership("standup", 1, 8_000, owner="desk"))
    rooms.receive(room, number, final(0, "hello"))
    rooms.leave(room, number)
    reader = rooms.read("standup")
    rooms.rename("standup", "monday")
    assert rooms.find("standup") is None
    found = rooms.find("monday")
    assert found
    assert ([line.text for line in found.finals], found.owner) == (["hello"], "desk")
    assert reader._over
