"""What is said in a room, read live: a snapshot, then lines as they grow and become final.

async for event in read_room("http://127.0.0.1:8765", "standup"):
    match event:
        case Line(final=True):
            print(f"{event.speaker}: {event.text}")
"""

import asyncio
import json
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import quote, urlsplit, urlunsplit

from websockets.asyncio.client import connect as websocket_connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI

from distil_stream_client.wire import RETRIED, ConnectionLost, ServerError

FIRST_WAIT_S = 0.5
LONGEST_WAIT_S = 10.0
"""Between two attempts to come back; each wait is twice the one before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """What one speaker says without a pause. Times are seconds from the opening of the room."""

    line: int
    """Its number: a later `Line` with the same one takes its place."""
    speaker: str
    start: float
    end: float
    committed: str
    """Never changes again, only grows."""
    tentative: str = ""
    """May change. It brings its own space."""
    final: bool = False

    @property
    def text(self) -> str:
        """All of it; a final line without any is taken back."""
        return self.committed + self.tentative


@dataclass(frozen=True, slots=True, kw_only=True)
class Presence:
    """Who may speak now."""

    live: bool
    """Whether any stream is open in the room."""
    speakers: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot(Presence):
    """The room as it stands: the first event, and again after a connection was lost."""

    room: str
    lines: tuple[Line, ...]
    """In the order of their start."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyPressed:
    """A key of the telephone that somebody in a call pressed."""

    speaker: str
    time: float
    """Seconds from the opening of the room."""
    key: str
    """One of 0 to 9, `*`, `#` and A to D."""


RoomEvent = Snapshot | Presence | Line | KeyPressed


async def read_room(
    url: str,
    room: str,
    *,
    api_key: str | None = None,
    reconnect: bool = True,
    open_timeout: float = 10,
    proxy: str | Literal[True] | None = True,
) -> AsyncGenerator[RoomEvent, None]:
    """Yield what happens in a room, for as long as there is a server that knows it.

    A connection that is lost is opened again, unless `reconnect` is False: then, and where the
    first one fails, `ConnectionLost` is raised; where the server refuses, `ServerError`.
    """
    wait_s, seen = FIRST_WAIT_S, False
    headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
    while True:
        try:
            async with websocket_connect(
                room_url(url, room),
                additional_headers=headers,
                compression=None,
                max_size=None,  # A snapshot holds the whole meeting.
                open_timeout=open_timeout,
                proxy=proxy,
            ) as websocket:
                async for message in websocket:
                    wait_s, seen = FIRST_WAIT_S, True
                    if (event := parse(message)) is not None:
                        yield event
            trouble = ConnectionLost("The server closed the room.", websocket.close_code)
        except InvalidStatus as error:
            said = error.response.body.decode(errors="replace").strip()
            status = error.response.status_code
            code = f"http_{status}"
            if code not in RETRIED or not seen:  # who was let in before waits for a place
                raise ServerError(code, said or f"HTTP {status}") from error
            trouble = ConnectionLost(said or f"HTTP {status}")
        except ConnectionClosed as error:
            trouble = ConnectionLost(f"The connection to the room broke: {error}.")
        except (OSError, ValueError, InvalidHandshake, InvalidURI) as error:
            trouble = ConnectionLost(f"No server answers at {url}: {error}")
        if not (reconnect and seen):
            raise trouble
        await asyncio.sleep(wait_s)
        wait_s = min(2 * wait_s, LONGEST_WAIT_S)


def parse(message: str | bytes) -> RoomEvent | None:
    """Read one message; None for one that only newer clients know."""
    fields = json.loads(message)
    match fields["type"]:
        case "room":
            lines = [line_of(line) for line in fields["finals"] + fields["partials"]]
            return Snapshot(
                room=fields["room"],
                live=fields["live"],
                speakers=tuple(fields["speakers"]),
                lines=tuple(sorted(lines, key=lambda line: line.start)),
            )
        case "live":
            return Presence(live=fields["live"], speakers=tuple(fields["speakers"]))
        case "key":
            return KeyPressed(speaker=fields["speaker"], time=fields["time"], key=fields["key"])
        case "partial" | "final":
            return line_of(fields)
    return None


def line_of(fields: dict[str, Any]) -> Line:
    """Read a line, final or not."""
    final = fields["type"] == "final"
    return Line(
        line=fields["line"],
        speaker=fields["speaker"],
        start=fields["start"],
        end=fields["end"],
        committed=fields["text"] if final else fields["committed"],
        tentative="" if final else fields["tentative"],
        final=final,
    )


def room_url(url: str, room: str) -> str:
    """Turn the address of a server into that of a room's events."""
    scheme, host, path, query, _ = urlsplit(url if "//" in url else f"//{url}", scheme="ws")
    scheme = {"http": "ws", "https": "wss"}.get(scheme, scheme)
    base = path.removesuffix("/v1/stream").rstrip("/")
    return urlunsplit((scheme, host, f"{base}/v1/rooms/{quote(room, safe='')}/events", query, ""))
