"""The stream of one client, between its protocol, the engine and its rooms.

One synchronous chain leads from what arrives to `engine.submit`; the engine's thread gives a
hypothesis to the event loop, and the same chain leads it to the client and the rooms. There is no
queue between, so a backlog shows in one place: the pending audio of the sessions. While there is
too much of it, the socket is not read, and TCP slows the client down.

`connection` carries a stream through a websocket, `tcp_connection` through TCP alone.
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
class Surroundings:
    """What all streams of a server share."""

    engine: Engine
    config: ServerConfig
    metrics: Metrics
    rooms: Rooms


class Stream(ABC):
    """Feeds a protocol, and passes on all that comes of it."""

    def __init__(
        self, protocol: SessionProtocol, session_id: str, surroundings: Surroundings
    ) -> None:
        self.protocol = protocol
        self.session_id = session_id
        self.engine = surroundings.engine
        self.config = surroundings.config
        self.metrics = surroundings.metrics
        self._participant = Participant(surroundings.rooms)
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
        """Take no more audio from the client, send its finals, then close so."""
        self._feed(self.protocol.finish, closing)

    @abstractmethod
    def cut(self, closing: Closing) -> None:
        """Close so at once, whatever is still to be transcribed or sent."""

    @abstractmethod
    def _pass_on(self) -> None:
        """Pass on what the protocol has to say, after it received something."""

    def _feed(self, receive: Callable[..., None], *args: object) -> None:
        """Let the protocol receive something, and pass on all that comes of it."""
        if self._over:
            return
        try:
            receive(*args)
            windows = self.protocol.windows_to_transcribe()
        except Exception:
            log.exception("the stream failed", extra=self._fields())
            self.protocol.fail("internal", "The server made a mistake; open a new stream.")
            windows = []
        for window in windows:
            self.engine.submit(window, self._deliver, self._live())
        self._participant.share(self.protocol)
        for session_id in self.protocol.forget_ended():
            self._participant.leave(session_id)
            self.engine.forget(session_id)
        self._pass_on()

    def _deliver(self, hypothesis: Hypothesis) -> None:
        """Called on the engine's thread."""
        self._loop.call_soon_threadsafe(self._feed, self.protocol.receive_hypothesis, hypothesis)

    def _live(self) -> bool:
        """Whether the audio comes at the pace of speech."""
        return True

    def _has_room(self) -> bool:
        """Whether to read on: not where the client is too far ahead of an engine that has work.

        Without that condition an utterance that waits for more audio would wait for ever.
        """
        if self.protocol.pending_s <= self.config.max_ahead_s or self.protocol.no_more_audio:
            return True
        return not any(self.engine.owes(opened.session.id) for opened in self.protocol.sessions)

    def _forget(self) -> None:
        """Nothing will come of this stream any more: leave its room, and drop its windows."""
        self._over = True
        self._participant.leave_all()
        for opened in self.protocol.sessions:
            self.engine.forget(opened.session.id)

    def _report(self, event: str, code: int, coalesced: int = 0) -> None:
        """Count the stream and log its end: the event, what it was, and why it is over."""
        counts, closing = self.protocol.counts, self.protocol.closing
        self.metrics.count_session(counts, coalesced, code)
        fields = self._fields(
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

    def _fields(self, **fields: object) -> dict[str, object]:
        """What a log record of this stream carries."""
        return {"session": self.session_id, **fields}
