"""Calls from Asterisk: a TCP port of its own, on which each connection is a call.

The words of a call go to its room; Asterisk is sent nothing. Audio that the engine is too far
behind with is left in the socket, as with any stream.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from urllib.parse import parse_qs

from stream.errors import PeerError, UsageError
from stream.protocols.audiosocket import AudioSocketProtocol
from stream.protocols.messages import CloseCode
from stream.protocols.start_settings import from_query
from stream.protocols.stream_protocol import Closing, Service, StreamProtocol
from stream.server.streams.stream import Stream, Surroundings

log = logging.getLogger(__name__)

READ_BYTES = 16 * 1024
"""A second of 8 kHz audio at a time: a call that was held up does not hold up the others."""

HUNG_UP = Closing(CloseCode.ENDED, "")
"""Asterisk 22 hangs up by closing the connection, without a frame that says so."""


def protocol_of_calls(settings: str) -> Callable[[Service, str], StreamProtocol]:
    """Return what makes the protocol of a call, with settings that are written as a query string.

    Raises `UsageError` where they make no sense.
    """
    query = parse_qs(settings, keep_blank_values=True)
    try:
        from_query(query)
    except PeerError as error:
        raise UsageError(f"audiosocket_settings: {error}") from None
    return lambda service, session_id: AudioSocketProtocol(service, session_id, query)


class PhoneCall(Stream):
    """Serves one call until all that was said in it is final."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        protocol: StreamProtocol,
        session_id: str,
        surroundings: Surroundings,
    ) -> None:
        super().__init__(protocol, session_id, surroundings)
        self.reader = reader
        self.writer = writer
        self._passed_on = asyncio.Event()

    async def run(self) -> None:
        """Listen to the call, and wait for its last words."""
        peer = (self.writer.get_extra_info("peername") or ("somebody gone",))[0]
        log.info("call from %s", peer, extra=self._fields(peer=peer))
        listening = asyncio.create_task(self._listen())
        refused = asyncio.create_task(self._until(lambda: self.protocol.no_more_audio))
        try:
            await asyncio.wait([listening, refused], return_when=asyncio.FIRST_COMPLETED)
            self.finish(HUNG_UP)
            with suppress(TimeoutError):
                async with asyncio.timeout(self.config.drain_s):
                    await self._until(lambda: self.protocol.closing is not None)
        finally:
            listening.cancel()
            refused.cancel()
            self._forget()
            self.writer.close()
            self._report("call over", (self.protocol.closing or HUNG_UP).code)

    def cut(self, closing: Closing) -> None:
        """End the call at once: what is still to be transcribed is not said any more."""
        self._feed(self.protocol.fail, "internal", closing.reason)

    async def _listen(self) -> None:
        """Receive audio until the call is over or the line is silent for too long."""
        with suppress(ConnectionError, TimeoutError):
            while not self.protocol.no_more_audio:
                await self._until(self._has_room)
                async with asyncio.timeout(self.config.idle_s):
                    data = await self.reader.read(READ_BYTES)
                if not data:
                    return
                self._feed(self.protocol.receive_binary, data, time.monotonic())
                await asyncio.sleep(0)

    async def _until(self, condition: Callable[[], bool]) -> None:
        """Wait until something is so, which only what the protocol receives can change."""
        while not condition():
            self._passed_on.clear()
            await self._passed_on.wait()

    def _pass_on(self) -> None:
        self._passed_on.set()
