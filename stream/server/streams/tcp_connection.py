"""A stream over a plain TCP connection.

If the protocol has messages, their frames are sent without further framing. As for every stream,
the socket is not read while the engine is too far behind.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import suppress

from stream.protocols.close_codes import CloseCode
from stream.protocols.interface import Closing, QueuedMessage
from stream.protocols.session_protocol import SessionProtocol
from stream.server.outbox import Outbox
from stream.server.streams.stream import Stream, StreamContext

log = logging.getLogger(__name__)

READ_BYTES = 16 * 1024
"""Most bytes of one read: a second of 8 kHz audio. So a connection that was delayed and has more to
read does not delay the others."""

HUNG_UP = Closing(CloseCode.ENDED, "")
"""Used if the client closes the connection without a message, as Asterisk 22 does at the end of
every call."""

TOO_SLOW = Closing(CloseCode.OVERLOADED, "the client reads too slowly")


class TcpConnection(Stream):
    """Serves one connection until all its audio is final."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        protocol: SessionProtocol,
        session_id: str,
        context: StreamContext,
    ) -> None:
        super().__init__(protocol, session_id, context)
        self.reader = reader
        self.writer = writer
        self.outbox = Outbox()
        self._changed = asyncio.Event()
        self._sending: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Receive audio until the client or the protocol ends it, then wait for the finals.

        The stream is released and the connection closed when this returns.
        """
        peer = (self.writer.get_extra_info("peername") or ("a local socket",))[0]
        log.info("opened from %s", peer, extra=self._log_fields(peer=peer))
        receiving = asyncio.create_task(self._receive())
        ended = asyncio.create_task(self._until(lambda: self.protocol.no_more_audio))
        self._sending = asyncio.create_task(self._send())
        try:
            await asyncio.wait([receiving, ended], return_when=asyncio.FIRST_COMPLETED)
            self.finish(HUNG_UP)
            with suppress(TimeoutError):
                async with asyncio.timeout(self.config.drain_s):
                    await self._until(lambda: self.protocol.closing is not None)
                    await asyncio.wait([self._sending])
        finally:
            for task in (receiving, ended, self._sending):
                task.cancel()
            self._release()
            self.writer.close()
            closing = self.protocol.close_frame(self.protocol.closing or HUNG_UP)
            self._report("closed", closing.code, self.outbox.coalesced)

    def cut(self, closing: Closing) -> None:
        """End the connection at once; unsent messages and pending windows are dropped."""
        if self.protocol.closing is None:
            self.protocol.close(closing)
        if self._sending:
            self._sending.cancel()
        self._changed.set()

    async def _receive(self) -> None:
        """Receive audio until the connection is closed or sends nothing for `idle_s`.

        Also returns when the protocol accepts no more audio.
        """
        with suppress(ConnectionError, TimeoutError):
            while not self.protocol.no_more_audio:
                await self._until(self._may_read)
                async with asyncio.timeout(self.config.idle_s):
                    data = await self.reader.read(READ_BYTES)
                if not data:
                    return
                self._feed(self.protocol.receive_binary, data, time.monotonic())
                await asyncio.sleep(0)

    async def _send(self) -> None:
        """Send messages until the protocol is closing and all are sent, or the client stalls."""
        with suppress(ConnectionError, TimeoutError):
            while True:
                await self._until(lambda: bool(self.outbox) or self.protocol.closing is not None)
                message = self.outbox.take()
                if message is None:
                    return
                await self._send_one(message)

    async def _send_one(self, message: QueuedMessage) -> None:
        now = time.monotonic()
        frame = self.protocol.encode(message, now)
        if message.speech_received_at is not None:
            self.metrics.final_s.observe(now - message.speech_received_at)
        self.writer.write(frame.encode() if isinstance(frame, str) else frame)
        async with asyncio.timeout(self.config.idle_s):
            await self.writer.drain()

    async def _until(self, condition: Callable[[], bool]) -> None:
        """Wait until a condition holds; it is tested after each input to the protocol."""
        while not condition():
            self._changed.clear()
            await self._changed.wait()

    def _handle_output(self) -> None:
        for message in self.protocol.messages_to_send():
            self.outbox.put(message)
        if self.outbox.overflowing and self.protocol.closing is None:
            self.cut(TOO_SLOW)
        self._changed.set()
