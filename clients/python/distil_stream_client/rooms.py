"""Reads a room live: yields a snapshot, then lines as they grow and become final.

async for event in read_room("http://127.0.0.1:8765", "standup"):
    match event:
        case Line(final=True):
            print(f"{event.speaker}: {event.text}")
"""

import asyncio
import json
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any, Literal, TypedDict, Unpack
from urllib.parse import quote, urlsplit, urlunsplit

from websockets.asyncio.client import connect as websocket_connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI

from distil_stream_client.errors import ConnectionLost
from distil_stream_client.policy import RETRIED_REFUSALS
from distil_stream_client.wire import refused

FIRST_WAIT_S = 0.5
LONGEST_WAIT_S = 10.0
"""The longest wait before an attempt to reconnect; each wait is twice the one before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One utterance of a speaker. Times are seconds from the opening of the room."""

    line: int
    """Number of the line; a later `Line` with the same number replaces it."""
    speaker: str
    start: float
    end: float
    committed: str
    """Words that do not change; later events add words after them."""
    tentative: str = ""
    """Words that may change, with the space before them."""
    final: bool = False

    @property
    def text(self) -> str:
        """Committed and tentative words. A viewer removes a line that is final and has no text."""
        return self.committed + self.tentative


@dataclass(frozen=True, slots=True, kw_only=True)
class Presence:
    """The streams that are open in the room."""

    live: bool
    """Whether there is an open stream."""
    speakers: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot(Presence):
    """The whole room at one moment: the first event, also after each reconnection."""

    room: str
    lines: tuple[Line, ...]
    """The lines so far, in the order of their start."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyPressed:
    """A key was pressed on a telephone in a call."""

    speaker: str
    time: float
    """Seconds from the opening of the room."""
    key: str
    """One of 0 to 9, `*`, `#` and A to D."""


RoomEvent = Snapshot | Presence | Line | KeyPressed


class RoomOptions(TypedDict, total=False):
    """How a room is read."""

    api_key: str | None
    """The key of a server that requires one."""
    reconnect: bool
    """Whether a lost connection is opened again; True by default."""
    open_timeout: float
    """Seconds that opening a websocket may take; 10 by default."""
    proxy: str | Literal[True] | None
    """Address of a proxy, True for the proxy of the environment, None for no proxy."""


async def read_room(
    url: str, room: str, **options: Unpack[RoomOptions]
) -> AsyncGenerator[RoomEvent, None]:
    """Yield the events of a room until the server refuses it or the caller stops.

    A lost connection is opened again without a limit of time.

    Raises:
        ServerError: the server refused.
        ConnectionLost: the first connection failed; or any connection, if `reconnect` is False.
    """
    wait_s, seen = FIRST_WAIT_S, False
    api_key = options.get("api_key")
    while True:
        try:
            async with websocket_connect(
                room_url(url, room),
                additional_headers={"Authorization": f"Bearer {api_key}"} if api_key else {},
                compression=None,
                max_size=None,  # A snapshot holds the whole meeting.
                open_timeout=options.get("open_timeout", 10),
                proxy=options.get("proxy", True),
            ) as websocket:
                async for message in websocket:
                    wait_s, seen = FIRST_WAIT_S, True
                    if (event := parse(message)) is not None:
                        yield event
            trouble = ConnectionLost("The server closed the room.", websocket.close_code)
        except InvalidStatus as error:
            refusal = refused(error)
            if refusal.code not in RETRIED_REFUSALS or not seen:
                raise refusal from error
            trouble = ConnectionLost(refusal.message)
        except ConnectionClosed as error:
            trouble = ConnectionLost(f"The connection to the room broke: {error}.")
        except (OSError, ValueError, InvalidHandshake, InvalidURI) as error:
            trouble = ConnectionLost(f"No server answers at {url}: {error}")
        if not seen or not options.get("reconnect", True):
            raise trouble
        await asyncio.sleep(wait_s)
        wait_s = min(2 * wait_s, LONGEST_WAIT_S)


def parse(message: str | bytes) -> RoomEvent | None:
    """Parse one message; return None if this version of the client does not support its type."""
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
    """Return the `Line` with the fields of a `partial` or `final` message."""
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
    """Return the websocket URL of a room's events for the address of a server."""
    scheme, host, path, query, _ = urlsplit(url if "//" in url else f"//{url}", scheme="ws")
    scheme = {"http": "ws", "https": "wss"}.get(scheme, scheme)
    base = path.removesuffix("/v1/stream").rstrip("/")
    return urlunsplit((scheme, host, f"{base}/v1/rooms/{quote(room, safe='')}/events", query, ""))
