"""A stream to the server: audio goes out, events come back."""

import asyncio
import json
from collections import deque
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Awaitable,
    Callable,
    Iterable,
    Iterator,
    Mapping,
)
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from functools import partial
from typing import Any, Literal

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from distil_stream_client.events import (
    Configured,
    Ended,
    Error,
    Mark,
    Progress,
    Ready,
    ServerEvent,
    parse,
)
from distil_stream_client.timeline import Timeline
from distil_stream_client.unsettled import SAMPLE_BYTES, Request, Unsettled
from distil_stream_client.wire import (
    GOING_AWAY,
    IDLE,
    RESTARTING,
    RETRIED,
    ConnectionLost,
    ServerError,
    lost,
    lost_after_ended,
    open_websocket,
)

WORTH_A_TRY = (None, GOING_AWAY, RESTARTING, IDLE)
"""Close codes after which it makes sense to come back; None is for a connection that broke."""

WAITS_S = (0.1, 0.5, 1, 2, *[4] * 1000)
"""Between attempts to open a lost connection again."""

ANSWERED_EVERY_S = 2
"""Seconds of audio after which a server has said something for sure: it does after each one."""

REQUESTS = ("finalize", "mark", "configure", "end")
"""Messages that a server must get; the rest are of the moment."""


@asynccontextmanager
async def connect(
    url: str,
    *,
    api_key: str | None = None,
    open_timeout: float = 10,
    proxy: str | Literal[True] | None = True,
    reconnect_s: float = 60,
    **settings: Any,
) -> AsyncIterator["Stream"]:
    """Open a stream; `settings` are the fields of `start`. Leaving the context closes it.

    `url` may be `ws://host:port` or the `http://host:port` that the browser opens; the path
    `/v1/stream` is added where there is none. `open_timeout` is in seconds, `proxy` as in
    websockets. A connection that is lost is opened again, for `reconnect_s` at most (0: not at
    all). Raises `ServerError` or `ConnectionLost`.
    """
    dial = partial(open_websocket, url, api_key, open_timeout, proxy)
    stream = Stream(dial, settings, open_timeout, reconnect_s)
    try:
        await stream.open()
        yield stream
    finally:
        await stream.close()


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

    Sending waits while the server does not read: it never takes in more than it can handle; and it
    waits while a connection that was lost is opened again. What the server has not settled by then
    is kept, and handed to it once more.
    """

    ready: Ready
    """What the server said first: the model, the session, its limits."""
    websocket: ClientConnection
    silent_s: float = 30
    """A server that says nothing for longer, while it owes an answer, is taken for lost."""

    def __init__(
        self,
        dial: Callable[[], Awaitable[ClientConnection]],
        settings: Mapping[str, Any],
        open_timeout: float = 10,
        reconnect_s: float = 60,
    ) -> None:
        self.ended: Ended | None = None
        self._dial = dial
        self._settings = dict(settings)
        self._open_timeout = open_timeout
        encoding = settings.get("encoding", "pcm_s16le")
        self._keeps = reconnect_s > 0 and encoding in SAMPLE_BYTES
        """Whether what is not settled is kept, to be handed in once more."""
        self._patience_s = reconnect_s if self._keeps else 0
        self._failure: Exception | None = None
        self._given_up: ConnectionLost | ServerError | None = None
        """Why a lost connection was not opened again, and is not any more."""
        self._over = False
        """Whether `ended` has come, and nothing more will."""
        self._end_asked = False
        self._changed: set[str] = set()
        """Names of the settings that `configure` was asked to change."""
        self._silent_since = 0.0
        """On the clock of the event loop, since when the server has owed an answer."""
        if self._keeps:
            self._unsettled = Unsettled(encoding, settings.get("channels", 1))
            self._rate = settings.get("sample_rate") or 16_000
            self._timeline = Timeline(self._rate, settings.get("endpointing_ms") or 500)
            self._received = 0
            """Samples that the server is known to have received."""
            self._told = 0
            """Events told so far, which are numbered so."""
        self._inbox: deque[ServerEvent] = deque()
        self._to_send: deque[str | bytes] = deque()
        self._sending = asyncio.Lock()
        self._reconnecting = asyncio.Lock()
        self._catching_up: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Open the first connection."""
        self.websocket = await self._dial()
        self._accept(await self._start(self.websocket, self._settings))
        self._inbox.clear()  # `ready` is an attribute

    async def close(self) -> None:
        """Close the connection, whatever is under way."""
        if self._catching_up:
            self._catching_up.cancel()
            with suppress(asyncio.CancelledError):
                await self._catching_up
        if hasattr(self, "websocket"):
            await self.websocket.close()

    async def send_audio(self, data: bytes) -> None:
        """Send samples in the announced encoding, channels interleaved, as many as you like."""
        if self._keeps:
            self._remember(data)
        self._to_send.extend(self._frames(data))
        await self._send_waiting()

    async def finalize(self, mark: int | None = None) -> None:
        """Have all audio so far decoded now: its finals come, then `Mark(id=mark)`."""
        await self.send(type="finalize", **({} if mark is None else {"mark": mark}))

    async def mark(self, id: int) -> None:
        """Ask for `Mark(id)` once every sample sent so far is transcribed or ruled out."""
        await self.send(type="mark", id=id)

    async def configure(self, **changes: Any) -> None:
        """Change language, partials, endpointing_ms, keyterms or prompt from here on.

        `Configured` follows; an `Error` where the server refuses, and nothing is changed.
        """
        self._changed |= changes.keys()
        await self.send(type="configure", **changes)

    async def keepalive(self) -> None:
        """Tell the server that the stream is in use though no audio comes.

        It ends a stream on which it is sent nothing for `ready.limits.idle_s` seconds.
        """
        await self.send(type="keepalive")

    async def end(self) -> None:
        """Say that no more audio comes. The last finals follow, and `Ended`: go on reading."""
        await self.send(type="end")

    async def send(self, **message: Any) -> None:
        """Send any message of the protocol."""
        self._end_asked |= message["type"] == "end"
        if self._keeps and message["type"] in REQUESTS:
            self._remember(message)
            if message["type"] in ("finalize", "end"):
                self._timeline.cut_asked = True
        self._to_send.append(json.dumps(message))
        await self._send_waiting()

    async def send_all(self, audio: AsyncIterable[bytes]) -> None:
        """Send all of `audio` and `end`; returns early where the server closes the stream.

        Whoever reads the events learns why it did, and also when `audio` itself fails.
        """
        try:
            async for data in audio:
                await self.send_audio(data)
            await self.end()
        except (ConnectionLost, ServerError):
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
        if self._server_was_first:
            raise lost_after_ended(self.websocket) from self._given_up
        raise StopAsyncIteration

    @property
    def _server_was_first(self) -> bool:
        """Whether the server ended the stream before we did."""
        if self.websocket.close_code == IDLE:
            return not self._end_asked or self._given_up is not None
        return self.websocket.close_code == GOING_AWAY

    async def receive(self) -> ServerEvent:
        """Receive one event; a `Ready` says that a lost connection is there again.

        Raises `ServerError` for a fatal error, `ConnectionLost` when the stream is cut short.
        """
        while not self._inbox:
            websocket = self.websocket
            try:
                event = await self._receive_from(websocket)
            except ConnectionClosed as closed:
                if self._failure:
                    raise self._failure from closed
                try:
                    await self._reconnect(websocket, lost(closed))
                except (ConnectionLost, ServerError):
                    if not self._inbox:  # else it is raised behind the last news
                        raise
                continue
            if isinstance(event, Ended):
                more = await self._has_more_to_say(websocket, event)
                if more or self._reconnecting.locked():  # or another task goes on already
                    with suppress(ConnectionLost, ServerError):
                        await self._reconnect(websocket, lost_after_ended(websocket))
                        continue
            self._accept(event)
        event = self._inbox.popleft()
        if isinstance(event, Ended):
            self.ended = event
        return event

    async def _receive_from(self, websocket: ClientConnection) -> ServerEvent:
        try:
            event = parse(await self._hear_from(websocket))
        except ValueError as error:
            raise ServerError("bad_message", f"The server sent {error}") from error
        if isinstance(event, Error) and event.fatal:
            raise ServerError(event.code, event.message)
        return event

    async def _hear_from(self, websocket: ClientConnection) -> str | bytes:
        """Receive a frame, and take a connection for dead that says nothing for too long."""
        clock = asyncio.get_running_loop().time
        self._silent_since = clock()
        while True:
            try:
                async with asyncio.timeout_at(self._silent_since + self.silent_s):
                    return await websocket.recv()
            except TimeoutError:
                if clock() < self._silent_since + self.silent_s:
                    continue  # It came to owe an answer while we waited.
                owed = self._keeps and self._owes_an_answer
                if owed and self.ready.resume_token:  # a mistake would cost nothing
                    websocket.transport.abort()
                self._silent_since = clock()

    def _remember(self, item: bytes | Request) -> None:
        """Keep what may have to be sent again; note when the server comes to owe an answer."""
        owed = self._owes_an_answer
        if isinstance(item, dict):
            self._unsettled.add_request(item)
        else:
            self._unsettled.add_audio(item)
        if not owed and self._owes_an_answer:
            self._silent_since = asyncio.get_running_loop().time()

    @property
    def _owes_an_answer(self) -> bool:
        unanswered = self._unsettled.end - self._received
        return unanswered > ANSWERED_EVERY_S * self._rate or self._unsettled.awaits_answer

    def _accept(self, event: ServerEvent) -> None:
        """Put into the inbox what may be told."""
        self._over |= isinstance(event, Ended)
        if not self._keeps:
            self._inbox.append(event)
            return
        if isinstance(event, Ready | Progress):
            self._received = self._timeline.base + event.received
        if isinstance(event, Configured):
            self._note_settings(event.settings)
        self._tell(self._timeline.receive(event))
        self._unsettled.settle(self._timeline.settled)

    def _note_settings(self, in_force: Mapping[str, Any]) -> None:
        """Note what `configure` has changed: a new stream begins with it."""
        self._settings |= {name: in_force[name] for name in self._changed & in_force.keys()}
        self._timeline.endpointing_ms = in_force.get(
            "endpointing_ms", self._timeline.endpointing_ms
        )

    def _tell(self, events: Iterable[ServerEvent]) -> None:
        """Put events into the inbox, numbered on; a request is answered once."""
        for event in events:
            if isinstance(event, Mark) and not self._unsettled.answer(event.id):
                continue  # The server got the request twice: before the connection broke, too.
            self._told += 1
            self._inbox.append(replace(event, seq=self._told))

    async def _has_more_to_say(self, websocket: ClientConnection, ended: Ended) -> bool:
        """Whether the server ended the stream before we did, so that another must follow."""
        if not self._patience_s:
            return False
        await websocket.wait_closed()
        held = self._timeline.base + ended.received
        return websocket.close_code == GOING_AWAY or self._unsettled.end > held

    async def _send_waiting(self) -> None:
        """Send what waits to be sent, through whatever connection there is."""
        async with self._sending:
            while self._to_send:
                websocket = self.websocket
                try:
                    await websocket.send(self._to_send[0])
                except ConnectionClosed as closed:
                    await self._reconnect(websocket, lost(closed))
                else:
                    if self.websocket is websocket:  # else what waits was put together anew
                        self._to_send.popleft()

    async def _reconnect(self, broken: ClientConnection, why: ConnectionLost) -> None:
        """Open the connection again; where that is in vain, tell what was held back, and raise.

        Raises `why`, or the `ServerError` of a server that refuses.
        """
        async with self._reconnecting:
            if self.websocket is not broken:
                return  # another task has seen to it
            if self._over:
                raise lost_after_ended(broken)
            if self._given_up:
                raise self._given_up
            try:
                await self._try_to_come_back(why)
            except (ConnectionLost, ServerError) as error:
                self._given_up = error
                if self._keeps:
                    self._tell(self._timeline.release())
                raise

    async def _try_to_come_back(self, why: ConnectionLost) -> None:
        """Open the connection again, with growing waits; raises `why` where that is in vain."""
        if not self._patience_s or why.close_code not in WORTH_A_TRY:
            raise why
        if why.close_code is not None:
            self.ready = replace(self.ready, resume_token="")  # it has let the stream go
        clock = asyncio.get_running_loop().time
        until = clock() + self._patience_s
        for wait_s in WAITS_S:
            try:
                await self._come_back()
                return
            except (ConnectionLost, ConnectionClosed):
                pass
            except ServerError as refusal:
                if refusal.code not in RETRIED:
                    raise
            if clock() + wait_s > until:
                break
            await asyncio.sleep(wait_s)
        raise why

    async def _come_back(self) -> None:
        """Go on with the stream; where the server has forgotten it, with a new one."""
        websocket = await self._dial()
        if self.ready.resume_token:
            if await self._resume(websocket):
                return
            self.ready = replace(self.ready, resume_token="")
            websocket = await self._dial()
        event = await self._start(websocket, self._settings)
        self._timeline.begin_anew()  # Not sooner: it lets go of what is held back.
        self._accept(event)
        self._go_on(websocket, self._unsettled.anew(self._timeline.known))

    async def _resume(self, websocket: ClientConnection) -> bool:
        """Go on with the stream; False where the server has it no more."""
        resume = {
            "session": self.ready.session,
            "token": self.ready.resume_token,
            "seq": self._timeline.last_seq,
        }
        try:
            event = await self._start(websocket, {"resume": resume})
        except ServerError as refusal:
            if refusal.code == "resume_refused":
                return False
            raise
        if isinstance(event, Ended) and await self._has_more_to_say(websocket, event):
            return False
        self._accept(event)
        resumed = isinstance(event, Ready)
        self._go_on(websocket, self._unsettled.after(self._received) if resumed else ())
        return True

    async def _start(
        self, websocket: ClientConnection, settings: Mapping[str, Any]
    ) -> Ready | Ended:
        """Send `start`, and receive what comes until the server is ready, or is done already."""
        try:
            with suppress(ConnectionClosed):  # What the server said before is the better news.
                await websocket.send(json.dumps({"type": "start", **settings}))
            async with asyncio.timeout(self._open_timeout):
                while not isinstance(event := await self._receive_from(websocket), Ready | Ended):
                    self._accept(event)
        except BaseException as error:
            await websocket.close()
            if isinstance(error, TimeoutError):
                raise ConnectionLost("The server does not get ready.") from error
            if isinstance(error, ConnectionClosed):
                raise lost(error) from error
            raise
        if isinstance(event, Ready):
            self.ready = event
        return event

    def _go_on(self, websocket: ClientConnection, unsent: Iterable[bytes | Request]) -> None:
        self._to_send = deque(
            frame
            for item in unsent
            for frame in (self._frames(item) if isinstance(item, bytes) else [json.dumps(item)])
        )
        self.websocket = websocket
        self._catching_up = asyncio.create_task(self._catch_up())

    async def _catch_up(self) -> None:
        """Send what the server lacks, also when nobody sends just now."""
        with suppress(ConnectionLost, ServerError):  # whoever reads learns of it
            await self._send_waiting()

    def _frames(self, data: bytes) -> Iterator[bytes]:
        most = self.ready.limits.max_frame_bytes or max(len(data), 1)
        return (data[start : start + most] for start in range(0, len(data), most))
