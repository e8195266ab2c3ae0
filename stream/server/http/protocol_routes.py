"""HTTP routes of protocols: the ones they declare, and plain requests at websocket paths."""

import asyncio
from collections.abc import Awaitable, Callable

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from stream.errors import PeerError
from stream.protocols.declarations import (
    NO_KEY,
    HttpRequest,
    HttpResponse,
    HttpRoute,
    Transport,
)
from stream.protocols.session_protocol import SessionProtocol
from stream.server import access
from stream.server.admission import check_origin, check_stream, refuse_for_now, refuse_query
from stream.server.http.asking import AllowedHosts, asking_of
from stream.server.http.request_target import path_of, query_of
from stream.server.load_ladder import RETRY_AFTER_S
from stream.server.state import ServerState
from stream.server.visitors import Asking, Refused, Visitor

BODY_TIMEOUT_S = 30.0
"""Seconds within which the body of such a request must come."""

MAX_BODY_BYTES = 1 << 20
"""Size of the body of a request to a protocol's route; a larger one is answered 413."""

Endpoint = Callable[[Request], Awaitable[Response]]


def protocol_routes(server: ServerState, protocol: type[SessionProtocol]) -> list[Route]:
    """Return the routes of a protocol on the shared port."""
    websockets = protocol.paths if protocol.transport is Transport.WEBSOCKET else ()
    return [
        *(Route(path, without_upgrade(server, protocol)) for path in websockets),
        *own_routes(server, protocol),
    ]


def own_routes(server: ServerState, protocol: type[SessionProtocol]) -> list[Route]:
    """Return the routes that a protocol declares."""
    return [
        Route(
            route.path,
            answer(server, protocol, route),
            methods=[route.method],
            max_body_size=MAX_BODY_BYTES,
        )
        for route in protocol.http_routes
    ]


def own_port_application(server: ServerState, protocol: type[SessionProtocol]) -> ASGIApp:
    """Return the ASGI application of a port that serves only one protocol."""
    routes = [Route("/", without_upgrade(server, protocol)), *own_routes(server, protocol)]
    return AllowedHosts(Starlette(routes=routes), server.config)


def answer(server: ServerState, protocol: type[SessionProtocol], route: HttpRoute) -> Endpoint:
    """Return the endpoint of a route, which checks the access and then calls `route.respond`."""

    async def endpoint(request: Request) -> Response:
        try:
            visitor = visitor_of(server, protocol, asking_of(request))
            response = as_response(await respond(request, visitor))
        except Refused as refused:
            response = as_response(refused.by(protocol))
        response.headers.update(access.cross_origin(request.headers.items(), server.config))
        return response

    async def respond(request: Request, visitor: Visitor) -> HttpResponse:
        assert server.service
        try:
            async with asyncio.timeout(BODY_TIMEOUT_S):
                body = await request.body()
        except TimeoutError:
            return protocol.refusal(408, "timeout", "The body did not come in time.")
        asked = HttpRequest(
            path=path_of(request),
            query=access.query_fields(query_of(request)),
            headers=request.headers.items(),
            body=body,
            path_fields=request.path_params,
        )
        try:
            return route.respond(visitor.service(server.service), asked)
        except PeerError as error:
            return protocol.refusal(400, error.code, str(error))

    return endpoint


def visitor_of(server: ServerState, protocol: type[SessionProtocol], asking: Asking) -> Visitor:
    """Return the client of a request to a route, which has shown its key. Raises `Refused`."""
    check_origin(server, asking)
    visitor = server.visitors.identify_for(protocol, asking)
    if visitor.grant is None:
        raise Refused(401, "not_authorised", NO_KEY)
    if not server.ready:
        raise Refused(503, "not_ready", "The server is not ready; see /readyz.")
    return visitor


def as_response(response: HttpResponse) -> PlainTextResponse:
    """Return a protocol's response as one of Starlette's."""
    later = {"Retry-After": str(RETRY_AFTER_S)} if response.status in (429, 503) else {}
    return PlainTextResponse(response.body, response.status, {**later, **response.headers})


def without_upgrade(server: ServerState, protocol: type[SessionProtocol]) -> Endpoint:
    """Return the endpoint of plain HTTP requests at the path of a stream.

    It responds as a handshake would be responded to now: a browser does not tell a page why its
    websocket did not open, so the page asks here. 426 means that a websocket would be accepted.
    """

    async def endpoint(request: Request) -> Response:
        query = access.query_fields(query_of(request))
        refused: HttpResponse | None
        try:
            visitor = visitor_of(server, protocol, asking_of(request))
            check_stream(server, protocol, visitor)
            refused = refuse_for_now(server, protocol) or refuse_query(server, protocol, query)
        except Refused as refusal:
            refused = refusal.by(protocol)
        upgrade = {"Connection": "Upgrade", "Upgrade": "websocket"}
        response = PlainTextResponse("Open a websocket here.\n", 426, upgrade)
        if refused is not None:
            response = as_response(refused)
        response.headers.update(access.cross_origin(request.headers.items(), server.config))
        return response

    return endpoint
