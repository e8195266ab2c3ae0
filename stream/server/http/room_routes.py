"""HTTP routes of rooms: pages, server-sent events, transcripts, and a feed for video players."""

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
from stream.rooms.room import Room
from stream.server import access
from stream.server.admission import why_no_reader
from stream.server.http.page import Asset
from stream.server.http.request_target import query_of, target_of
from stream.server.rooms.rooms import Reader, Rooms
from stream.server.rooms.store import StoreError
from stream.server.state import ServerState

HEARTBEAT_S = 15.0
"""Seconds without a message after which a heartbeat is sent: proxies close idle connections."""

HEARTBEAT = b'{"type":"heartbeat"}'
"""A message, not an SSE comment, because scripts in a browser do not get comments."""

MAX_WRITERS = 2
"""Transcripts that are written at the same time. One of 1.5 hours takes seconds, as subtitles, and
the event loop waits for the interpreter lock meanwhile, some milliseconds at a time."""

RETRY_MS = 2000
"""Milliseconds after which a browser reconnects."""

Endpoint = Callable[[Request], Awaitable[Response]]


def routes(server: ServerState, assets: Mapping[str, Asset]) -> list[Route]:
    """Return the routes of rooms."""
    endpoints = RoomEndpoints(server)
    room = "/v1/rooms/{name}"
    return [
        Route("/rooms", page_endpoint(assets["/rooms.html"])),
        Route("/rooms/{name}", page_endpoint(assets["/room.html"])),
        Route("/v1/rooms", endpoints.listing),
        Route(f"{room}/events", endpoints.for_readers(endpoints.events)),
        Route(f"{room}/transcript.{{extension}}", endpoints.for_readers(endpoints.transcript)),
        Route(f"{room}/captions.m3u8", endpoints.for_readers(endpoints.playlist)),
        Route(f"{room}/captions-{{number}}.vtt", endpoints.for_readers(endpoints.segment)),
    ]


def page_endpoint(asset: Asset) -> Endpoint:
    """Return an endpoint that responds with a page, for any valid name of a room."""
    content_type, content = asset

    async def page(request: Request) -> Response:
        name = request.path_params.get("name")
        if name is not None and not ROOM_NAME.fullmatch(name):
            return no_such_room()
        return Response(content, media_type=content_type)

    return page


