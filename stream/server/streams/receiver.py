"""Receives the messages of a stream, no faster than they can be decoded and transcribed."""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress

from websockets.exceptions import ConnectionClosed

from stream.protocols.close_codes import CloseCode
from stream.protocols.interface import Closing
from stream.protocols.session_protocol import SessionProtocol
from stream.server.streams.client_socket import ClientSocket
from stream.server.streams.upload_detector import UploadDetector


class Receiver:
    """Receives the messages of one stream."""

    def __init__(
        self,
        protocol: SessionProtocol,
        feed: Callable[..., None],
        note_intent: Callable[[], None],
        idle_s: float,
    ) -> None:
        """Prepare to receive.

        Args:
            protocol: protocol of the stream.
            feed: called for each message, with a method of the protocol and its arguments.
            note_intent: called after each message, because it can show that the client begins or
                resumes a stream.
            idle_s: seconds after which a client that sends nothing is disconnected.
        """
        self._protocol = protocol
        self._feed = feed
        self._note_intent = note_intent
        self._idle_s = idle_s
        self._detector = UploadDetector(time.monotonic())
        self._may_read = asyncio.Event()

    @property
    def live(self) -> bool:
        """Whether the audio arrives at the pace of speech."""
        return self._detector.is_live(time.monotonic(), self._protocol.sessions.audio_clock_s)

    def allow(self, may_read: bool) -> None:
        """Allow reading, or pause it before the next message."""
        if may_read:
            self._may_read.set()
        else:
            self._may_read.clear()

    async def receive_until(self, stopped: asyncio.Future[None], socket: ClientSocket) -> None:
        """Receive until `stopped` is done or the socket is closed."""
        with suppress(ConnectionClosed):
            while not stopped.done():
                await self._may_read.wait()
                await self._receive_one(socket)
                # Frames in the buffer are received without waiting, so other streams would not be
                # served without this.
                await asyncio.sleep(0)

    async def _receive_one(self, socket: ClientSocket) -> None:
        """Process one message; if none arrives for `idle_s`, finish the stream.

        Websocket pings have no timeout, because the answer to a ping waits behind the audio of a
        fast upload, which is intentionally left unread.
        """
        idle_s = None if self._protocol.no_more_audio else self._idle_s
        asked = time.monotonic()
        try:
            message = await socket.receive(idle_s)
        except TimeoutError:
            closing = Closing(CloseCode.IDLE, f"no message for {idle_s:g} s")
            self._feed(self._protocol.finish, closing)
            return
        now = time.monotonic()
        self._detector.note_message(now, now - asked, self._protocol.sessions.audio_clock_s)
        was_closing = self._protocol.closing is not None
        if isinstance(message, str):
            self._feed(self._protocol.receive_text, message, now)
        if not was_closing:
            self._note_intent()
        if isinstance(message, bytes):
            self._feed(self._protocol.receive_binary, message, now)
