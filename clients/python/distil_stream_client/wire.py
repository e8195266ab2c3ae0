"""The websocket to a server: how it is opened, and how its failures are described."""

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

    There is no limit on its time: the caller cancels it.
    """
    try:
        return await websocket_connect(
            stream_url(url),
            additional_headers={"Authorization": f"Bearer {api_key}"} if api_key else {},
            compression=None,
            open_timeout=None,
            # The answer to a ping waits behind audio that the server does not read while a fast
            # upload is ahead of it: a late answer does not mean that the connection is dead.
            ping_timeout=None,
            proxy=proxy,
        )
    except InvalidStatus as error:
        raise refused(error) from error
    except (OSError, ValueError, InvalidHandshake, InvalidURI, ConnectionClosed) as error:
        raise ConnectionLost(f"No server answers at {url}: {error}") from error


def refused(error: InvalidStatus) -> ServerError:
    """Return what the server answered instead of opening a websocket."""
    status = error.response.status_code
    body = error.response.body.decode(errors="replace").strip()
    code = "not_authorised" if status == 401 else f"http_{status}"
    return ServerError(code, body or f"The server answered HTTP {status}.")


def lost(closed: ConnectionClosed) -> ConnectionLost:
    """Return in a sentence how the connection ended."""
    if closed.rcvd is None:
        return ConnectionLost("The connection to the server broke.")
    code, reason = closed.rcvd.code, closed.rcvd.reason
    return ConnectionLost(f"The server closed the stream ({code} {reason}".rstrip() + ").", code)


def stream_url(url: str) -> str:
    """Turn the address of a server into that of its streams."""
    scheme, host, path, query, _ = urlsplit(url if "//" in url else f"//{url}", scheme="ws")
    scheme = {"http": "ws", "https": "wss"}.get(scheme, scheme)
    return urlunsplit((scheme, host, path.rstrip("/") or "/v1/stream", query, ""))
