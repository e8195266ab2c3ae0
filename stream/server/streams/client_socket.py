"""The websocket of a client, with limits on how long the client can delay the server."""

import asyncio
import socket

from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed
from websockets.protocol import State

from stream.protocols.interface import Closing

SEND_BUFFER_BYTES = 64 * 1024
"""Size of the kernel's send buffer. It is small, because a partial in it can no longer be replaced
by a newer one."""

CLOSE_TIMEOUT_S = 2.0
"""Seconds within which a client must answer a close frame; then its TCP connection is aborted."""

BROKEN = 1006
"""The code for a connection that ended without a close frame (RFC 6455, 7.1.5)."""


class ClientSocket:
    """A websocket with timeouts for receiving, sending and closing."""

    def __init__(self, websocket: ServerConnection) -> None:
        self._websocket = websocket
        self.writing = False
        """Whether a message is being sent, which takes as long as the client does not read."""
        transport_socket = websocket.transport.get_extra_info("socket")
        transport_socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)

    @property
    def peer(self) -> str:
        """IP address of the client; `a local socket` if it has none."""
        return str((self._websocket.remote_address or ("a local socket",))[0])

    @property
    def broken(self) -> bool:
        """Whether the connection ended without a close frame."""
        return self._websocket.close_code == BROKEN

    async def receive(self, timeout_s: float | None) -> str | bytes:
        """Return the next message; `timeout_s` of None waits without limit.

        Raises `TimeoutError` if there is no message in time, `ConnectionClosed` if the connection
        is closed or broken.
        """
        async with asyncio.timeout(timeout_s):
            return await self._websocket.recv()

    async def send(self, frame: str | bytes, timeout_s: float) -> None:
        """Send a message.

        Raises `TimeoutError` if the socket does not accept it in time, `ConnectionClosed` if the
        connection is closed or broken.
        """
        self.writing = True
        try:
            async with asyncio.timeout(timeout_s):
                await self._websocket.send(frame)
        finally:
            self.writing = False

    async def wait_closed(self) -> None:
        """Wait until the connection is closed or broken."""
        await self._websocket.wait_closed()

    async def close(self, closing: Closing) -> int:
        """Close the connection if it is open, and return the close code.

        The close code is that of `closing` if the connection was open; otherwise it is that of the
        client, or `BROKEN` if there was no close frame. The messages that come before the client's
        close frame are read and dropped. If that frame does not come within `CLOSE_TIMEOUT_S`, the
        connection is aborted.
        """
        websocket = self._websocket
        ours = websocket.state is State.OPEN
        closer = asyncio.create_task(websocket.close(closing.code, closing.reason))
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                while ours:
                    await websocket.recv()
                    await asyncio.sleep(0)
                # websockets has failed the connection, and `recv` may raise AssertionError: the
                # rest of a message with too many fragments is in its queue.
                await websocket.wait_closed()
        except ConnectionClosed:
            pass
        except TimeoutError:
            # The timeout of websockets begins only when the close frame was sent, and a socket
            # that accepts no data does not accept a close frame.
            websocket.transport.abort()
        await closer
        return closing.code if ours else websocket.close_code or BROKEN
