"""HTTP routes of rooms: pages, server-sent events, transcripts, a feed for video players; renaming
and deleting."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from functools import wraps

import msgspec
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from stream.protocols.declarations import ProtocolDeclarations
from stream.protocols.start_settings import ROOM_NAME
from stream.rooms import feed, formats
from stream.rooms.room import Room
from stream.server import access
from stream.server.admission import check_origin, reader_of, why_no_reader
from stream.server.http.asking import asking_of
from stream.server.http.page import Asset
from stream.server.http.request_target import path_of, query_of
from stream.server.rooms.rooms import MayRead, Reader, Rooms
from stream.server.rooms.store import StoreError
from stream.server.state import ServerState
from stream.server.visitors import Refused, Visitor

MAY_NOT_CHANGE = "This key may not change this room; it belongs to another one."
DELETED_LATER = (
    "The file of rooms cannot be written now; the room is deleted as soon as that is possible."
)

HEARTBEAT_S = 15.0
"""Seconds without a message after which a heartbeat is sent: proxies close idle connections."""

HEARTBEAT = b'{"type":"heartbeat"}'
"""A message, not an SSE comment, because scripts in a browser do not get comments."""

MAX_WRITERS = 2
"""Transcripts that are written at the same time. One of 1.5 hours takes seconds, as subtitles, and
the event loop waits for the interpreter lock meanwhile, some milliseconds at a time."""

RETRY_MS = 2000
"""Milliseconds after which a browser reconnects."""

MAX_BODY_BYTES = 16 * 1024

Endpoint = Callable[[Request], Awaitable[Response]]
ClientEndpoint = Callable[[Request, Visitor], Awaitable[Response]]


class RoomChanges(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of a request to change a room."""

    name: str


