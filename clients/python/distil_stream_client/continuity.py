"""Presents the streams of several servers, one after the other, as one stream of the application.

The state that outlives a connection consists of the audio and the requests that are not settled,
the settings in force, and the counts of samples, seconds, utterances and messages. The module does
not handle connections.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from distil_stream_client.events import Configured, Ended, Mark, Progress, Ready, ServerEvent
from distil_stream_client.policy import ANSWERED_EVERY_S
from distil_stream_client.timeline import Timeline
from distil_stream_client.unsettled import SAMPLE_BYTES, Message, Unsettled


class Continuity:
    """The state of a stream that survives a change of connection or of server.

    It takes the messages of both sides, and returns those to send to the server and to deliver to
    the application.
    """

    def __init__(self, settings: Mapping[str, Any], *, wanted: bool) -> None:
        """Start with nothing sent and nothing received.

        Args:
            settings: the fields of `start`.
            wanted: whether the stream shall continue after a lost connection. If not, sent audio is
                not stored, and events are delivered as they arrive.
        """
        encoding = settings.get("encoding", "pcm_s16le")
        self.possible = wanted and encoding in SAMPLE_BYTES
        """Whether the stream can continue after a lost connection. For a container it cannot,
        because the client cannot count its samples."""
        self.settings = dict(settings)
        """The settings with which a new stream is started on a server."""
        self.log = Unsettled(encoding, settings.get("channels") or 1, keeps=self.possible)
        self.rate = settings.get("sample_rate") or 16_000
        """Hertz."""
        self.timeline = Timeline(self.rate, settings.get("endpointing_ms") or 500)
        self._changed: set[str] = set()
        """Names of the settings in all `configure` messages so far."""
        self._received = 0
        """Samples that the server has reported as received."""
        self._delivered = 0

    # Messages to the server

    def add_message(self, message: Message) -> None:
        """Add a message, which is sent after the audio added so far."""
        if message["type"] == "configure":
            self._changed |= message.keys() - {"type"}
        self.log.add_message(message)

    def take(self, most_bytes: int) -> bytes | Message | None:
        """Return the next audio or message to send, and count it as sent; None if all was sent.

        Audio is at most `most_bytes` long.
        """
        item = self.log.take(most_bytes)
        if isinstance(item, dict) and item["type"] in ("finalize", "end"):
            self.timeline.cut_asked = True
        return item

    @property
    def end_asked(self) -> bool:
        """Whether the application has ended the audio of the stream."""
        return self.log.end_asked_at is not None

    @property
    def owes_answer(self) -> bool:
        """Whether the server has yet to answer a request, or to report progress of sent audio."""
        if not self.possible:
            return False
        unanswered = self.log.sent - self._received
        return unanswered > ANSWERED_EVERY_S * self.rate or self.log.awaits_answer

    # Events from the server

    def begin_anew(self, ready: Ready) -> list[ServerEvent]:
        """Continue with a new stream of a server, whose first message is `ready`.

        Returns the events to deliver.
        """
        if self.possible:
            self.timeline.begin_anew()
        told = self.receive(ready)
        self.log.begin_anew(self.timeline.known)
        return told

    def resume(self, ready: Ready) -> list[ServerEvent]:
        """Continue with the stream that the server still has; return the events to deliver."""
        told = self.receive(ready)
        self.log.resume_at(self._received)
        return told

    def receive(self, event: ServerEvent) -> list[ServerEvent]:
        """Take an event of the current server stream; return the events that can be delivered."""
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
        """Return the events that were held back, because no server will transcribe them again."""
        return self._numbered(self.timeline.release())

    def is_complete(self, ended: Ended) -> bool:
        """Return whether the server ended the stream after all audio and all requests.

        That is: after the application's `end`, with all audio received and all marks answered.
        """
        asked_at = self.log.end_asked_at
        received = self.timeline.base + ended.received
        complete = asked_at is not None and received >= asked_at and not self.log.awaits_mark
        return self.possible and complete

    def has_more(self, ended: Ended) -> bool:
        """Return whether there is audio that the server did not receive before this `ended`."""
        return self.log.end > self.timeline.base + ended.received

    def _note_settings(self, in_force: Mapping[str, Any]) -> None:
        """Store the changed settings that are in force, for the start of a new stream."""
        self.settings |= {name: in_force[name] for name in self._changed & in_force.keys()}
        self.timeline.endpointing_ms = in_force.get("endpointing_ms", self.timeline.endpointing_ms)

    def _numbered(self, events: Iterable[ServerEvent]) -> list[ServerEvent]:
        """Return the events with consecutive numbers, without repeated marks.

        A mark is repeated if two connections answered the same request. The number of an event is
        its place among all events of the application's stream.
        """
        numbered = []
        for event in events:
            if isinstance(event, Mark) and not self.log.answer(event.id):
                continue  # Two connections answered the same request.
            self._delivered += 1
            numbered.append(replace(event, seq=self._delivered))
        return numbered
