"""A stream to the server: audio goes out, events come back."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any, Literal
from urllib.parse import urlsplit, urlunsplit

from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as websocket_connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI

from distil_stream_client.events import Ended, Error, Ready, ServerEvent, parse

GOING_AWAY = 1001


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


@asynccontextmanager
async def connect(
    url: str,
    *,
    api_key: str | None = None,
    open_timeout: float = 10,
    proxy: str | Literal[True] | None = True,
    **settings: Any,
) -> AsyncIterator["Stream"]:
    """Open a stream; `settings` are the fields of `start`. Leaving the context closes it.

    `url` may be `ws://host:port` or the `http://host:port` that the browser opens; the path
    `/v1/stream` is added where there is none. `open_timeout` is in seconds, `proxy` as in
    websockets. Raises `ServerError` or `ConnectionLost`.
    """
    try:
        websocket = await websocket_connect(
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
    async with websocket:
        stream = Stream(websocket)
        with suppress(ConnectionLost):  # What the server said before it closed is the better news.
            await stream.send(type="start", **settings)
        try:
            stream.ready = await asyncio.wait_for(stream.receive_ready(), open_timeout)
        except TimeoutError as error:
            raise ConnectionLost(f"The server at {url} does not get ready.") from error
        yield stream


async def transcribe(
    url: str, audio: AsyncIterable[bytes], **settings: Any
) -> AsyncGenerator[ServerEvent, None]:
    """Send `audio` and, meanwhile, yield every event after `Ready`, to the last, `Ended`.

    Takes what `connect` takes. Wrap it in `contextlib.aclosing` where you may stop early.
    """
    async with connect(url, **settings) as stream:
        sending = asyncio.create_task(stream.send_all(audio))
        try:
            async for event in stream:
                yield event
        finally:
            sending.cancel()
            with suppress(asyncio.CancelledError):
                await sending


class Stream:
    """An open stream. One task may send while another one iterates over the events.

    Sending waits while the server does not read: it never takes in more than it can handle.
    """

    ready: Ready
    """What the server said first: the model, the session, its limits."""

    def __init__(self, websocket: ClientConnection) -> None:
        self.websocket = websocket
        self.ended: Ended | None = None
        self._failure: Exception | None = None

    async def send_audio(self, data: bytes) -> None:
        """Send samples in the announced encoding, channels interleaved, as many as you like."""
        most = self.ready.limits.max_frame_bytes or len(data)
        for start in range(0, len(data), most):
            await self._send(data[start : start + most])

    async def finalize(self, mark: int | None = None) -> None:
        """Have all audio so far decoded now: its finals come, then `Mark(id=mark)`."""
        await self.send(type="finalize", **({} if mark is None else {"mark": mark}))

    async def mark(self, id: int) -> None:
        """Ask for `Mark(id)` once every sample sent so far is transcribed or ruled out."""
        await self.send(type="mark", id=id)

    async def configure(self, **changes: Any) -> None:
        """Change language, partials, endpointing_ms, keyterms or prompt from here on."""
        await self.send(type="configure", **changes)

    async def keepalive(self) -> None:
        """Tell the server that the stream is in use though no audio comes."""
        await self.send(type="keepalive")

    async def end(self) -> None:
        """Say that no more audio comes. The last finals follow, and `Ended`: go on reading."""
        await self.send(type="end")

    async def send(self, **message: Any) -> None:
        """Send any message of the protocol."""
        await self._send(json.dumps(message))

    async def send_all(self, audio: AsyncIterable[bytes]) -> None:
        """Send all of `audio` and `end`; returns early where the server closes the stream.

        Whoever reads the events learns why it did, and also when `audio` itself fails.
        """
        try:
            async for data in audio:
                await self.send_audio(data)
            await self.end()
        except ConnectionLost:
            return
        except Exception as error:
            self._failure = error
            await self.websocket.close()  # Nobody waits for events of audio that does not come.

    def __aiter__(self) -> AsyncIterator[ServerEvent]:
        return self

    async def __anext__(self) -> ServerEvent:
        if self.ended is None:
            return await self.receive()
        await self.websocket.wait_closed()
        if self.websocket.close_code == GOING_AWAY:  # It ended the stream before we did.
            raise ConnectionLost("The server went away; the finals so far were sent.", GOING_AWAY)
        raise StopAsyncIteration

    async def receive(self) -> ServerEvent:
        """Receive one event.

        Raises `ServerError` for a fatal error, `ConnectionLost` when the stream is cut short.
        """
        try:
            event = parse(await self.websocket.recv())
        except ConnectionClosed as closed:
            raise self._failure or lost(closed) from closed
        except ValueError as error:
            raise ServerError("bad_message", f"The server sent {error}") from error
        match event:
            case Error(fatal=True):
                raise ServerError(event.code, event.message)
            case Ended():
                self.ended = event
        return event

    async def receive_ready(self) -> Ready:
        """Receive the first event of a stream, which is `Ready` unless the server refuses."""
        match await self.receive():
            case Ready() as ready:
                return ready
            case Error(code=code, message=message):
                raise ServerError(code, message)
            case other:
                raise ServerError("bad_message", f"The server began with {other}.")

    async def _send(self, data: str | bytes) -> None:
        try:
            await self.websocket.send(data)
        except ConnectionClosed as closed:
            raise lost(closed) from closed


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


def stream_url(url: str) -> str:
    """Turn the address of a server into that of its streams."""
    scheme, host, path, query, _ = urlsplit(url if "//" in url else f"//{url}", scheme="ws")
    scheme = {"http": "ws", "https": "wss"}.get(scheme, scheme)
    return urlunsplit((scheme, host, path.rstrip("/") or "/v1/stream", query, ""))
