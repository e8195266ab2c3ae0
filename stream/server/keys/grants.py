"""What the client of one request or stream may do: the rights of its key, narrowed by its token."""

from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Annotated, Literal

import msgspec

from stream.server.keys.key_file import RESERVED, Key, Permission

LONGEST_S = 3600
"""Seconds for which a token is valid, at most."""

Purpose = Literal["stream", "read"]


class Token(msgspec.Struct, frozen=True, kw_only=True):
    """The content of a token: one purpose of a key, for some time."""

    key: str
    """Name of the key that made it; empty if none is required."""
    purpose: Purpose
    room: str | None = None
    """The room in which to speak, or that is read; None to stream into no room."""
    speakers: tuple[str, ...] = ()
    """The labels of the channels, if they are fixed."""
    exp: Annotated[float, msgspec.Meta(ge=0)]
    """When it expires, in seconds since 1970."""


EVERYTHING: tuple[Permission, ...] = ("stream", "upload", "administer", "record")

ANYONE = Key(name="", may=("stream", "upload", "administer"))
"""The rights of every client if no key is required."""

API_KEY = Key(name=RESERVED, may=EVERYTHING)
"""The rights of `--api-key`."""

CALLS = Key(name="", may=("stream",))
"""The rights of clients that show no key, but a signature, or that come to a port for calls."""


@dataclass(frozen=True, slots=True)
class Grant:
    """The rights of a client."""

    rights: Key
    token: Token | None = None

    @property
    def name(self) -> str:
        """Name of the key; empty if there is none."""
        return self.rights.name

    def may(self, permission: Permission) -> bool:
        """Return whether the client may do this at all."""
        if self.token is not None and (self.token.purpose != "stream" or permission != "stream"):
            return False
        return permission in self.rights.may

    def may_speak(self, room: str, *, exists: bool, owner: str | None) -> bool:
        """Return whether the client may stream into a room, which it opens if none `exists`."""
        if self.token is not None and (self.token.purpose, self.token.room) != ("stream", room):
            return False
        rights = self.rights
        if "administer" in rights.may or (exists and owner == rights.owner):
            return True
        return matches(room, rights.speak_in if exists else rights.open_rooms)

    def may_stream_alone(self) -> bool:
        """Return whether the client may stream into no room."""
        return self.token is None or self.token.room is None

    def may_read(self, room: str, *, exists: bool, owner: str | None) -> bool:
        """Return whether the client may read a room, or wait for one that does not exist yet."""
        if self.token is not None and (self.token.purpose, self.token.room) != ("read", room):
            return False
        rights = self.rights
        if "administer" in rights.may or (exists and owner == rights.owner):
            return True
        patterns = rights.read_rooms if exists else (*rights.read_rooms, *rights.open_rooms)
        return matches(room, patterns)

    def may_change(self, owner: str | None) -> bool:
        """Return whether the client may rename and delete a room of this owner."""
        rights = self.rights
        return self.token is None and ("administer" in rights.may or owner == rights.owner)

    def may_be_called(self, label: str) -> bool:
        """Return whether the client may use a label."""
        return matches(label, self.rights.labels)


def matches(name: str, patterns: Iterable[str]) -> bool:
    """Return whether a name fits one of the patterns."""
    return any(fnmatchcase(name, pattern) for pattern in patterns)