class RoomEndpoints:
    """The endpoints of the rooms of a server."""

    def __init__(self, server: ServerState) -> None:
        self.server = server
        self.rooms = server.rooms
        self.config = server.config
        self._writing: dict[tuple[str, ...], asyncio.Future[bytes]] = {}
        """The documents that are being written, by what identifies them."""
        self._turns = asyncio.Semaphore(MAX_WRITERS)

    def for_readers(self, endpoint: Endpoint) -> Endpoint:
        """Wrap an endpoint: refuse clients that may not read rooms, and add the CORS headers."""

        @wraps(endpoint)
        async def checked(request: Request) -> Response:
            fields = request.headers.items()
            target = target_of(request)
            may_read = access.may_read(fields, target, self.config)
            try:
                response = await endpoint(request) if may_read else refusal()
            except StoreError:
                response = unreadable()
            response.headers.update(access.cross_origin(fields, self.config))
            response.headers.setdefault("Cache-Control", "no-store")
            return response

        return checked

    async def listing(self, request: Request) -> Response:
        """List the rooms; always requires the key."""
        if not access.authorised(request.headers.items(), query_of(request), self.config):
            return refusal()
        try:
            content = await self._written(
                ("listing",), lambda: msgspec.json.encode({"rooms": self.rooms.listing()})
            )
        except StoreError:
            return unreadable()
        headers = {"Cache-Control": "no-store"}
        return Response(content, media_type="application/json", headers=headers)

    async def events(self, request: Request) -> Response:
        """Send the messages of a room as server-sent events."""
        name = request.path_params["name"]
        if not ROOM_NAME.fullmatch(name):
            return no_such_room()
        if refused := why_no_reader(self.server):
            return PlainTextResponse(f"{refused}\n", 503)
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        body = server_sent_events(self.rooms, name)
        return StreamingResponse(body, media_type="text/event-stream", headers=headers)

    async def transcript(self, request: Request) -> Response:
        """Respond with the transcript so far, in the format of the extension."""
        room = await self._find(request)
        extension = request.path_params["extension"]
        writer = formats.FORMATS.get(extension)
        if room is None or writer is None:
            return no_such_room()
        content_type, write = writer
        frozen = room.frozen()
        content = await self._written((room.name, extension), lambda: write(frozen).encode())
        return Response(content, media_type=content_type)

    async def _find(self, request: Request) -> Room | None:
        """Return the room that a request names; None if there is none. Raises `StoreError`."""
        name = request.path_params["name"]
        live = self.rooms.live.get(name)
        return live or await asyncio.to_thread(self.rooms.store.find, name)

    async def _written(self, key: tuple[str, ...], write: Callable[[], bytes]) -> bytes:
        """Return what `write` returns, on a thread; requests at the same time share one result."""
        writing = self._writing.get(key)
        if writing is None:
            writing = self._writing[key] = asyncio.ensure_future(self._write_in_turn(write))
            writing.add_done_callback(lambda _: self._writing.pop(key))
        return await asyncio.shield(writing)

    async def _write_in_turn(self, write: Callable[[], bytes]) -> bytes:
        async with self._turns:
            return await asyncio.to_thread(write)

    async def playlist(self, request: Request) -> Response:
        """Respond with the playlist of the feed for video players."""
        room = await self._find(request)
        if room is None:
            return no_such_room()
        if mpegts(request) is None:
            return PlainTextResponse("mpegts is not an integer of at most 33 bits.\n", 400)
        query = f"?{query_of(request)}" if query_of(request) else ""
        content = feed.playlist(
            room, self.rooms.settled_s(room), lambda number: f"captions-{number}.vtt{query}"
        )
        return Response(content, media_type="application/vnd.apple.mpegurl")

    async def segment(self, request: Request) -> Response:
        """Respond with a segment of the feed."""
        room = await self._find(request)
        digits = request.path_params["number"]
        if room is None or not re.fullmatch(r"[0-9]{1,9}", digits):
            return no_such_room()
        number = int(digits)
        if number >= feed.n_segments(room, self.rooms.settled_s(room)):
            return no_such_room()
        content = feed.segment(room.finals, number, mpegts(request) or 0)
        return Response(content, media_type="text/vtt")


async def server_sent_events(rooms: Rooms, name: str) -> AsyncIterator[bytes]:
    """Yield the messages of a room as server-sent events."""
    reader = rooms.read(name)
    try:
        yield b"retry: %d\n\n" % RETRY_MS
        while (messages := await next_messages(reader)) is not None:
            yield b"".join(b"data: %b\n\n" % message for message in messages or [HEARTBEAT])
    finally:
        rooms.stop_reading(name, reader)


async def next_messages(reader: Reader) -> list[bytes] | None:
    """Return the messages that wait; none after `HEARTBEAT_S`, None at the end of the room."""
    try:
        async with asyncio.timeout(HEARTBEAT_S):
            messages = [await anext(reader)]
    except TimeoutError:
        return []
    except StopAsyncIteration:
        return None
    return messages + reader.take_waiting()


def mpegts(request: Request) -> int | None:
    """Return the time stamp of the video at the opening of the room; None if it is invalid."""
    digits = request.query_params.get("mpegts", "0")
    return int(digits) if re.fullmatch(r"[0-9]{1,10}", digits) and int(digits) < 2**33 else None


def refusal() -> Response:
    """Return the response to a request without the key."""
    return PlainTextResponse(f"{NO_KEY}\n", 401, access.challenge())


def unreadable() -> Response:
    """Answer 503: the rooms that are over cannot be read now."""
    return PlainTextResponse("Rooms that are over cannot be read now; try again later.\n", 503)


def no_such_room() -> Response:
    """Return the response for a room that does not exist."""
    return PlainTextResponse("There is no such room.\n", 404)
