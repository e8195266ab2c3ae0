"""Opens the websocket to a server, and turns its failures into the errors of this package."""

from typing import Literal
from urllib.parse import urlsplit, urlunsplit

from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as websocket_connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI

from distil_stream_client.errors import ConnectionLost, ServerError


async def open_websocket(
    url: str, api_key: str | None, proxy: str | Literal[True] | None
) -> ClientConnection:
    """Open a websocket to the server; raises `ServerError` or `ConnectionLost`.

    It has no time limit; the caller cancels it if it takes too long.
    """
    try:
        return await websocket_connect(
            stream_url(url),
            additional_headers={"Authorization": f"Bearer {api_key}"} if api_key else {},
            compression=None,
            open_timeout=None,
            # If audio is uploaded faster than the server reads it, a ping waits behind the audio.
            # So a late answer to a ping does not mean that the connection is dead.
            ping_timeout=None,
            proxy=proxy,
        )
    except InvalidStatus as error:
        raise refused(error) from error
    except (OSError, ValueError, InvalidHandshake, InvalidURI, ConnectionClosed) as error:
        raise ConnectionLost(f"No server answers at {url}: {error}") from error


def refused(error: InvalidStatus) -> ServerError:
    """Return the error for an HTTP answer of the server that opened no websocket."""
    status = error.response.status_code
    body = error.response.body.decode(errors="replace").strip()
    code = "not_authorised" if status == 401 else f"http_{status}"
    return ServerError(code, body or f"The server answered HTTP {status}.")


def lost(closed: ConnectionClosed) -> ConnectionLost:
    """Return the error for a connection that ended; its message describes how."""
    if closed.rcvd is None:
        return ConnectionLost("The connection to the server broke.")
    code, reason = closed.rcvd.code, closed.rcvd.reason
    return ConnectionLost(f"The server closed the stream ({code} {reason}".rstrip() + ").", code)


def stream_url(url: str) -> str:
    """Return the websocket URL of the streams for the address of a server."""
    scheme, host, path, query, _ = urlsplit(url if "//" in url else f"//{url}", scheme="ws")
    scheme = {"http": "ws", "https": "wss"}.get(scheme, scheme)
    return urlunsplit((scheme, host, path.rstrip("/") or "/v1/stream", query, ""))
