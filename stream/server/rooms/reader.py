"""Sends the messages of a room over a websocket; the same ones as the server-sent events."""

import asyncio
import re
from contextlib import suppress

from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from stream.protocols.close_codes import CloseCode
from stream.protocols.start_settings import ROOM_NAME
from stream.server.rooms.rooms import MayRead, Reader, Rooms

SUBPROTOCOLS = ("stream.v1",)
"""Subprotocols that a reader may offer: that of the native protocol."""

PATH = re.compile(rf"/v1/rooms/({ROOM_NAME.pattern})/events")


def room_of(path: str) -> str | None:
    """Return the name of the room in the path of its events; None for any other path."""
    found = PATH.fullmatch(path)
    return found[1] if found else None


async def serve_reader(
    websocket: ServerConnection, rooms: Rooms, name: str, stalled_s: float, may_read: MayRead
) -> None:
    """Send the messages of a room until it is deleted or the reader disconnects or is too slow.

    A reader that does not accept a message for `stalled_s` seconds is disconnected, and one that
    may no longer read the room.
    """
    reader = rooms.read(name, may_read)
    sending = asyncio.create_task(send_all(websocket, reader, stalled_s))
    leaving = asyncio.create_task(websocket.wait_closed())
    try:
        await asyncio.wait([sending, leaving], return_when=asyncio.FIRST_COMPLETED)
    finally:
        rooms.stop_reading(name, reader)
        for task in (sending, leaving):
            task.cancel()
    if reader.outbox.overflowing:
        await websocket.close(CloseCode.OVERLOADED, "the reader is too slow")
    else:
        await websocket.close(CloseCode.GOING_AWAY, "the room is closed")


async def send_all(websocket: ServerConnection, reader: Reader, stalled_s: float) -> None:
    """Send each message as a text frame."""
    with suppress(ConnectionClosed, TimeoutError):
        async for message in reader:
            async with asyncio.timeout(stalled_s):
                await websocket.send(message, text=True)
