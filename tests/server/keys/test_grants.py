"""Who may speak in a room, read it and change it."""

import pytest

from stream.server.keys.grants import ANYONE, API_KEY, CALLS, Grant
from stream.server.keys.key_file import Key

DESK = Grant(Key(name="desk", open_rooms=("desk-*",)))
BOSS = Grant(Key(name="boss", read_rooms=("desk-*",), speak_in=("desk-1",), open_rooms=()))
ADMIN = Grant(Key(name="admin", may=("administer",)))


@pytest.mark.parametrize(
    ("grant", "room", "owner", "speak", "read", "change"),
    [
        (DESK, "desk-1", "desk", True, True, True),
        (DESK, "hall", "desk", True, True, True),  # it was given to it by another rule before
        (DESK, "desk-1", "other", False, False, False),
        (DESK, "desk-1", None, False, False, False),
        (BOSS, "desk-1", "desk", True, True, False),
        (BOSS, "desk-2", "desk", False, True, False),
        (BOSS, "hall", "desk", False, False, False),
        (ADMIN, "desk-1", "desk", True, True, True),
        (ADMIN, "desk-1", None, True, True, True),
        (Grant(API_KEY), "desk-1", "desk", True, True, True),
        (Grant(ANYONE), "desk-1", None, True, True, True),
        (Grant(CALLS), "CA1", None, True, True, True),
        (Grant(CALLS), "CA1", "desk", False, False, False),
    ],
)
def test_rooms_that_exist(
    grant: Grant, room: str, owner: str | None, speak: bool, read: bool, change: bool
) -> None:
    assert grant.may_speak(room, exists=True, owner=owner) == speak
    assert grant.may_read(room, exists=True, owner=owner) == read
    assert grant.may_change(owner) == change


@pytest.mark.parametrize(
    ("grant", "room", "opens", "waits"),
    [
        (DESK, "desk-9", True, True),
        (DESK, "hall", False, False),
        (BOSS, "desk-9", False, True),
        (BOSS, "hall", False, False),
        (ADMIN, "anything", True, True),
        (Grant(CALLS), "CA1", True, True),
    ],
)
def test_rooms_that_do_not_exist_yet(grant: Grant, room: str, opens: bool, waits: bool) -> None:
    assert grant.may_speak(room, exists=False, owner=None) == opens
    assert grant.may_read(room, exists=False, owner=None) == waits


def test_labels() -> None:
    grant = Grant(Key(name="desk", labels=("Agent *", "Ada")))
    assert [grant.may_be_called(label) for label in ("Agent 7", "Ada", "ada", "Customer")] == [
        True, True, False, False,
    ]  # fmt: skip
