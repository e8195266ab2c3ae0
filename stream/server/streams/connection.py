"""A stream over a websocket, or over several websockets one after the other.

`states` defines the states of a connection and the events that change them. While messages are
exchanged, one task reads the socket (`receiver`) and one sends the messages of the outbox
(`sender`). Without a socket the stream continues: messages with the engine's results wait in the
outbox for the client.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from stream.protocols.close_codes import CloseCode
from stream.protocols.interface import Closing
from stream.protocols.session_protocol import SessionProtocol
from stream.server.streams.client_socket import BROKEN, ClientSocket
from stream.server.streams.receiver import Receiver
from stream.server.streams.sender import Sender
from stream.server.streams.states import (
    CONVERSING_STATES,
    RELEASED_STATES,
    SOCKETLESS_STATES,
    Event,
    State,
    next_state,
)
from stream.server.streams.stream import Stream, StreamContext

log = logging.getLogger(__name__)

GONE = Closing(CloseCode.GOING_AWAY, "the client is gone")
FAULT = Closing(CloseCode.INTERNAL, "internal")
TOO_SLOW = Closing(CloseCode.OVERLOADED, "the client reads too slowly")


class Connection(Stream):
    """Serves one client from its first message until its stream has ended.

    `open`, `resume` and `refuse` serve the client over a socket and return when the stream is in
    one of three states: ENDED, PARKED, or ASKING, in which the socket is still open.
    """

    def __init__(self, protocol: SessionProtocol, session_id: str, context: StreamContext) -> None:
        super().__init__(protocol, session_id, context)
        self.state = State.NEW
        idle_s = min(protocol.idle_s or self.config.idle_s, self.config.idle_s)
        self.receiver = Receiver(protocol, self._feed, self._note_intent, idle_s)
        self.sender = Sender(protocol, self.metrics, stalled_s=self.config.idle_s)
        self._cut_with: Closing | None = None
        self._on_begin: Callable[[], None]
        self._socket: ClientSocket
        """The current socket, or the last one; set by `open`."""
        self._stopped: asyncio.Future[None]
        """Done as soon as an event has ended the exchange of messages over the socket."""
        self._socketless = asyncio.Event()
        self._progress = asyncio.Event()
        """Set when the protocol has received something or the exchange of messages has ended."""

    # Events from outside

    async def open(self, socket: ClientSocket, on_begin: Callable[[], None]) -> None:
        """Serve a new client; `on_begin` is called if it begins a stream, not if it resumes one."""
        self._attach(Event.OPEN, socket, on_begin)
        await self._serve()

    async def refuse(self, code: str, message: str) -> None:
        """Send the error that the stream which the client wants to resume is refused, and close."""
        self._receive_event(Event.REFUSE)
        self.protocol.fail(code, message)
        await self._serve()

    def grant(self) -> None:
        """End this stream, because the stream that the client resumes takes over the socket."""
        self._receive_event(Event.GRANT)

    async def resume(
        self, socket: ClientSocket, on_begin: Callable[[], None], missed: Sequence[str | bytes]
    ) -> None:
        """Serve a client that resumes this stream over a new socket.

        Args:
            socket: the new socket.
            on_begin: called when the stream is in use again.
            missed: frames that the client did not get; they are sent first.
        """
        self._feed(self.protocol.receive_load, self.context.load())
        self._attach(Event.RESUME, socket, on_begin)
        self._feed(self.protocol.receive_return)
        await self._serve(missed)

    async def replace_socket(self) -> None:
        """Detach the current socket, which may be half open, so that another can replace it.

        Returns when the stream is parked or has ended.
        """
        self._receive_event(Event.REPLACE)
        await self._socketless.wait()

    def cut(self, closing: Closing) -> None:
        """Close the stream at once; unsent messages and pending windows are dropped."""
        self._cut(Event.CUT, closing)

    def abandon(self) -> None:
        """End the stream if a fault, or the end of the event loop, has left it with a socket."""
        if self.state is not State.NEW and self.state not in SOCKETLESS_STATES:
            self.cut(FAULT)
            self._end(Event.CLOSED, FAULT.code)

    def give_up(self) -> None:
        """End a parked stream.

        If its room still waits for finals, the stream does not end yet, and the caller must call
        `finish_for_room`.
        """
        if self._owes_finals:
            self._receive_event(Event.LEAVE)
        else:
            self.give_up_at_once()

    def give_up_at_once(self) -> None:
        """End a parked stream, even if its room still waits for finals."""
        self._end(Event.END, BROKEN)

    async def finish_for_room(self) -> None:
        """Transcribe the rest for the room, for at most `drain_s`, and end the stream."""
        try:
            await self._finish_for_room()
        finally:
            if self.state is State.FINISHING:
                self._receive_event(Event.END)
            self._end(Event.CLOSED, BROKEN)

    # The state

    def _receive_event(self, event: Event) -> None:
        """Change to the state to which an event leads, and do what it requires.

        Raises `IllegalTransitionError` for an event that is not allowed, which is a bug.
        """
        before, self.state = self.state, next_state(self.state, event)
        if self.state is before:
            return
        if self.state is State.SERVING:
            self._on_begin()
        if self.state in RELEASED_STATES and before not in RELEASED_STATES:
            self._release()
        if self.state in SOCKETLESS_STATES:
            self._socketless.set()
        if self.state not in CONVERSING_STATES:
            self._progress.set()
            if not self._stopped.done():
                self._stopped.set_result(None)

    def _attach(self, event: Event, socket: ClientSocket, on_begin: Callable[[], None]) -> None:
        self._socket, self._on_begin = socket, on_begin
        self._receive_event(event)
        fields = self._log_fields(peer=socket.peer)
        verb = "opened" if event is Event.OPEN else "resumed"
        log.info("%s from %s", verb, socket.peer, extra=fields)

    def _cut(self, event: Event, closing: Closing) -> None:
        self._receive_event(event)
        if self.state is State.ENDING and self._cut_with is None:
            self._cut_with = closing

    def _end(self, event: Event, code: int) -> None:
        """End the stream: count and log it with the close code of its last socket."""
        self._receive_event(event)
        self._report("closed", code, self.sender.outbox.coalesced)

    # The exchange of messages over one socket

    async def _serve(self, missed: Sequence[str | bytes] = ()) -> None:
        self._socketless.clear()
        self._stopped = self._loop.create_future()
        self._feed(lambda: None)  # the protocol may have refused the query string
        await self._converse(missed)
        await self._conclude()

    async def _converse(self, missed: Sequence[str | bytes]) -> None:
        """Exchange messages until an event or one of the tasks ends the conversation."""
        receiving = asyncio.create_task(self.receiver.receive_until(self._stopped, self._socket))
        tasks: list[asyncio.Task[None]] = [
            receiving,
            asyncio.create_task(self._send(missed)),
            asyncio.create_task(self._socket.wait_closed()),
        ]
        try:
            await first_of(*tasks, self._stopped)
            if self.state is State.SERVING and self._owes_finals and not self._may_come_back:
                self._receive_event(Event.LEAVE)
                await self._finish_for_room(receiving)
        finally:
            for task in tasks:
                task.cancel()
            for outcome in await asyncio.gather(*tasks, return_exceptions=True):
                if isinstance(outcome, Exception):
                    log.error("the connection failed", exc_info=outcome, extra=self._log_fields())

    async def _conclude(self) -> None:
        """Change to ENDED or PARKED after the tasks have stopped; ASKING may also remain."""
        if self.state is State.REPLACING:
            self._receive_event(Event.DETACH)
            return
        if self.state in CONVERSING_STATES or (self.state is State.ASKING and self._closing):
            self._receive_event(self._event_of_stopping())
        if self.state in (State.CLOSING, State.ENDING):
            closing = self.protocol.close_frame(self._closing or FAULT)
            code = await self._socket.close(closing)
            if self.state is State.CLOSING and self._socket.broken:
                self._receive_event(Event.LOSE)
            else:
                self._end(Event.CLOSED, code)
        if self.state is State.PARKED:
            log.info("lost its connection", extra=self._log_fields())

    def _event_of_stopping(self) -> Event:
        """Return the event that applies if the tasks have stopped without one."""
        if self.state is not State.SERVING or not self.protocol.resumable:
            return Event.END
        return Event.LOSE if self._socket.broken else Event.STOP

    @property
    def _closing(self) -> Closing | None:
        """Close code and reason for the socket; None if they are not known yet."""
        return self._cut_with or self.protocol.closing

    @property
    def _may_come_back(self) -> bool:
        """Whether the socket broke, and the client has the token to resume the stream."""
        return self.protocol.resumable and self._socket.broken

    @property
    def _owes_finals(self) -> bool:
        """Whether the readers of a room still wait for finals of this stream."""
        return self.protocol.sessions.in_room and self.protocol.closing is None

    async def _finish_for_room(self, receiving: asyncio.Future[Any] | None = None) -> None:
        """End the audio of a client that does not return, and wait for its finals.

        It takes at most `drain_s`. `receiving` is the task that may still be processing the last
        frame of the client.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(self.config.drain_s):
                if receiving:
                    await first_of(receiving, self._stopped)
                self.finish(GONE)
                while self.protocol.closing is None and self.state is State.FINISHING:
                    self._progress.clear()
                    await self._progress.wait()

    # Input and output

    def _note_intent(self) -> None:
        """Emit the event for what the last message shows: the client begins or resumes a stream."""
        if self.protocol.resumption and self.state in (State.OPENED, State.SERVING):
            self._receive_event(Event.ASK)
        elif self.state is State.OPENED:
            self._receive_event(Event.BEGIN)

    def _is_live(self) -> bool:
        return self.receiver.live

    def _handle_output(self) -> None:
        self.sender.collect()
        # A single message of the client can produce more messages than the limit. The client is too
        # slow only if it also does not read the message that is being sent.
        if self.sender.outbox.overflowing and self._socket.writing:
            self._cut(Event.STALL, TOO_SLOW)
        self._progress.set()
        self.receiver.allow(self._may_read())

    async def _send(self, missed: Sequence[str | bytes]) -> None:
        """Send all messages; close the stream if the socket accepts no data for too long."""
        try:
            await self.sender.send_until_closing(self._socket, missed)
        except TimeoutError:
            self._cut(Event.STALL, TOO_SLOW)


async def first_of(*futures: asyncio.Future[None]) -> None:
    """Wait until one of the futures is done."""
    await asyncio.wait(futures, return_when=asyncio.FIRST_COMPLETED)
