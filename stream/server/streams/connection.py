"""A stream through a websocket: one task reads it, one sends what waits in the outbox.

A socket may be lost without a word. Then the stream is `lost`: what the engine still says of it
goes into the outbox, and `run` may be called again, with the socket through which the client comes
back.
"""

import asyncio
import logging
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed
from websockets.protocol import State

from stream.protocols.close_codes import CloseCode
from stream.protocols.interface import Closing, QueuedMessage
from stream.protocols.session_protocol import SessionProtocol
from stream.server.outbox import Outbox
from stream.server.streams.replay import Sent
from stream.server.streams.stream import Stream, Surroundings

log = logging.getLogger(__name__)

SEND_BUFFER_BYTES = 64 * 1024
"""Of the kernel: a partial that waits there cannot be overtaken by a newer one any more."""

CLOSE_TIMEOUT_S = 2.0
"""How long a client has to answer a close frame before its TCP connection is cut."""

SLICE_BYTES = 16 * 1024
"""Of a frame, before other streams get a turn: half a second of PCM costs 10 ms, most of it the
voice detector's; a whole frame of `max_frame_bytes` would hold up everybody for a second or two."""
CONTAINER_SLICE_BYTES = 2 * 1024
"""Of a frame of a container: half a second of Opus at 32 kbit/s, of which 16 KiB held up everybody
for 60 ms and more."""

UPLOAD_AHEAD_S = 2.0
"""Audio that came sooner than it could be spoken, after which a stream is taken for an upload."""
WAITED_S = 0.005
"""A message that is waited for longer did not lie ready: the client has sent all it has."""
PACE_S = 10.0
"""How often its pace is measured anew: who comes back sends a backlog first, and is live then."""

GONE = Closing(CloseCode.GOING_AWAY, "the client is gone")
FAULT = Closing(CloseCode.INTERNAL, "internal")
TOO_SLOW = Closing(CloseCode.OVERLOADED, "the client reads too slowly")
BROKEN = 1006
"""What stands for the close code of a socket that went without a close frame."""

RESUMED = Closing(CloseCode.ENDED, "the stream goes on through another connection")


