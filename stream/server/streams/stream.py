"""One client's stream between its protocol, the engine and its rooms.

One synchronous chain of calls leads from a received message to `engine.submit`. The engine's thread
hands each hypothesis to the event loop, where the same chain leads to the outbox and to the rooms.
There is no queue between, so a backlog shows in one place only: the pending audio of its sessions.
While that is too long, the stream's socket is not read, and TCP slows the client down.

How audio arrives and where messages go is left to `connection` (websockets) and `tcp_connection`
(TCP alone).
"""

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

from stream.config import ServerConfig
from stream.core.load import Load
from stream.core.windows import Hypothesis
from stream.engine.engine import Engine
from stream.protocols.interface import Closing
from stream.protocols.session_protocol import SessionProtocol
from stream.server.metrics import Metrics
from stream.server.rooms.rooms import Participant, Rooms

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class StreamContext:
    """What all streams of a server share."""

    engine: Engine
    config: ServerConfig
    metrics: Metrics
    rooms: Rooms
    load: Callable[[], Load]
    """Returns what the server leaves out now because it is busy."""


class Stream(ABC):
    """Feeds a protocol, and passes on the windows, captions and messages that result."""

    def __init__(self, protocol: SessionProtocol, session_id: str, context: StreamContext) -> None:
        self.protocol = protocol
        self.session_id = session_id
        self.context = context
        self.engine = context.engine
        self.config = context.config
        self.metrics = context.metrics
        self._participant = Participant(context.rooms)
        self._loop = asyncio.get_running_loop()
        self._over = False

    @property
    def over(self) -> bool:
        """Whether nothing will come of this stream any more."""
        return self._over

    def receive_load(self, load: Load) -> None:
        """Take note of what the server leaves out because it is busy."""
        self._feed(self.protocol.receive_load, load)

    def finish(self, closing: Closing) -> None:
        """Take no more audio from the client, send its finals, then close in this way."""
        self._feed(self.protocol.finish, closing)

    @abstractmethod
    def cut(self, closing: Closing) -> None:
        """Close at once, whatever waits to be transcribed or sent."""

    @abstractmethod
    def _handle_output(self) -> None:
        """Take the messages of the protocol, after it received something."""

    def _feed(self, receive: Callable[..., None], *args: object) -> None:
        """Let the protocol receive something, and pass on all that results."""
        if self._over:
            return
        try:
            receive(*args)
            windows = self.protocol.windows_to_transcribe()
        except Exception:
            log.exception("the stream failed", extra=self._log_fields())
            self.protocol.fail("internal", "The server failed; open a new stream.")
            windows = []
        for window in windows:
            self.engine.submit(window, self._deliver, self._is_live())
        self._participant.share(self.protocol)
        for session_id in self.protocol.forget_ended():
            self._participant.leave(session_id)
            self.engine.forget(session_id)
        self._handle_output()

    def _deliver(self, hypothesis: Hypothesis) -> None:
        """Hand a hypothesis to the event loop; called on the engine's thread."""
        self._loop.call_soon_threadsafe(self._feed, self.protocol.receive_hypothesis, hypothesis)

    def _is_live(self) -> bool:
        """Return whether the audio arrives at the pace of speech."""
        return True

    def _may_read(self) -> bool:
        """Return whether more audio may be read from the client.

        It may not if the client is too far ahead of an engine that owes this stream a hypothesis.
        Without the second condition an utterance that waits for more audio would wait for ever.
        """
        if self.protocol.pending_s <= self.config.max_ahead_s or self.protocol.no_more_audio:
            return True
        return not any(self.engine.owes(opened.session.id) for opened in self.protocol.sessions)

    def _release(self) -> None:
        """Leave all rooms and drop the stream's windows: nothing will come of it any more."""
        self._over = True
        self._participant.leave_all()
        for opened in self.protocol.sessions:
            self.engine.forget(opened.session.id)

    def _report(self, event: str, code: int, coalesced: int = 0) -> None:
        """Count the stream and log its end.

        Args:
            event: what happened, the first words of the log line.
            code: the close code.
            coalesced: how many messages were replaced by newer ones before they were sent.
        """
        counts, closing = self.protocol.counts, self.protocol.closing
        self.metrics.count_session(counts, coalesced, code)
        fields = self._log_fields(
            close_code=int(code),
            audio_s=round(counts.audio_s, 1),
            filled_s=round(counts.filled_s, 2),
            late_s=round(counts.late_s, 2),
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
        return {"session": self.session_id, **fields}
