"""One client's stream between its protocol, the engine and its rooms.

One synchronous chain of calls leads from a received message to `engine.submit`. A thread of the
engine passes each hypothesis to the event loop, where the same chain leads to the outbox and to the
rooms. There is no queue in between, so a backlog has only one measure: the pending audio of the
sessions. While that is too long, the socket of the stream is not read, and TCP slows the client
down.

The subclasses receive audio and send messages: `connection` over websockets, `tcp_connection` over
plain TCP.
"""

import asyncio
import logging
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import ExitStack, aclosing
from dataclasses import dataclass

from stream.config import ServerConfig
from stream.core.load import Load
from stream.core.windows import Hypothesis
from stream.engine.engine import Engine
from stream.media.remote import ContainerDecoder
from stream.protocols.interface import Closing
from stream.protocols.session_protocol import SessionProtocol
from stream.server.metrics import Metrics
from stream.server.rooms.rooms import Participant, Rooms
from stream.server.streams.backpressure import in_pace
from stream.server.visitors import Visitor

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class StreamContext:
    """The objects that all streams of a server share, and the client of this one."""

    engine: Engine
    config: ServerConfig
    metrics: Metrics
    rooms: Rooms
    load: Callable[[], Load]
    """Returns the current load of the server."""
    visitor: Visitor
    """The client, with its rights."""


