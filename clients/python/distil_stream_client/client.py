"""A stream to the server over asyncio: connects `StreamProtocol` to a websocket and to a clock."""

import asyncio
from collections import deque
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Awaitable,
    Callable,
    Coroutine,
)
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any, Unpack

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from distil_stream_client.errors import ConnectionLost, ServerError
from distil_stream_client.events import Ended, Ready, ServerEvent
from distil_stream_client.protocol import Action, StreamProtocol
from distil_stream_client.settings import Changes, Options
from distil_stream_client.states import State
from distil_stream_client.wire import lost, open_websocket

MOST_UNREAD = 16
"""Number of unread events at which the client stops to read the socket.

A server sends fewer partials to a client that reads slowly, and closes the stream of a client that
does not read.
"""


@asynccontextmanager
async def connect(url: str, **options: Unpack[Options]) -> AsyncIterator["Stream"]:
    """Open a stream; on exit from the context it is closed.

    If the connection is lost later, it is opened again, and the audio that the server had not
    settled is sent again.

    Args:
        url: `ws://host:port`, or the `http://host:port` that the browser opens; the path
            `/v1/stream` is added if there is none.
        options: the settings of the stream, and how to connect: see `Options`.

    Raises:
        ServerError: the server refused the stream.
        ConnectionLost: no server answered, or it did not send `ready` in time.
    """
    # The options that are not popped are the fields of `start`.
    settings: dict[str, Any] = dict(options)
    dial = partial(open_websocket, url, settings.pop("api_key", None), settings.pop("proxy", True))
    protocol = StreamProtocol(
        reconnect_s=settings.pop("reconnect_s", 60),
        silent_s=settings.pop("silent_s", 30),
        open_timeout_s=settings.pop("open_timeout", 10),
        keep_alive=settings.pop("keep_alive", False),
        settings=settings,
    )
    stream = Stream(dial, protocol)
    try:
        await stream.open()
        yield stream
    finally:
        await stream.close()


