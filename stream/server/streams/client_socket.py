"""A client's websocket, with limits on how long its client can delay the server."""

import asyncio
import socket

from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed
from websockets.protocol import State

from stream.protocols.interface import Closing

SEND_BUFFER_BYTES = 64 * 1024
"""Size of the kernel's send buffer: a partial that waits there cannot be replaced by a newer one
any more."""

CLOSE_TIMEOUT_S = 2.0
"""How long a client has to answer a close frame before its TCP connection is cut."""

BROKEN = 1006
"""The code that stands for a connection which went without a close frame (RFC 6455, 7.1.5)."""


class ClientSocket:
    """Receives, sends and closes."""

    def __init__(self, websocket: ServerConnection) -> None:
        self._websocket = websocket
        self.writing = False
        """Whether a message is being sent; it stays so while the client does not read."""
        transport_socket = websocket.transport.get_extra_info("socket")
        transport_socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)

    @property
    def peer(self) -> str:
        """The client's address."""
        return str((self._websocket.remote_address or ("a local socket",))[0])

    @property
    def broken(self) -> bool:
        """Whether the connection went without a close frame."""
        return self._websocket.close_code == BROKEN

    async def receive(self, timeout_s: float | None) -> str | bytes:
        """Return the next message; `TimeoutError` if there is none in time.

        Raises `ConnectionClosed` if the connection is closed or broken, as `send` does.
        """
        async with asyncio.timeout(timeout_s):
            return await self._websocket.recv()

    async def send(self, frame: str | bytes, timeout_s: float) -> None:
        """Send a message; `TimeoutError` if the socket takes nothing for so long."""
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
        """Close the connection if it is open, and return its close code.

        Reads on meanwhile: the client's own close frame may be behind its audio.
        """
        websocket = self._websocket
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
            # The timeout of websockets begins when the close frame has left, and a socket that
            # takes nothing does not even take that.
            websocket.transport.abort()
        await closer
        return closing.code if ours else websocket.close_code or BROKEN