class Stream(ABC):
    """Passes input to a protocol, and the resulting windows, captions and messages on."""

    def __init__(self, protocol: SessionProtocol, session_id: str, context: StreamContext) -> None:
        protocol.stepwise = True
        self.protocol = protocol
        self.session_id = session_id
        self.context = context
        self.engine = context.engine
        self.config = context.config
        self.metrics = context.metrics
        self.visitor = context.visitor
        self._participant = Participant(context.rooms)
        self.begun = False
        """Whether its client has begun it; otherwise it may only ask to resume another one."""
        self._counted_audio_s = 0.0
        self._loop = asyncio.get_running_loop()
        self._over = False
        self._step_due = False
        """Whether `_take_step` will be called."""
        self._decoding: set[asyncio.Task[None]] = set()
        """Tasks that pass what decoders return to the protocol."""
        self._in_pace = asyncio.Event()
        """Set while the engine is not too far behind this stream."""
        self._in_pace.set()

    @property
    def over(self) -> bool:
        """Whether the stream has been released; input to it has no effect any more."""
        return self._over

    def receive_load(self, load: Load) -> None:
        """Pass the new load of the server to the protocol."""
        self._feed(self.protocol.receive_load, load)

    def finish(self, closing: Closing) -> None:
        """End the audio of the client, send its finals, then close with `closing`."""
        self._feed(self.protocol.finish, closing)

    def fail(self, code: str, sentence: str) -> None:
        """Take no more audio, send the finals of the audio so far and a fatal error, and close."""
        self._feed(self.protocol.fail, code, sentence)

    @abstractmethod
    def cut(self, closing: Closing) -> None:
        """Close the stream at once; unsent messages and pending windows are dropped."""

    @abstractmethod
    def _handle_output(self) -> None:
        """Queue the new messages of the protocol; called after each input to it."""

    def _feed(self, receive: Callable[..., None], *args: object) -> None:
        """Call a method of the protocol, and pass on the windows, captions and messages.

        Does nothing if the stream is over. An unexpected exception fails the stream.
        """
        if self._over:
            return
        try:
            receive(*args)
            self._count_audio()
            windows = self.protocol.windows_to_transcribe()
        except Exception:
            log.exception("the stream failed", extra=self._log_fields())
            self.protocol.fail("internal", "The server failed; open a new stream.")
            windows = []
        for window in windows:
            self.engine.submit(window, self._deliver, self._is_live())
        self._start_decoding()
        for note in self.protocol.notes_to_log():
            log.info("%s", note, extra=self._log_fields())
        for room in self._participant.share(self.protocol):
            self.visitor.note("join_room", room=room, session=self.session_id)
        for session_id in self.protocol.forget_ended():
            self._participant.leave(session_id)
            self.engine.forget(session_id)
        if in_pace(self.protocol, self.engine, self.config.max_ahead_s):
            self._in_pace.set()
        else:
            self._in_pace.clear()
        if self.protocol.has_steps and self._in_pace.is_set() and not self._step_due:
            self._step_due = True
            self._loop.call_soon(self._take_step)  # other streams are served in between
        self._handle_output()

    def _take_step(self) -> None:
        self._step_due = False
        self._feed(self.protocol.take_step)

    def _start_decoding(self) -> None:
        """Start a task for each new session whose audio is decoded in a process of its own."""
        for opened in self.protocol.sessions:
            decoder = opened.session.decoder
            if isinstance(decoder, ContainerDecoder) and not decoder.started:
                decoder.started = True
                task = self._loop.create_task(self._decode(opened.session.id, decoder))
                self._decoding.add(task)
                task.add_done_callback(self._decoding.discard)

    async def _decode(self, session_id: str, decoder: ContainerDecoder) -> None:
        """Pass decoded audio to a session, piece by piece, no faster than the engine."""
        async with aclosing(decoder.sounds()) as pieces:
            async for sounds in pieces:
                receive = self.protocol.receive_sounds
                self._feed(receive, session_id, sounds, time.monotonic())
                await asyncio.sleep(0)
                await self._in_pace.wait()

    def _count_audio(self) -> None:
        """Count new audio for the limit of the key, and end the stream if it is used up."""
        audio_s = self.protocol.counts.audio_s - self._counted_audio_s
        self._counted_audio_s += audio_s
        if sentence := self.visitor.why_no_more_audio(audio_s):
            self.protocol.fail("over_limit", sentence)

    def _deliver(self, hypothesis: Hypothesis) -> None:
        """Pass a hypothesis to the event loop; called on a thread of the engine."""
        self._loop.call_soon_threadsafe(self._feed, self.protocol.receive_hypothesis, hypothesis)

    def _is_live(self) -> bool:
        """Return whether the audio arrives at the pace of speech."""
        return True

    def _may_read(self) -> bool:
        """Return whether more audio may be read from the client."""
        return self.protocol.no_more_audio or (
            self._in_pace.is_set()
            and not self.protocol.has_steps
            and not self.protocol.sessions.decoding
        )

    def _release(self) -> None:
        """Leave all rooms, drop the windows of the stream, and mark it as over."""
        self._over = True
        with ExitStack() as steps:  # each is done, whatever another one raises
            for opened in self.protocol.sessions:
                steps.callback(self.engine.forget, opened.session.id)
                steps.callback(self._participant.leave, opened.session.id)
            for task in self._decoding:
                steps.callback(task.cancel)

    def _report(self, event: str, code: int, coalesced: int = 0) -> None:
        """Count the stream and log its end.

        Args:
            event: first words of the log line.
            code: close code of the stream.
            coalesced: number of messages that were replaced by newer ones before they were sent.
        """
        counts, closing = self.protocol.counts, self.protocol.closing
        self.metrics.count_session(counts, coalesced, code)
        audio_s = round(counts.audio_s, 1)
        self.visitor.note("end_stream", session=self.session_id, audio_s=audio_s)
        fields = self._log_fields(
            close_code=int(code),
            audio_s=round(counts.audio_s, 1),
            filled_s=round(counts.filled_s, 2),
            late_s=round(counts.late_s, 2),
            skipped=counts.skipped,
            finals=counts.finals,
            partials=counts.partials,
            errors=counts.errors,
        )
        why = f"; {closing.reason}" if closing and closing.reason else ""
        log.info(
            "%s (%d): %.1f s of audio, %d finals%s",
            event, code, counts.audio_s, counts.finals, why, extra=fields,
        )  # fmt: skip

    def _log_fields(self, **fields: object) -> dict[str, object]:
        """Return the fields of a log record of this stream."""
        named = {"key": self.visitor.name} if self.visitor.name else {}
        return {"session": self.session_id, **named, **fields}
