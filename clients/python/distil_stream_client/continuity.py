"""One stream as the application sees it, over the streams of several servers.

Holds what outlives a connection: the audio and the requests that are not settled, the settings in
force, and the counts of samples, seconds, utterances and messages. Knows nothing of connections.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from distil_stream_client.events import Configured, Ended, Mark, Progress, Ready, ServerEvent
from distil_stream_client.policy import ANSWERED_EVERY_S
from distil_stream_client.timeline import Timeline
from distil_stream_client.unsettled import SAMPLE_BYTES, Message, Unsettled


class Continuity:
    """Takes what goes out and what comes in; returns what is to be sent, and what is told."""

    def __init__(self, settings: Mapping[str, Any], *, wanted: bool) -> None:
        """Begin with nothing sent and nothing told.

        Args:
            settings: the fields of `start`.
            wanted: whether the stream is to go on if its connection is lost. If not, nothing is
                kept, and events are told as they come.
        """
        encoding = settings.get("encoding", "pcm_s16le")
        self.possible = wanted and encoding in SAMPLE_BYTES
        """Whether the stream can go on: the samples of a container cannot be counted here."""
        self.settings = dict(settings)
        """Those with which a new stream begins."""
        self.log = Unsettled(encoding, settings.get("channels") or 1, keeps=self.possible)
        self.rate = settings.get("sample_rate") or 16_000
        """Hertz."""
        self.timeline = Timeline(self.rate, settings.get("endpointing_ms") or 500)
        self._changed: set[str] = set()
        """The settings that `configure` was asked to change."""
        self._received = 0
        """Samples that the server is known to have received."""
        self._told = 0

    # What goes out

    def add_message(self, message: Message) -> None:
        """Add a message, which is sent behind the audio so far."""
        if message["type"] == "configure":
            self._changed |= message.keys() - {"type"}
        self.log.add_message(message)

    def take(self, most_bytes: int) -> bytes | Message | None:
        """Return what is to be sent next, and count it as sent; None if everything was."""
        item = self.log.take(most_bytes)
        if isinstance(item, dict) and item["type"] in ("finalize", "end"):
            self.timeline.cut_asked = True
        return item

    @property
    def end_asked(self) -> bool:
        """Whether the application has asked for the end of the stream."""
        return self.log.end_asked_at is not None

    @property
    def owes_answer(self) -> bool:
        """Whether the server has been sent something that it has not answered."""
        if not self.possible:
            return False
        unanswered = self.log.sent - self._received
        return unanswered > ANSWERED_EVERY_S * self.rate or self.log.awaits_answer

    # What comes in

    def begin_anew(self, ready: Ready) -> list[ServerEvent]:
        """Go on with a new stream of a server, whose first message is `ready`."""
        if self.possible:
            self.timeline.begin_anew()
        told = self.receive(ready)
        self.log.begin_anew(self.timeline.known)
        return told

    def resume(self, ready: Ready) -> list[ServerEvent]:
        """Go on with the stream that the server has kept."""
        told = self.receive(ready)
        self.log.resume_at(self._received)
        return told

    def receive(self, event: ServerEvent) -> list[ServerEvent]:
        """Take an event of the server's stream of now; return those that may be told."""
        if not self.possible:
            return [event]
        if isinstance(event, Ready | Progress):
            self._received = self.timeline.base + event.received
        if isinstance(event, Configured):
            self._note_settings(event.settings)
        told = self._numbered(self.timeline.receive(event))
        self.log.settle(self.timeline.settled)
        return told

    def release(self) -> list[ServerEvent]:
        """Return the events that were held back: no other server will be asked for them."""
        return self._numbered(self.timeline.release())

    def is_complete(self, ended: Ended) -> bool:
        """Return whether this `ended` answers everything that the application has asked."""
        asked_at = self.log.end_asked_at
        received = self.timeline.base + ended.received
        complete = asked_at is not None and received >= asked_at and not self.log.awaits_mark
        return self.possible and complete

    def has_more(self, ended: Ended) -> bool:
        """Return whether there is audio that the server had not received when it ended."""
        return self.log.end > self.timeline.base + ended.received

    def _note_settings(self, in_force: Mapping[str, Any]) -> None:
        """Note what the server has accepted of the changes: a new stream begins with it."""
        self.settings |= {name: in_force[name] for name in self._changed & in_force.keys()}
        self.timeline.endpointing_ms = in_force.get("endpointing_ms", self.timeline.endpointing_ms)

    def _numbered(self, events: Iterable[ServerEvent]) -> list[ServerEvent]:
        """Return events numbered consecutively, without answers to what was answered before."""
        numbered = []
        for event in events:
            if isinstance(event, Mark) and not self.log.answer(event.id):
                continue  # The server received the request twice, before a connection broke, too.
            self._told += 1
            numbered.append(replace(event, seq=self._told))
        return numbered
