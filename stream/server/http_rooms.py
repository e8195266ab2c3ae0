"""Rooms over HTTP: the page, captions as they come, transcripts, and a feed for video players."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from functools import wraps

import msgspec
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from stream.protocols.start import ROOM_NAME
from stream.rooms import formats
from stream.rooms.room import Room
from stream.server import access
from stream.server.page import Asset
from stream.server.rooms import Reader, Rooms
from stream.server.state import ServerState

HEARTBEAT_S = 15.0
"""Of silence, after which a reader is sent a comment: proxies cut what seems dead."""

RETRY_MS = 2000
"""How soon a page asks again when its connection is lost."""

Endpoint = Callable[[Request], Awaitable[Response]]


def routes(server: ServerState, assets: Mapping[str, Asset]) -> list[Route]:
    """Return the routes of rooms."""
    rooms = server.rooms

    def for_readers(endpoint: Endpoint) -> Endpoint:
        """Refuse who may not read rooms."""

        @wraps(endpoint)
        async def checked(request: Request) -> Response:
            target = f"{request.url.path}?{request.url.query}"
            if access.may_read(request.headers.items(), target, server.config):
                return await endpoint(request)
            return refusal()

        return checked

    async def page(request: Request) -> Response:
        asset = "/room.html" if "name" in request.path_params else "/rooms.html"
        content_type, content = assets[asset]
        return Response(content, media_type=content_type)

    async def listing(request: Request) -> Response:
        if not may_use(server, request):
            return refusal()
        content = msgspec.json.encode({"rooms": rooms.listing()})
        return Response(content, media_type="application/json")

    @for_readers
    async def events(request: Request) -> Response:
        if not ROOM_NAME.fullmatch(request.path_params["name"]):
            return no_such_room()
        if rooms.n_readers >= server.config.max_readers:
            return PlainTextResponse("There are too many readers; try again later.\n", 503)
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        body = server_sent(rooms, request.path_params["name"])
        return StreamingResponse(body, media_type="text/event-stream", headers=headers)

    @for_readers
    async def transcript(request: Request) -> Response:
        room = rooms.find(request.path_params["name"])
        if room is None or request.path_params["extension"] not in formats.FORMATS:
            return no_such_room()
        content_type, write = formats.FORMATS[request.path_params["extension"]]
        return Response(write(room), media_type=content_type)

    @for_readers
    async def playlist(request: Request) -> Response:
        room = rooms.find(request.path_params["name"])
        if room is None:
            return no_such_room()
        query = f"?{request.url.query}" if request.url.query else ""
        content = formats.playlist(room, lambda number: f"captions-{number}.vtt{query}")
        return Response(content, media_type="application/vnd.apple.mpegurl")

    @for_readers
    async def segment(request: Request) -> Response:
        room = rooms.find(request.path_params["name"])
        number = request.path_params["number"]
        if room is None or not is_listed(room, number):
            return no_such_room()
        return Response(formats.segment(room.finals, number), media_type="text/vtt")

    return [
        Route("/rooms", page),
        Route("/rooms/{name}", page),
        Route("/v1/rooms", listing),
        Route("/v1/rooms/{name}/events", events),
        Route("/v1/rooms/{name}/transcript.{extension}", transcript),
        Route("/v1/rooms/{name}/captions.m3u8", playlist),
        Route("/v1/rooms/{name}/captions-{number:int}.vtt", segment),
    ]


async def server_sent(rooms: Rooms, name: str) -> AsyncIterator[bytes]:
    """Yield a room's messages as server-sent events."""
    reader = rooms.read(name)
    try:
        yield b"retry: %d\n\n" % RETRY_MS
        while (messages := await some(reader)) is not None:
            yield b"".join(b"data: %b\n\n" % message for message in messages) or b":\n\n"
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


def is_listed(room: Room, number: int) -> bool:
    """Whether a segment is complete."""
    return (number + 1) * formats.SEGMENT_S <= room.settled_s or (
        not room.live and number * formats.SEGMENT_S < room.settled_s
    )


def may_use(server: ServerState, request: Request) -> bool:
    """Whether the request shows the key, where one is wanted."""
    return access.authorised(request.headers.items(), request.url.query, server.config)


def refusal() -> Response:
    """The key is not there."""
    return PlainTextResponse("The key is missing or wrong; see --api-key.\n", 401)


def no_such_room() -> Response:
    """There is none."""
    return PlainTextResponse("There is no such room.\n", 404)