class Connection(Stream):
    """Serves one client until it is gone; costs the others nothing, and leaves nothing behind."""

    websocket: ServerConnection
    """The socket that is served now, or was last."""

    def __init__(
        self, protocol: SessionProtocol, session_id: str, surroundings: Surroundings
    ) -> None:
        super().__init__(protocol, session_id, surroundings)
        self.outbox = Outbox()
        self.sent = Sent()
        self.lost = False
        """Whether the socket broke in a stream that can go on with another."""
        self.begins: Callable[[], None] = lambda: None
        """Called once it is clear that the client does not come back to another stream."""
        self._pace_from = (time.monotonic(), 0.0)
        """A moment, and the seconds of audio that had come by then."""
        self._sending = False
        self._something_to_send = asyncio.Event()
        self._room = asyncio.Event()
        """Set while there is room for more audio."""
        self._cut: asyncio.Future[Closing] = self._loop.create_future()
        self._released = asyncio.Event()

    async def run(
        self, websocket: ServerConnection, missed: Sequence[str | bytes] | None = None
    ) -> None:
        """Serve the client through this socket until it or the stream is over.

        `missed` are the messages that a client that has come back did not get. Afterwards the
        stream is over, or `lost`, or it never began: the client asks for another one with
        `protocol.resumption`, and the socket is still open.
        """
        self.websocket = websocket
        self.lost = False
        self._cut = self._loop.create_future()
        self._released.clear()
        self._limit_send_buffer()
        came_back = missed is not None
        log.info(
            "resumed from %s" if came_back else "opened from %s", self._peer(),
            extra=self._fields(peer=self._peer()),
        )  # fmt: skip
        # Even when nothing is received yet: the query string may have been refused.
        self._feed(self.protocol.receive_return if came_back else lambda: None)
        tasks: list[asyncio.Future[Any]] = [
            asyncio.create_task(self._receive()),
            asyncio.create_task(self._send(missed or ())),
            asyncio.create_task(websocket.wait_closed()),
        ]
        try:
            await asyncio.wait([*tasks, self._cut], return_when=asyncio.FIRST_COMPLETED)
            gone = not (self._cut.done() or self._may_come_back)
            if self.protocol.sessions.in_room and self.protocol.closing is None and gone:
                await self._finish_for_the_room(tasks[0])
        finally:
            for task in tasks:
                task.cancel()
            for outcome in await asyncio.gather(*tasks, return_exceptions=True):
                if isinstance(outcome, Exception):
                    log.error("the connection failed", exc_info=outcome, extra=self._fields())
        if self.protocol.closing or self.protocol.resumption is None:
            await self._leave(websocket)

    async def _leave(self, websocket: ServerConnection) -> None:
        """Close the socket; the stream is over as well, unless its client may come back."""
        closing = self._cut.result() if self._cut.done() else self.protocol.closing or FAULT
        if closing is RESUMED:
            self._released.set()
            await self._close(websocket, closing)
            return
        if self._cut.done() or not self.protocol.resumable:
            self._forget()
        code = await self._close(websocket, closing)
        self.lost = not self.over and websocket.close_code == BROKEN
        if self.lost:
            log.info("lost its connection", extra=self._fields())
        else:
            self._forget()
            self._report("closed", code, self.outbox.coalesced)
        self._released.set()

    async def release(self) -> None:
        """Let go of a socket that may be half open: the client has come back through another."""
        self.cut(RESUMED)
        await self._released.wait()

    async def give_up(self) -> None:
        """End a stream that has no socket; a room is given the last of what was said."""
        try:
            if self.protocol.sessions.in_room and self.protocol.closing is None:
                await self._finish_for_the_room()
        finally:
            self._forget()
            self._report("closed", BROKEN, self.outbox.coalesced)

    @property
    def _may_come_back(self) -> bool:
        """Whether the socket broke, and the client knows how to go on through another."""
        return self.protocol.resumable and self.websocket.close_code == BROKEN

    async def _finish_for_the_room(self, receiving: asyncio.Future[Any] | None = None) -> None:
        """The client is gone, but others read along: wait for the finals of what it said."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self.config.drain_s):
                if receiving:  # its last frame may not have been heard to the end
                    await asyncio.wait([receiving, self._cut], return_when=asyncio.FIRST_COMPLETED)
                self.finish(GONE)
                while self.protocol.closing is None and not self._cut.done():
                    self._something_to_send.clear()
                    await self._something_to_send.wait()

    def cut(self, closing: Closing) -> None:
        """Close so at once, whatever waits to be sent."""
        if not self._cut.done():
            self._cut.set_result(closing)

    def _pass_on(self) -> None:
        for message in self.protocol.messages_to_send():
            self.outbox.put(message)
        # What one message sets free at once may be more; slow is who does not take it.
        if self.outbox.overflowing and self._sending:
            self.cut(TOO_SLOW)
        self._something_to_send.set()
        if self._has_room():
            self._room.set()
        else:
            self._room.clear()

    def _live(self) -> bool:
        """Whether the audio comes at the pace of speech: an upload is soon ahead of the clock."""
        since, audio_s = self._pace_from
        elapsed_s = time.monotonic() - since
        return self.protocol.sessions.audio_clock_s - audio_s - elapsed_s < UPLOAD_AHEAD_S

    async def _receive(self) -> None:
        with suppress(ConnectionClosed):
            while self.protocol.resumption is None:
                await self._room.wait()
                await self._receive_one()
                # Frames that lie in the buffer are received without waiting; others get a turn.
                await asyncio.sleep(0)

    async def _receive_one(self) -> None:
        """Take one message, or close a client that has been silent for too long.

        There is no timeout on websocket pings besides: the answer to one waits behind the audio
        that a fast upload is ahead, and that is not read on purpose.
        """
        idle_s = None if self.protocol.no_more_audio else self.config.idle_s
        asked = time.monotonic()
        try:
            async with asyncio.timeout(idle_s):
                message = await self.websocket.recv()
        except TimeoutError:
            self.finish(Closing(CloseCode.IDLE, f"no message for {idle_s:g} s"))
            return
        now = time.monotonic()
        audio_s = self.protocol.sessions.audio_clock_s
        if not audio_s or (now - asked > WAITED_S and now - self._pace_from[0] > PACE_S):
            self._pace_from = (now, audio_s)
        if isinstance(message, str):
            self._feed(self.protocol.receive_text, message, now)
        else:
            await self._receive_audio(message, now)
        if self.protocol.resumption is None:
            self.begins()

    async def _receive_audio(self, data: bytes, now: float) -> None:
        size = CONTAINER_SLICE_BYTES if self.protocol.compressed else SLICE_BYTES
        if not self.protocol.cuts_binary_frames:
            size = max(len(data), 1)
        for start in range(0, max(len(data), 1), size):
            await self._room.wait()
            self._feed(self.protocol.receive_binary, data[start : start + size], now)
            await asyncio.sleep(0)

    async def _send(self, missed: Sequence[str | bytes]) -> None:
        """Send what was missed and what waits, until all is said or the client is gone."""
        with suppress(ConnectionClosed):
            for frame in missed:
                await self._send_frame(frame)
            while self.protocol.closing is None or self.outbox:
                await self._something_to_send.wait()
                self._something_to_send.clear()
                while (message := self.outbox.take()) is not None:
                    await self._send_one(message)

    async def _send_one(self, message: QueuedMessage) -> None:
        now = time.monotonic()
        frame = self.protocol.encode(message, now)
        self.sent.put(frame)
        if message.speech_received_at is not None:
            self.metrics.final_s.observe(now - message.speech_received_at)
        await self._send_frame(frame)

    async def _send_frame(self, frame: str | bytes) -> None:
        """Send a message, or cut off a client whose socket has taken nothing for too long."""
        self._sending = True
        try:
            async with asyncio.timeout(self.config.idle_s):
                await self.websocket.send(frame)
        except TimeoutError:
            self.cut(TOO_SLOW)
        finally:
            self._sending = False

    async def _close(self, websocket: ServerConnection, closing: Closing) -> int:
        """Close the socket, and return the close code.

        Reads on meanwhile: the client's own close frame may be behind its audio.
        """
        closing = self.protocol.close_frame(closing)
        ours = websocket.state is State.OPEN
        closer = asyncio.create_task(websocket.close(closing.code, closing.reason))
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                while True:
                    await websocket.recv()
                    await asyncio.sleep(0)
        except ConnectionClosed:
            pass
        except TimeoutError:
            # websockets' own timeout begins when the close frame has left, and a socket that
            # takes nothing does not even take that.
            websocket.transport.abort()
        await closer
        return closing.code if ours else websocket.close_code or BROKEN

    def _limit_send_buffer(self) -> None:
        transport_socket = self.websocket.transport.get_extra_info("socket")
        transport_socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)

    def _peer(self) -> str:
        return str((self.websocket.remote_address or ("a local socket",))[0])
