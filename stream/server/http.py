"""What the port answers to plain HTTP: the captions page, health, readiness, metrics.

And who may open a websocket there. Everything here is a function of the request and of the state of
the server; `websockets` does the talking, and `app` asks here from its `process_request` hook.
"""

import hmac
from http import HTTPStatus
from pathlib import Path
from urllib.parse import parse_qs

from websockets.datastructures import Headers
from websockets.http11 import Request, Response

from stream.config import ServerConfig

Asset = tuple[str, bytes]
"""Content type and content."""

CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "worker-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "font-src 'self'",
        "connect-src 'self'",
        "manifest-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
"""The page needs its own files and the websocket beside them, nothing else."""

CONTENT_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".json": "application/json",
    ".webmanifest": "application/manifest+json",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".ico": "image/x-icon",
    ".woff2": "font/woff2",
}
"""The kinds of file that are served; README files and the like are not."""


def response(
    status: HTTPStatus, body: bytes | str, content_type: str = "text/plain; charset=utf-8"
) -> Response:
    """Return an HTTP response; websockets closes the connection after it."""
    content = body.encode() if isinstance(body, str) else body
    headers = Headers(
        {
            "Content-Type": content_type,
            "Content-Length": str(len(content)),
            "Content-Security-Policy": CONTENT_SECURITY_POLICY,
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
            "Cache-Control": "no-cache",
            "Connection": "close",
        }
    )
    return Response(status.value, status.phrase, headers, content)


def page_folder() -> Path:
    """Where the captions page lies: in the package, or beside it in a checkout."""
    package = Path(__file__).parents[1]
    installed = package / "browser"
    return installed if installed.is_dir() else package.parent / "clients" / "browser"


def load_assets(folder: Path) -> dict[str, Asset]:
    """Read the page's files into memory, by URL path: only what is listed here can be asked for."""
    assets = {}
    for file in sorted(folder.rglob("*")):
        content_type = CONTENT_TYPES.get(file.suffix)
        if content_type and file.is_file():
            assets[f"/{file.relative_to(folder).as_posix()}"] = (content_type, file.read_bytes())
    if "/index.html" in assets:
        assets["/"] = assets["/index.html"]
    return assets


def same_host(origin: str, host: str) -> bool:
    """Whether an `Origin` header names the host that was asked."""
    return origin.lower() in (f"http://{host}".lower(), f"https://{host}".lower())


def origin_allowed(headers: Headers, config: ServerConfig) -> bool:
    """Whether the page that asks may use this server. Programs send no origin, and may."""
    origin = header(headers, "Origin")
    if origin is None or {"*", origin} & set(config.allow_origin):
        return True
    return same_host(origin, header(headers, "Host") or "")


def authorised(request: Request, config: ServerConfig) -> bool:
    """Whether the request shows the key, in a header or, as browsers must, in the query string."""
    if config.api_key is None:
        return True
    scheme, _, shown = (header(request.headers, "Authorization") or "").partition(" ")
    if scheme.lower() != "bearer":
        shown = query_of(request).get("token", [""])[-1]
    return hmac.compare_digest(shown.encode(), config.api_key.encode())


def header(headers: Headers, name: str) -> str | None:
    """The value of a header, the last where it is repeated; None where it is not there."""
    return next(reversed(headers.get_all(name)), None)


def path_of(request: Request) -> str:
    """The path without its query."""
    return request.path.partition("?")[0]


def query_of(request: Request) -> dict[str, list[str]]:
    """The fields of the query string, each with all its values."""
    return parse_qs(request.path.partition("?")[2], keep_blank_values=True)
