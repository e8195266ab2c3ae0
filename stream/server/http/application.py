"""The ASGI application of the shared port: page, health, metrics, info, rooms, recordings."""

from collections.abc import Iterable

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from stream.protocols.session_protocol import SessionProtocol
from stream.server import access
from stream.server.http import page, room_routes
from stream.server.http.asking import AllowedHosts
from stream.server.http.deepgram import deepgram_routes
from stream.server.http.openai import openai_routes
from stream.server.http.protocol_routes import protocol_routes
from stream.server.http.tokens import token_routes
from stream.server.metrics import CONTENT_TYPE
from stream.server.state import ServerState


def application(server: ServerState, protocols: Iterable[type[SessionProtocol]]) -> ASGIApp:
    """Return the ASGI application of a server, with the routes of its protocols."""
    assets = page.page_assets()

    async def health(request: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def readiness(request: Request) -> Response:
        # A page of another origin requests this if its websocket fails, because a browser does not
        # tell it the reason.
        headers = access.cross_origin(request.headers.items(), server.config)
        if server.ready:
            return PlainTextResponse("ready\n", headers=headers)
        why = "draining\n" if server.draining else "loading the model\n"
        return PlainTextResponse(why, 503, headers)

    async def metrics(request: Request) -> Response:
        return Response(server.metrics.exposition(), media_type=CONTENT_TYPE)

    async def info(request: Request) -> Response:
        service = server.service
        headers = access.cross_origin(request.headers.items(), server.config)
        if service is None:
            return PlainTextResponse("loading the model\n", 503, headers)
        return JSONResponse(
            {
                "protocol": 1,
                "model": service.model,
                "models": [service.model],
                "languages": sorted(service.languages),
            },
            headers=headers,
        )

    async def asset(request: Request) -> Response:
        content_type, content = assets[request.scope["path"]]
        return Response(content, media_type=content_type)

    application = Starlette(
        routes=[
            Route("/healthz", health),
            Route("/readyz", readiness),
            Route("/metrics", metrics),
            Route("/v1/info", info),
            *room_routes.routes(server, assets),
            *(Route(path, asset) for path in assets),
            *(route for protocol in protocols for route in protocol_routes(server, protocol)),
            *token_routes(server),
            *openai_routes(server),
            *deepgram_routes(server),
        ],
        exception_handlers={404: not_found},
    )
    application.router.redirect_slashes = False
    application.state.config = server.config
    return AllowedHosts(application, server.config)


async def not_found(request: Request, error: Exception) -> Response:
    """Respond to any unknown path with 404."""
    return PlainTextResponse("There is nothing at this address.\n", 404)
