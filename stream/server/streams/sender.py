"""Sends the messages of a stream over its socket, and missed ones again over the next socket.

Without a socket the messages wait in the outbox, in which newer partials replace older ones.
"""

import asyncio
import time
from collections.abc import Sequence
from contextlib import suppress

from websockets.exceptions import ConnectionClosed

from stream.protocols.interface import QueuedMessage
from stream.protocols.session_protocol import SessionProtocol
from stream.server.metrics import Metrics
from stream.server.outbox import Outbox
from stream.server.streams.client_socket import ClientSocket
from stream.server.streams.replay import ReplayBuffer


class Sender:
    """Sends the messages of one stream."""

    def __init__(self, protocol: SessionProtocol, metrics: Metrics, stalled_s: float) -> None:
        """Prepare to send the messages of `protocol`.

        Args:
            protocol: protocol of the stream.
            metrics: metrics of the server, in which the delays of finals are recorded.
            stalled_s: seconds for which a socket may accept no data.
        """
        self.outbox = Outbox()
        self.replay = ReplayBuffer()
        self._protocol = protocol
        self._metrics = metrics
        self._stalled_s = stalled_s
        self._something_to_send = asyncio.Event()

    def collect(self) -> None:
        """Move the new messages of the protocol to the outbox."""
        for message in self._protocol.messages_to_send():
            self.outbox.put(message)
        self._something_to_send.set()

    async def send_until_closing(self, socket: ClientSocket, missed: Sequence[str | bytes]) -> None:
        """Send `missed`, then the outbox until the protocol is closing or the socket is closed.

        Raises `TimeoutError` if the socket accepts no data for too long.
        """
        with suppress(ConnectionClosed):
            for frame in missed:
                await socket.send(frame, self._stalled_s)
            while self._protocol.closing is None or self.outbox:
                await self._something_to_send.wait()
                self._something_to_send.clear()
                while (message := self.outbox.take()) is not None:
                    await self._send(socket, message)

    async def _send(self, socket: ClientSocket, message: QueuedMessage) -> None:
        now = time.monotonic()
        frame = self._protocol.encode(message, now)
        self.replay.append(frame)
        if message.speech_received_at is not None:
            self._metrics.final_s.observe(now - message.speech_received_at)
        await socket.send(frame, self._stalled_s)
