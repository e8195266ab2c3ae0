"""HTTP routes of protocols: the ones they declare, and plain requests at websocket paths."""

import asyncio
from collections.abc import Awaitable, Callable

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from stream.errors import PeerError
from stream.protocols.declarations import HttpRequest, HttpResponse, HttpRoute, Transport
from stream.protocols.session_protocol import SessionProtocol
from stream.server import access
from stream.server.admission import refuse_for_now, refuse_query
from stream.server.http.request_target import path_of, query_of, target_of
from stream.server.state import ServerState

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


def own_port_application(server: ServerState, protocol: type[SessionProtocol]) -> Starlette:
    """Return the ASGI application of a port that serves only one protocol."""
    return Starlette(
        routes=[Route("/", without_upgrade(server, protocol)), *own_routes(server, protocol)]
    )


def answer(server: ServerState, protocol: type[SessionProtocol], route: HttpRoute) -> Endpoint:
    """Return the endpoint of a route, which checks the access and then calls `route.respond`."""

    async def endpoint(request: Request) -> Response:
        fields = request.headers.items()
        refused = refusal(server, protocol, fields, target_of(request))
        response = as_response(refused or await respond(request))
        response.headers.update(access.cross_origin(fields, server.config))
        return response

    async def respond(request: Request) -> HttpResponse:
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
            return route.respond(server.service, asked)
        except PeerError as error:
            return protocol.refusal(400, error.code, str(error))

    return endpoint


def refusal(
    server: ServerState,
    protocol: type[SessionProtocol],
    fields: list[tuple[str, str]],
    target: str,
) -> HttpResponse | None:
    """Return the response that refuses a request to a route; None if it is accepted."""
    if not access.origin_allowed(fields, server.config):
        return protocol.refusal(403, "origin_not_allowed", access.BAD_ORIGIN)
    if sentence := access.why_refused(protocol, fields, target, server.config):
        return access.unauthorised(protocol, sentence)
    if not server.ready:
        return protocol.refusal(503, "not_ready", "The server is not ready; see /readyz.")
    return None


def as_response(response: HttpResponse) -> PlainTextResponse:
    """Return a protocol's response as one of Starlette's."""
    return PlainTextResponse(response.body, response.status, dict(response.headers))


def without_upgrade(server: ServerState, protocol: type[SessionProtocol]) -> Endpoint:
    """Return the endpoint of plain HTTP requests at the path of a stream.

    It responds as a handshake would be responded to now: a browser does not tell a page why its
    websocket did not open, so the page asks here. 426 means that a websocket would be accepted.
    """

    async def endpoint(request: Request) -> Response:
        fields = request.headers.items()
        target = target_of(request)
        refused = refusal(server, protocol, fields, target) or refuse_for_now(server, protocol)
        refused = refused or refuse_query(server, protocol, access.query_fields(query_of(request)))
        upgrade = {"Connection": "Upgrade", "Upgrade": "websocket"}
        response = PlainTextResponse("Open a websocket here.\n", 426, upgrade)
        if refused is not None:
            response = as_response(refused)
        response.headers.update(access.cross_origin(fields, server.config))
        return response

    return endpoint
