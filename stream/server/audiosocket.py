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

from stream.config import ServerConfig
from stream.core.hypothesis import Hypothesis
from stream.core.load import Load
from stream.engine.worker import Engine
from stream.errors import PeerError, UsageError
from stream.protocols.audiosocket import AudioSocketProtocol
from stream.protocols.messages import CloseCode
from stream.protocols.port import Closing, Service, StreamProtocol
from stream.protocols.start import from_query
from stream.server.metrics import Metrics
from stream.server.rooms import Participant, Rooms

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


class PhoneCall:
    """Serves one call until all that was said in it is final."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        protocol: StreamProtocol,
        session_id: str,
        engine: Engine,
        config: ServerConfig,
        metrics: Metrics,
        rooms: Rooms,
    ) -> None:
        self.reader = reader
        self.writer = writer
        self.protocol = protocol
        self.session_id = session_id
        self.engine = engine
        self.config = config
        self.metrics = metrics
        self.participant = Participant(rooms)
        self._loop = asyncio.get_running_loop()
        self._answered = asyncio.Event()
        self._gone = False

    async def run(self) -> None:
        """Listen to the call, and wait for its last words."""
        peer = self.writer.get_extra_info("peername")[0]
        log.info("call from %s", peer, extra={"session": self.session_id, "peer": peer})
        listening = asyncio.create_task(self._listen())
        refused = asyncio.create_task(self._until(lambda: self.protocol.no_more_audio))
        try:
            await asyncio.wait([listening, refused], return_when=asyncio.FIRST_COMPLETED)
            self.finish(HUNG_UP)
            with suppress(TimeoutError):
                async with asyncio.timeout(self.config.drain_s):
                    await self._until(lambda: self.protocol.closing is not None)
        finally:
            self._gone = True
            listening.cancel()
            refused.cancel()
            self.participant.leave()
            self.engine.forget(self.session_id)
            self.writer.close()
            self._report()

    def receive_load(self, load: Load) -> None:
        """Take note of what the server leaves out because it is busy."""
        self._feed(self.protocol.receive_load, load)

    def finish(self, closing: Closing) -> None:
        """Take no more audio, and close when its finals are there."""
        self._feed(self.protocol.finish, closing)

    def cut(self, closing: Closing) -> None:
        """Close at once, whatever is still to be transcribed."""
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

    def _has_room(self) -> bool:
        ahead = self.protocol.pending_s > self.config.max_ahead_s
        return not (ahead and self.engine.owes(self.session_id))

    async def _until(self, condition: Callable[[], bool]) -> None:
        """Wait for the engine's answers until something is so."""
        while not condition():
            self._answered.clear()
            await self._answered.wait()

    def _feed(self, receive: Callable[..., None], *args: object) -> None:
        """Let the protocol receive something, and pass on all that comes of it."""
        if self._gone:
            return
        try:
            receive(*args)
            windows = self.protocol.windows_to_transcribe()
        except Exception:
            log.exception("the call failed", extra={"session": self.session_id})
            self.protocol.fail("internal", "The server made a mistake.")
            windows = []
        for window in windows:
            self.engine.submit(window, self._deliver)
        self.participant.share(self.protocol)
        self._answered.set()

    def _deliver(self, hypothesis: Hypothesis) -> None:
        """Called on the engine's thread."""
        self._loop.call_soon_threadsafe(self._feed, self.protocol.receive_hypothesis, hypothesis)

    def _report(self) -> None:
        closing, tally = self.protocol.closing or HUNG_UP, self.protocol.tally
        self.metrics.count_session(tally, 0, closing.code)
        log.info(
            "call over%s: %.1f s of audio, %d finals",
            f" ({closing.reason})" if closing.reason else "",
            tally.audio_s,
            tally.finals,
            extra={
                "session": self.session_id,
                "close_code": int(closing.code),
                "audio_s": round(tally.audio_s, 1),
                "finals": tally.finals,
                "partials": tally.partials,
                "errors": tally.errors,
            },
        )
