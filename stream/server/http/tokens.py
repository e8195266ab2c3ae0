"""`POST /v1/tokens`: a token for one purpose and a short time, which a page can put into a URL."""

import time

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from stream.protocols.declarations import ProtocolDeclarations
from stream.protocols.labels import label_of
from stream.protocols.start_settings import ROOM_NAME
from stream.server import access
from stream.server.admission import MAY_NOT_READ, check_origin
from stream.server.http.asking import asking_of
from stream.server.keys.grants import LONGEST_S, Purpose, Token
from stream.server.state import ServerState
from stream.server.visitors import Refused, Visitor

MAX_BODY_BYTES = 16 * 1024


class TokenRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of a request."""

    purpose: Purpose
    room: str | None = None
    speakers: tuple[str, ...] = ()
    seconds: int = 600


def token_routes(server: ServerState) -> list[Route]:
    """Return the route of tokens."""

    async def endpoint(request: Request) -> Response:
        if request.method == "OPTIONS":  # a CORS preflight
            response = Response(status_code=204, headers=access.PREFLIGHT)
        else:
            response = await answer(server, request)
        response.headers.update(access.cross_origin(request.headers.items(), server.config))
        response.headers["Cache-Control"] = "no-store"
        return response

    methods = ["POST", "OPTIONS"]
    return [Route("/v1/tokens", endpoint, methods=methods, max_body_size=MAX_BODY_BYTES)]


async def answer(server: ServerState, request: Request) -> Response:
    """Return a token, or the reason why there is none."""
    asking = asking_of(request)
    try:
        check_origin(server, asking)
        visitor = server.visitors.identify(asking, access.USUAL_PLACES)
        asked = read(await request.body())
        check_rights(visitor, asked)
    except Refused as refused:
        response = refused.by(ProtocolDeclarations)
        return PlainTextResponse(response.body, response.status, dict(response.headers))
    expires_at = round(time.time()) + asked.seconds
    token = Token(
        key=visitor.name,
        purpose=asked.purpose,
        room=asked.room,
        speakers=asked.speakers,
        exp=expires_at,
    )
    visitor.note("make_token", purpose=asked.purpose, room=asked.room, seconds=asked.seconds)
    text = server.visitors.keyring.token(token)
    return JSONResponse({"token": text, "expires_at": expires_at})


def read(body: bytes) -> TokenRequest:
    """Return the content of a request. Raises `Refused` if it is not valid."""
    try:
        asked = msgspec.json.decode(body, type=TokenRequest)
        labels = tuple(label_of(label) for label in asked.speakers)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise Refused(400, "bad_request", f"The body is not valid: {error}.") from None
    if not 1 <= asked.seconds <= LONGEST_S:
        raise Refused(400, "bad_request", f"seconds is {asked.seconds}; use 1 to {LONGEST_S}.")
    if asked.room is not None and not ROOM_NAME.fullmatch(asked.room):
        raise Refused(400, "bad_request", f"room is {asked.room!r}, which no room can be called.")
    if asked.room is None and (asked.purpose == "read" or labels):
        raise Refused(400, "bad_request", "Name the room.")
    return msgspec.structs.replace(asked, speakers=labels)


def check_rights(visitor: Visitor, asked: TokenRequest) -> None:
    """Raise `Refused` if the client may not do itself what the token is for."""
    grant = visitor.grant
    assert grant is not None
    if grant.token is not None:
        raise Refused(403, "not_allowed", "A token cannot make another one; show a key.")
    if asked.purpose == "stream":
        visitor.require("stream")
    if asked.room is None:
        return
    exists, owner = visitor.owner_of(asked.room)
    if asked.purpose == "read":
        if not grant.may_read(asked.room, exists=exists, owner=owner):
            raise Refused(403, "not_allowed", MAY_NOT_READ)
        return
    if not grant.may_speak(asked.room, exists=exists, owner=owner):
        raise Refused(403, "not_allowed", "This key may not speak in this room.")
    for label in asked.speakers:
        if not grant.may_be_called(label):
            raise Refused(403, "not_allowed", f"This key may not speak under {label!r}.")
