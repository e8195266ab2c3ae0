"""The messages that are sent to the readers of a room; `docs/rooms.md` documents them.

Times are in seconds from the opening of the room. A line is an utterance; it has a number that is
unique in the room.
"""

from msgspec import Struct


class Message(Struct, frozen=True, kw_only=True, tag_field="type"):
    """Any message to a reader."""


class Partial(Message, frozen=True, kw_only=True, tag="partial"):
    """A line whose utterance is not over; its text is `committed + tentative`."""

    line: int
    speaker: str
    start: float
    end: float
    committed: str
    """Text that is never changed, only extended."""
    tentative: str
    """Text that the next message about the line can change."""


class Final(Message, frozen=True, kw_only=True, tag="final"):
    """A line whose utterance is over; the text is empty if no word was recognised."""

    line: int
    speaker: str
    start: float
    end: float
    text: str


class Key(Message, frozen=True, kw_only=True, tag="key"):
    """A telephone key that was pressed in a call (DTMF). It is sent to readers, but not stored."""

    speaker: str
    time: float
    key: str
    """One of 0 to 9, `*`, `#` and A to D."""


class Live(Message, frozen=True, kw_only=True, tag="live"):
    """The state of the room: whether streams are open, and their speakers."""

    live: bool
    """Whether any stream is open. A room can become live again until it is deleted."""
    speakers: tuple[str, ...]
    """The labels of the channels of all open streams."""


class Snapshot(Message, frozen=True, kw_only=True, tag="room"):
    """The whole room at one time: the first message that a reader is sent."""

    room: str
    opened_at: float | None
    """Seconds since 1970; None if no stream has been part of the room yet."""
    live: bool
    speakers: tuple[str, ...]
    finals: tuple[Final, ...]
    """The finals in the order of their start."""
    partials: tuple[Partial, ...]


class Listing(Struct, frozen=True, kw_only=True):
    """A room in a list of rooms."""

    room: str
    opened_at: float
    """Seconds since 1970."""
    ended_at: float | None
    """Seconds since 1970; None while the room is live."""
    lines: int
    owner: str | None
    """Name of the key that owns the room; None if no key does."""
    about: dict[str, str]
    """Facts that the streams report about themselves, such as the telephone number of a call."""
