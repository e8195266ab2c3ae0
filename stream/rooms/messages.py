"""What the readers of a room are sent, each message declared once; `docs/rooms.md` explains them.

Times are seconds from the opening of the room. A line is an utterance; its number is the room's.
"""

from msgspec import Struct


class Message(Struct, frozen=True, kw_only=True, tag_field="type"):
    """Any message to a reader."""


class Partial(Message, frozen=True, kw_only=True, tag="partial"):
    """A line as heard so far: `committed + tentative` is its text."""

    line: int
    speaker: str
    start: float
    end: float
    committed: str
    """Never changes again, only grows."""
    tentative: str
    """May change."""


class Final(Message, frozen=True, kw_only=True, tag="final"):
    """A line as it stays; one in which no word was recognised has an empty text."""

    line: int
    speaker: str
    start: float
    end: float
    text: str


class Key(Message, frozen=True, kw_only=True, tag="key"):
    """A key of the telephone that somebody in a call pressed. It is told, and kept nowhere."""

    speaker: str
    time: float
    key: str
    """One of 0 to 9, `*`, `#` and A to D."""


class Live(Message, frozen=True, kw_only=True, tag="live"):
    """Who is speaking in the room now, so far as streams are open."""

    live: bool
    """Whether any stream is. A room that is not may become so again, until it is forgotten."""
    speakers: tuple[str, ...]


class Snapshot(Message, frozen=True, kw_only=True, tag="room"):
    """The room as it stands: what a reader is sent first, however late it comes."""

    room: str
    opened_at: float | None
    """Seconds since 1970; None where nobody has spoken yet."""
    live: bool
    speakers: tuple[str, ...]
    finals: tuple[Final, ...]
    """In the order of their start."""
    partials: tuple[Partial, ...]


class Listing(Struct, frozen=True, kw_only=True):
    """A room in a list of rooms."""

    room: str
    opened_at: float
    """Seconds since 1970."""
    ended_at: float | None
    """None while it is live."""
    lines: int
    about: dict[str, str]
    """What the streams said of themselves: of a call its number, for example."""
