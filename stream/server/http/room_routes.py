"""Rooms over HTTP: the page, captions as they come, transcripts, and a feed for video players."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from functools import wraps

import msgspec
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from stream.protocols.declarations import NO_KEY
from stream.protocols.start_settings import ROOM_NAME
from stream.rooms import feed, formats
from stream.server import access
from stream.server.admission import why_no_reader
from stream.server.http.page import Asset
from stream.server.rooms.rooms import Reader, Rooms
from stream.server.rooms.store import StoreError
from stream.server.state import ServerState

HEARTBEAT_S = 15.0
"""Of silence, after which a reader is sent a heartbeat: proxies cut what seems dead."""

HEARTBEAT = b'{"type":"heartbeat"}'
"""A message, not a comment, which a script in a browser would not see."""

RETRY_MS = 2000
"""How soon a page asks again when its connection is lost."""

Endpoint = Callable[[Request], Awaitable[Response]]


def routes(server: ServerState, assets: Mapping[str, Asset]) -> list[Route]:
    """Return the routes of rooms."""
    desk = RoomDesk(server)
    room = "/v1/rooms/{name}"
    return [
        Route("/rooms", page_of(assets["/rooms.html"])),
        Route("/rooms/{name}", page_of(assets["/room.html"])),
        Route("/v1/rooms", desk.listing),
        Route(f"{room}/events", desk.for_readers(desk.events)),
        Route(f"{room}/transcript.{{extension}}", desk.for_readers(desk.transcript)),
        Route(f"{room}/captions.m3u8", desk.for_readers(desk.playlist)),
        Route(f"{room}/captions-{{number:int}}.vtt", desk.for_readers(desk.segment)),
    ]


def page_of(asset: Asset) -> Endpoint:
    """Return what answers with a page, for any room that there may be."""
    content_type, content = asset

    async def page(request: Request) -> Response:
        name = request.path_params.get("name")
        if name is not None and not ROOM_NAME.fullmatch(name):
            return no_such_room()
        return Response(content, media_type=content_type)

    return page


class RoomDesk:
    """Hands out what is said in the rooms of a server."""

    def __init__(self, server: ServerState) -> None:
        self.server = server
        self.rooms = server.rooms
        self.config = server.config

    def for_readers(self, endpoint: Endpoint) -> Endpoint:
        """Refuse who may not read rooms; let pages of an allowed origin see the answer."""

        @wraps(endpoint)
        async def checked(request: Request) -> Response:
            fields = request.headers.items()
            target = f"{request.url.path}?{request.url.query}"
            may_read = access.may_read(fields, target, self.config)
            try:
                response = await endpoint(request) if may_read else refusal()
            except StoreError:
                response = unreadable()
            response.headers.update(access.cross_origin(fields, self.config))
            return response

        return checked

    async def listing(self, request: Request) -> Response:
        """List the rooms, for whoever shows the key."""
        if not access.authorised(request.headers.items(), request.url.query, self.config):
            return refusal()
        try:
            content = msgspec.json.encode({"rooms": self.rooms.listing()})
        except StoreError:
            return unreadable()
        return Response(content, media_type="application/json")

    async def events(self, request: Request) -> Response:
        """Send what is said, as it is said."""
        name = request.path_params["name"]
        if not ROOM_NAME.fullmatch(name):
            return no_such_room()
        if refused := why_no_reader(self.server):
            return PlainTextResponse(f"{refused}\n", 503)
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        body = server_sent(self.rooms, name)
        return StreamingResponse(body, media_type="text/event-stream", headers=headers)

    async def transcript(self, request: Request) -> Response:
        """Answer with what was said so far, as a file."""
        room = self.rooms.find(request.path_params["name"])
        form = formats.FORMATS.get(request.path_params["extension"])
        if room is None or form is None:
            return no_such_room()
        content_type, write = form
        return Response(write(room), media_type=content_type)

    async def playlist(self, request: Request) -> Response:
        """List the segments of the feed for video players."""
        room = self.rooms.find(request.path_params["name"])
        if room is None:
            return no_such_room()
        if mpegts(request) is None:
            return PlainTextResponse("mpegts is no number of 33 bits.\n", 400)
        query = f"?{request.url.query}" if request.url.query else ""
        content = feed.playlist(
            room, self.rooms.settled_s(room), lambda number: f"captions-{number}.vtt{query}"
        )
        return Response(content, media_type="application/vnd.apple.mpegurl")

    async def segment(self, request: Request) -> Response:
        """Answer with a segment of the feed."""
        room = self.rooms.find(request.path_params["name"])
        number = request.path_params["number"]
        if room is None or number >= feed.n_segments(room, self.rooms.settled_s(room)):
            return no_such_room()
        content = feed.segment(room.finals, number, mpegts(request) or 0)
        return Response(content, media_type="text/vtt")


async def server_sent(rooms: Rooms, name: str) -> AsyncIterator[bytes]:
    """Yield a room's messages as server-sent events."""
    reader = rooms.read(name)
    try:
        yield b"retry: %d\n\n" % RETRY_MS
        while (messages := await some(reader)) is not None:
            yield b"".join(b"data: %b\n\n" % message for message in messages or [HEARTBEAT])
    finally:
        rooms.stop_reading(name, reader)


async def some(reader: Reader) -> list[bytes] | None:
    """Return what waits, or nothing after a while; None at the end."""
    try:
        async with asyncio.timeout(HEARTBEAT_S):
            messages = [await anext(reader)]
    except TimeoutError:
        return []
    except StopAsyncIteration:
        return None
    return messages + reader.take_waiting()


def mpegts(request: Request) -> int | None:
    """What the video's clock shows when the room is opened; None where that is no such number."""
    digits = request.query_params.get("mpegts", "0")
    return int(digits) if re.fullmatch(r"[0-9]{1,10}", digits) and int(digits) < 2**33 else None


def refusal() -> Response:
    """The key is not there."""
    return PlainTextResponse(f"{NO_KEY}\n", 401)


def unreadable() -> Response:
    """Answer 503: the rooms that are over cannot be read now."""
    return PlainTextResponse("Rooms that are over cannot be read now; try again later.\n", 503)


def no_such_room() -> Response:
    """There is none."""
    return PlainTextResponse("There is no such room.\n", 404)
