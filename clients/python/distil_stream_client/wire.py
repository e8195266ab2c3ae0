"""The websocket to a server: how it is opened, and what is said when it fails."""

from typing import Literal
from urllib.parse import urlsplit, urlunsplit

from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as websocket_connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI

GOING_AWAY = 1001
RESTARTING = 1012
IDLE = 4000

RETRIED = ("http_502", "http_503", "http_504")
"""Codes of refusals that pass: the server is busy or not ready yet, or a proxy waits for it."""

WHY_ENDED = {
    GOING_AWAY: "The server went away; the finals so far were sent.",
    IDLE: "The server ended the stream, for it was sent nothing for `ready.limits.idle_s` seconds; "
    "the finals so far were sent. Open a new stream, and send `keepalive` while no audio comes.",
}
"""By close code, why a server ends a stream before the client does."""


class ServerError(Exception):
    """The server refused, and says why: `code` for programs, `message` for people."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class ConnectionLost(Exception):  # noqa: N818 -- it names what happened
    """No server answered, or the connection ended before the stream did.

    `close_code` is the websocket's, None where there was no connection or it just broke.
    """

    def __init__(self, message: str, close_code: int | None = None) -> None:
        super().__init__(message)
        self.close_code = close_code


async def open_websocket(
    url: str, api_key: str | None, open_timeout: float, proxy: str | Literal[True] | None
) -> ClientConnection:
    """Open a websocket to the server; raises `ServerError` or `ConnectionLost`."""
    try:
        return await websocket_connect(
            stream_url(url),
            additional_headers={"Authorization": f"Bearer {api_key}"} if api_key else {},
            compression=None,
            open_timeout=open_timeout,
            # The answer to a ping waits behind the audio that the server does not read while a
            # fast upload is ahead of it: that is no sign of death.
            ping_timeout=None,
            proxy=proxy,
        )
    except InvalidStatus as error:
        raise refused(error) from error
    except (OSError, ValueError, InvalidHandshake, InvalidURI, ConnectionClosed) as error:
        raise ConnectionLost(f"No server answers at {url}: {error}") from error


def refused(error: InvalidStatus) -> ServerError:
    """Say what the server answered instead of opening a websocket."""
    status = error.response.status_code
    said = error.response.body.decode(errors="replace").strip()
    return ServerError(f"http_{status}", said or f"The server answered HTTP {status}.")


def lost(closed: ConnectionClosed) -> ConnectionLost:
    """Say in a sentence how the connection ended."""
    if closed.rcvd is None:
        return ConnectionLost("The connection to the server broke.")
    code, reason = closed.rcvd.code, closed.rcvd.reason
    return ConnectionLost(f"The server closed the stream ({code} {reason}".rstrip() + ").", code)


def lost_after_ended(websocket: ClientConnection) -> ConnectionLost:
    """Say why no more comes on a stream whose `ended` has come."""
    code = websocket.close_code
    return ConnectionLost(WHY_ENDED.get(code or 0, f"The server ended the stream ({code})."), code)


def stream_url(url: str) -> str:
    """Turn the address of a server into that of its streams."""
    scheme, host, path, query, _ = urlsplit(url if "//" in url else f"//{url}", scheme="ws")
    scheme = {"http": "ws", "https": "wss"}.get(scheme, scheme)
    return urlunsplit((scheme, host, path.rstrip("/") or "/v1/stream", query, ""))
