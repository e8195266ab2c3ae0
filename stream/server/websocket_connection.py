"""A websocket of the library websockets, with limits on control frames."""

import asyncio
from collections.abc import Callable
from typing import Any, cast

from websockets.asyncio.server import ServerConnection
from websockets.frames import Frame, Opcode
from websockets.protocol import Event

CONTROL_BURST = 200
"""Pings and pongs that a client may send at once."""

CONTROL_PER_S = 20.0
"""Pings and pongs that it may send in each further second; usual are one in 20 seconds."""

UNREAD_PONG_BYTES = 32 * 1024
"""Bytes of pongs that may wait in the send buffer of a client that does not read."""

PONG_BYTES = 2 + 125
"""Longest pong."""


class WebsocketConnection(ServerConnection):
    """Aborts the connection of a client that sends too many control frames, or reads no pongs."""

    def __init__(self, *args: Any, on_leave: Callable[[str], None], **options: Any) -> None:
        """Take the arguments of `ServerConnection`; `on_leave` with the address
        when it is closed."""
        super().__init__(*args, **options)
        self._on_leave = on_leave
        self._allowed = float(CONTROL_BURST)
        self._counted_at = self.loop.time()
        self._pong_bytes = 0

    def process_event(self, event: Event) -> None:
        """Count control frames."""
        super().process_event(event)
        if isinstance(event, Frame) and event.opcode in (Opcode.PING, Opcode.PONG):
            self._count_control_frame(event)

    def connection_lost(self, exc: Exception | None) -> None:
        """Report the end of the connection."""
        super().connection_lost(exc)
        self._on_leave(str((self.transport.get_extra_info("peername") or ("",))[0]))

    def _count_control_frame(self, frame: Frame) -> None:
        now = self.loop.time()
        self._allowed += (now - self._counted_at) * CONTROL_PER_S - 1
        self._allowed = min(self._allowed, CONTROL_BURST)
        self._counted_at = now
        if frame.opcode is Opcode.PING:
            # uvloop's transports are no subclasses of asyncio's.
            transport = cast("asyncio.WriteTransport", self.transport)
            waiting = transport.get_write_buffer_size() > 0
            self._pong_bytes = (self._pong_bytes if waiting else 0) + PONG_BYTES
        if self._allowed < 0 or self._pong_bytes > UNREAD_PONG_BYTES:
            self.transport.abort()
