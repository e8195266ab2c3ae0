"""What the plain HTTP requests of clients have in common: who asks, and under which name."""

from starlette.datastructures import Headers
from starlette.requests import HTTPConnection
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from stream.config import ServerConfig
from stream.server.addresses import BAD_HOST, LOCAL, host_allowed
from stream.server.http.request_target import target_of
from stream.server.visitors import Asking


def asking_of(request: HTTPConnection) -> Asking:
    """Return a request, as far as it shows who asks."""
    peer = request.client.host if request.client else LOCAL
    return Asking(request.headers.items(), target_of(request), peer)


class AllowedHosts:
    """An ASGI application that answers 421 if the server is not reached under a name of its own."""

    def __init__(self, application: ASGIApp, config: ServerConfig) -> None:
        self._application = application
        self._config = config

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or pass it on."""
        fields = Headers(scope=scope).items() if scope["type"] == "http" else []
        if scope["type"] == "http" and not host_allowed(fields, scope["path"], self._config):
            await PlainTextResponse(f"{BAD_HOST}\n", 421)(scope, receive, send)
        else:
            await self._application(scope, receive, send)