async def transcribe(
    url: str, audio: AsyncIterable[bytes], **options: Unpack[Options]
) -> AsyncGenerator[ServerEvent, None]:
    """Send `audio`, and at the same time yield every event after `Ready`, up to `Ended`.

    Takes the arguments of `connect`, and raises the same errors as `connect` and those of `audio`.
    Wrap it in `contextlib.aclosing` if you may stop early.
    """
    async with connect(url, **options) as stream:
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

    The methods that send return when everything has been sent. They wait while the server does not
    read and while a lost connection is opened again, and raise the failure if the stream fails.
    """

    websocket: ClientConnection
    """The current connection."""

    def __init__(
        self, dial: Callable[[], Awaitable[ClientConnection]], protocol: StreamProtocol
    ) -> None:
        self.protocol = protocol
        self.ended: Ended | None = None
        """The `Ended` event, once it has been received."""
        self._dial = dial
        self._failure: Exception | None = None
        """An exception of the audio source or of a background task, raised to the application."""
        self._inbox: deque[ServerEvent] = deque()
        self._news = asyncio.Event()
        """Set, and replaced by a new event, at every change for which a task may wait."""
        self._connection: asyncio.Task[None] | None = None
        self._leaving: set[asyncio.Task[None]] = set()
        """Tasks of connections that are being closed."""
        self._sending = False
        self._timer: asyncio.TimerHandle | None = None
        self._unread_since_s: float | None = None
        self._unread_s = 0.0

    @property
    def ready(self) -> Ready:
        """The first message of the server: the model, the session and its limits."""
        assert self.protocol.ready is not None
        return self.protocol.ready

    @property
    def silent_s(self) -> float:
        """Seconds without an expected answer after which a connection is considered lost."""
        return self.protocol.patience.silent_s

    @silent_s.setter
    def silent_s(self, seconds: float) -> None:
        self.protocol.patience.silent_s = seconds
        self._carry_out()

    async def open(self) -> None:
        """Open the first connection, and wait for `ready`; raises `ServerError` or
        `ConnectionLost`.
        """
        self._pass_on(self.protocol.open)
        await self._until(lambda: bool(self.protocol.ready) or self._is_over)
        if not self.protocol.ready:
            raise self._failure or self.protocol.failure or ConnectionLost("The stream is over.")
        # The application gets `ready` as an attribute, and the events after it by reading.
        while not isinstance(self._inbox.popleft(), Ready):
            pass

    async def close(self) -> None:
        """Close the stream, and wait for its connections to close.

        Unsent audio and events that are still due are lost.
        """
        self._pass_on(self.protocol.close)
        if self._timer:
            self._timer.cancel()
        await asyncio.gather(*self._leaving, return_exceptions=True)

    async def send_audio(self, data: bytes) -> None:
        """Send any number of samples in the encoding of the settings, channels interleaved."""
        self._pass_on(self.protocol.send_audio, data)
        await self._until_sent()

    async def finalize(self, mark: int | None = None) -> None:
        """Request the finals of all audio so far now; `Mark(id=mark)` follows them, if given."""
        await self.send(type="finalize", **({} if mark is None else {"mark": mark}))

    async def mark(self, id: int) -> None:
        """Request a `Mark(id)` as soon as every sample sent so far is settled."""
        await self.send(type="mark", id=id)

    async def configure(self, **changes: Unpack[Changes]) -> None:
        """Change settings for the audio that follows.

        A `Configured` event follows; or an `Error`, and no change, if the server refuses.
        """
        await self.send(type="configure", **changes)

    async def keepalive(self) -> None:
        """Keep the stream open while there is no audio to send.

        A server ends a stream on which it receives nothing for `ready.limits.idle_s` seconds.
        """
        await self.send(type="keepalive")

    async def end(self) -> None:
        """End the audio. Continue to read: the last finals follow, and then `Ended`."""
        await self.send(type="end")

    async def send(self, **message: Any) -> None:
        """Send a message of the protocol, given by its fields, `type` among them."""
        self._pass_on(self.protocol.send_message, message)
        await self._until_sent()

    async def send_all(self, audio: AsyncIterable[bytes]) -> None:
        """Send all of `audio` and `end`; return early if the stream is closed.

        Nothing is raised here if the stream fails or if `audio` raises an exception: the exception
        is raised where the events are read.
        """
        try:
            async for data in audio:
                await self.send_audio(data)
            await self.end()
        except (ConnectionLost, ServerError):
            return
        except Exception as error:
            self._failure = error
            await self.close()  # Without its audio the stream has no more events.

    def __aiter__(self) -> AsyncIterator[ServerEvent]:
        return self

    async def __anext__(self) -> ServerEvent:
        if self.ended is None:
            return await self.receive()
        await self._until(lambda: self._is_over)
        if self.protocol.failure:
            raise self.protocol.failure
        raise StopAsyncIteration

    async def receive(self) -> ServerEvent:
        """Wait for one event; a `Ready` means that a lost connection has been replaced.

        Raises `ServerError` for a fatal error, `ConnectionLost` if the stream ended too early.
        """
        await self._until(lambda: bool(self._inbox) or self._is_over)
        if not self._inbox:
            raise self._failure or self.protocol.failure or ConnectionLost("The stream is over.")
        event = self._inbox.popleft()
        if len(self._inbox) < MOST_UNREAD:
            self._wake()
        if isinstance(event, Ended):
            self.ended = event
        return event

    # Between the protocol and the event loop

    @property
    def _is_over(self) -> bool:
        return self.protocol.state is State.CLOSED

    def _now_s(self) -> float:
        """Return the time of the protocol, which is stopped while the socket is not read.

        Without that, the protocol would consider a server lost whose answers are unread.
        """
        now_s = asyncio.get_running_loop().time()
        return (now_s if self._unread_since_s is None else self._unread_since_s) - self._unread_s

    def _pass_on(self, receive: Callable[..., None], *arguments: Any) -> None:
        """Call a method of the protocol with the time set, and carry out the resulting actions."""
        self.protocol.receive_time(self._now_s())
        try:
            receive(*arguments)
        finally:
            self._carry_out()

    def _carry_out(self) -> None:
        for action in self.protocol.actions_to_take():
            if action is Action.CONNECT:
                self._connection = self._started(self._converse())
            else:
                self._leave(action)
        self._inbox += self.protocol.events_to_tell()
        self._set_timer()
        self._wake()

    def _leave(self, action: Action) -> None:
        """Close or abort the current connection, and cancel its task.

        The task is not cancelled if it is the one that calls this; it ends by itself.
        """
        connection, self._connection = self._connection, None
        if connection is None:
            return
        websocket = getattr(self, "websocket", None)
        if connection is not asyncio.current_task():
            connection.cancel()
            self._leaving.add(connection)
            connection.add_done_callback(self._leaving.discard)
        if websocket is None:
            return
        if action is Action.ABORT:
            websocket.transport.abort()
        else:
            leaving = asyncio.create_task(websocket.close())
            self._leaving.add(leaving)
            leaving.add_done_callback(self._leaving.discard)

    def _started(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Start a task; if it raises, close the stream, and raise the exception to the reader."""

        def note_fault(task: asyncio.Task[None]) -> None:
            if not task.cancelled() and (fault := task.exception()):
                assert isinstance(fault, Exception)
                self._failure = fault
                self._pass_on(self.protocol.close)

        task = asyncio.create_task(work)
        task.add_done_callback(note_fault)
        return task

    def _set_timer(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None
        wake_at_s = self.protocol.wake_at_s
        if wake_at_s < float("inf") and self._unread_since_s is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_at(wake_at_s + self._unread_s, self._pass_on, lambda: None)

    def _wake(self) -> None:
        """Wake all tasks that wait for a change."""
        self._news.set()
        self._news = asyncio.Event()

    async def _until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            await self._news.wait()

    async def _until_sent(self) -> None:
        """Wait until everything is sent; raise the failure if the stream fails first."""
        await self._until(self._is_sent)
        if failure := self._failure or self.protocol.failure:
            raise failure

    def _is_sent(self) -> bool:
        return self._is_over or (self.protocol.all_sent and not self._sending)

    # One connection

    async def _converse(self) -> None:
        """Open a websocket, and read it until it is closed or no longer the current one."""
        me = asyncio.current_task()
        try:
            websocket = await self._dial()
        except ServerError as refusal:
            self._pass_on(self.protocol.receive_refusal, refusal)
            return
        except ConnectionLost as why:
            self._pass_on(self.protocol.receive_lost, why)
            return
        self.websocket = websocket
        self._pass_on(self.protocol.receive_connected)
        writing = self._started(self._write(websocket))
        try:
            while self._connection is me:
                await self._until_there_is_room(websocket)
                message = await websocket.recv()
                self._pass_on(self.protocol.receive_message, message)
        except ConnectionClosed as closed:
            self._pass_on(self.protocol.receive_lost, lost(closed))
        finally:
            writing.cancel()

    async def _write(self, websocket: ClientConnection) -> None:
        """Send the frames of the protocol until the connection ends.

        Wait while there is no frame, and while the server does not read.
        """
        try:
            await websocket.send(self.protocol.start_message())
            while True:
                frame = self.protocol.next_frame()
                if frame is not None:
                    self._sending = True
                    await websocket.send(frame)
                    continue
                if self._sending:
                    self._sending = False
                    self._wake()
                await self._news.wait()
        except ConnectionClosed:
            pass  # `_converse` reports it, after the messages that came before.
        finally:
            self._sending = False
            self._wake()

    async def _until_there_is_room(self, websocket: ClientConnection) -> None:
        """Wait while too many events are unread; stop the time of the protocol during the wait."""
        clock = asyncio.get_running_loop().time
        live = self.protocol.state is State.LIVE
        if not live or len(self._inbox) < MOST_UNREAD:
            return
        self._unread_since_s = clock()
        self._set_timer()
        try:
            while len(self._inbox) >= MOST_UNREAD and websocket.close_code is None:
                await self._news.wait()
        finally:
            self._unread_s += clock() - self._unread_since_s
            self._unread_since_s = None
            self._set_timer()