def routes(server: ServerState, assets: Mapping[str, Asset]) -> list[Route]:
    """Return the routes of rooms."""
    endpoints = RoomEndpoints(server)
    room = "/v1/rooms/{name}"
    return [
        Route("/rooms", page_endpoint(assets["/rooms.html"])),
        Route("/rooms/{name}", page_endpoint(assets["/room.html"])),
        Route("/v1/rooms", endpoints.listing),
        Route(room, endpoints.for_owners(endpoints.delete), methods=["DELETE"]),
        Route(
            room,
            endpoints.for_owners(endpoints.rename),
            methods=["PATCH"],
            max_body_size=MAX_BODY_BYTES,
        ),
        Route(room, preflight(server), methods=["OPTIONS"]),
        Route(f"{room}/events", endpoints.for_readers(endpoints.events), methods=["GET"]),
        Route(f"{room}/events", preflight(server), methods=["OPTIONS"]),
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


def preflight(server: ServerState) -> Endpoint:
    """Return an endpoint that answers CORS preflights."""

    async def endpoint(request: Request) -> Response:
        headers = access.PREFLIGHT | access.cross_origin(request.headers.items(), server.config)
        return Response(status_code=204, headers=headers)

    return endpoint


class RoomEndpoints:
    """The endpoints of the rooms of a server."""

    def __init__(self, server: ServerState) -> None:
        self.server = server
        self.rooms = server.rooms
        self.config = server.config
        self._writing: dict[tuple[str, ...], asyncio.Future[bytes]] = {}
        """The documents that are being written, by what identifies them."""
        self._turns = asyncio.Semaphore(MAX_WRITERS)

    def for_readers(self, endpoint: ClientEndpoint) -> Endpoint:
        """Wrap an endpoint: refuse clients that may not read the room, and add the CORS headers."""

        @wraps(endpoint)
        async def checked(request: Request) -> Response:
            name = request.path_params["name"]

            async def respond() -> Response:
                visitor = reader_of(self.server, asking_of(request), name)
                response = await endpoint(request, visitor)
                if response.status_code < 300:
                    visitor.note_reading(name, path_of(request).rpartition("/")[2])
                return response

            return await self._answered(request, respond)

        return checked

    def for_owners(self, endpoint: ClientEndpoint) -> Endpoint:
        """Wrap an endpoint: refuse clients that may not change the room, and add CORS headers."""

        @wraps(endpoint)
        async def checked(request: Request) -> Response:
            async def respond() -> Response:
                asking = asking_of(request)
                check_origin(self.server, asking)
                visitor = self.server.visitors.identify(asking, access.USUAL_PLACES)
                exists, owner = self.rooms.owner_of(request.path_params["name"])
                assert visitor.grant is not None
                if not exists:
                    return no_such_room()
                if not visitor.grant.may_change(owner):
                    raise Refused(403, "not_allowed", MAY_NOT_CHANGE)
                return await endpoint(request, visitor)

            return await self._answered(request, respond)

        return checked

    async def _answered(
        self, request: Request, respond: Callable[[], Awaitable[Response]]
    ) -> Response:
        """Return the response, or the one for an error; in both cases with the CORS headers."""
        try:
            response = await respond()
        except Refused as refused:
            refusal = refused.by(ProtocolDeclarations)
            response = PlainTextResponse(refusal.body, refusal.status, dict(refusal.headers))
        except StoreError:
            response = unreadable()
        response.headers.update(access.cross_origin(request.headers.items(), self.config))
        response.headers.setdefault("Cache-Control", "no-store")
        return response

    async def listing(self, request: Request) -> Response:
        """List the rooms that the client may read; always requires a key."""

        async def respond() -> Response:
            visitor = self.server.visitors.identify(asking_of(request), access.USUAL_PLACES)
            assert visitor.grant is not None
            grant = visitor.grant

            def readable() -> bytes:
                rooms = [
                    room
                    for room in self.rooms.listing()
                    if grant.may_read(room.room, exists=True, owner=room.owner)
                ]
                return msgspec.json.encode({"rooms": rooms})

            content = await self._write_in_turn(readable)
            visitor.note("list_rooms")
            return Response(content, media_type="application/json")

        return await self._answered(request, respond)

    async def delete(self, request: Request, visitor: Visitor) -> Response:
        """Delete a room with everything that was said in it."""
        name = request.path_params["name"]
        visitor.note("delete_room", room=name)
        try:
            self.rooms.delete(name)
        except StoreError:
            return PlainTextResponse(f"{DELETED_LATER}\n", 503)
        return Response(status_code=204)

    async def rename(self, request: Request, visitor: Visitor) -> Response:
        """Give a room that is over another name."""
        name = request.path_params["name"]
        try:
            new_name = msgspec.json.decode(await request.body(), type=RoomChanges).name
        except (msgspec.DecodeError, RecursionError):
            return PlainTextResponse('The body is not valid; send {"name": "…"}.\n', 400)
        if not ROOM_NAME.fullmatch(new_name):
            return PlainTextResponse("No room can have this name.\n", 400)
        if name in self.rooms.live:
            return PlainTextResponse("The room is live; rename it when it is over.\n", 409)
        if self.rooms.owner_of(new_name)[0]:
            return PlainTextResponse("There is a room of this name already.\n", 409)
        assert visitor.grant is not None
        if not visitor.grant.may_speak(new_name, exists=False, owner=None):
            raise Refused(403, "not_allowed", "This key may not open a room of this name.")
        self.rooms.rename(name, new_name)
        visitor.note("rename_room", room=name, new_name=new_name)
        return Response(status_code=204)

    async def events(self, request: Request, visitor: Visitor) -> Response:
        """Send the messages of a room as server-sent events."""
        name = request.path_params["name"]
        if not ROOM_NAME.fullmatch(name):
            return no_such_room()
        if refused := why_no_reader(self.server):
            return PlainTextResponse(f"{refused}\n", 503)
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        body = server_sent_events(self.rooms, name, visitor.may_read_of)
        return StreamingResponse(body, media_type="text/event-stream", headers=headers)

    async def transcript(self, request: Request, visitor: Visitor) -> Response:
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

    async def playlist(self, request: Request, visitor: Visitor) -> Response:
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

    async def segment(self, request: Request, visitor: Visitor) -> Response:
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


async def server_sent_events(rooms: Rooms, name: str, may_read: MayRead) -> AsyncIterator[bytes]:
    """Yield the messages of a room as server-sent events."""
    reader = rooms.read(name, may_read)
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


def unreadable() -> Response:
    """Answer 503: the rooms that are over cannot be read now."""
    return PlainTextResponse("Rooms that are over cannot be read now; try again later.\n", 503)


def no_such_room() -> Response:
    """Return the response for a room that does not exist."""
    return PlainTextResponse("There is no such room.\n", 404)
