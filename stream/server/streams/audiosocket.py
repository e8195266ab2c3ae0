"""Telephone calls from Asterisk: a TCP port of its own, on which each connection is a call.

The captions of a call go to its room; Asterisk is sent nothing. If the engine falls behind, audio
is left in the socket, as with any stream.
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
from stream.server.streams.stream import Stream, StreamContext

log = logging.getLogger(__name__)

READ_BYTES = 16 * 1024
"""A second of 8 kHz audio at a time, so that a call with a backlog does not delay the others."""

HUNG_UP = Closing(CloseCode.ENDED, "")
"""Asterisk 22 hangs up by closing the connection, without a frame that says so."""


def protocol_of_calls(settings: str) -> Callable[[Service, str], StreamProtocol]:
    """Return a function that makes the protocol of each call.

    Args:
        settings: settings of all calls, written as a query string.

    Raises:
        UsageError: if a setting is unknown or has a value that is not allowed.
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
        context: StreamContext,
    ) -> None:
        super().__init__(protocol, session_id, context)
        self.reader = reader
        self.writer = writer
        self._progress = asyncio.Event()
        """Set whenever the protocol has received something."""

    async def run(self) -> None:
        """Receive the call's audio, then wait for its last finals."""
        peer = (self.writer.get_extra_info("peername") or ("somebody gone",))[0]
        log.info("call from %s", peer, extra=self._log_fields(peer=peer))
        receiving = asyncio.create_task(self._receive())
        refused = asyncio.create_task(self._until(lambda: self.protocol.no_more_audio))
        try:
            await asyncio.wait([receiving, refused], return_when=asyncio.FIRST_COMPLETED)
            self.finish(HUNG_UP)
            with suppress(TimeoutError):
                async with asyncio.timeout(self.config.drain_s):
                    await self._until(lambda: self.protocol.closing is not None)
        finally:
            receiving.cancel()
            refused.cancel()
            self._release()
            self.writer.close()
            self._report("call over", (self.protocol.closing or HUNG_UP).code)

    def cut(self, closing: Closing) -> None:
        """End the call at once; windows that are still to be transcribed are dropped."""
        self._feed(self.protocol.fail, "internal", closing.reason)

    async def _receive(self) -> None:
        """Receive audio until the call is over or no audio has come for too long."""
        with suppress(ConnectionError, TimeoutError):
            while not self.protocol.no_more_audio:
                await self._until(self._may_read)
                async with asyncio.timeout(self.config.idle_s):
                    data = await self.reader.read(READ_BYTES)
                if not data:
                    return
                self._feed(self.protocol.receive_binary, data, time.monotonic())
                await asyncio.sleep(0)

    async def _until(self, condition: Callable[[], bool]) -> None:
        """Wait for a condition that can only change when the protocol receives something."""
        while not condition():
            self._progress.clear()
            await self._progress.wait()

    def _handle_output(self) -> None:
        self._progress.set()
