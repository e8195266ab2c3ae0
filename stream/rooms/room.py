"""A room: the captions of several streams, as one conversation.

Theory of operation. A stream takes a seat, with a label for each of its channels, and hands over
the events of its session; the seat says when they were on the room's clock, so that the utterances
of all streams interleave by time. Receiving returns the messages that every reader is to be sent; a
reader who comes late is sent a snapshot. The room reads no clock: it is told the time, in seconds
since 1970.
"""

from bisect import insort
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from stream.core import events
from stream.core.windows import Word
from stream.rooms.messages import Final, Key, Live, Message, Partial, Snapshot
from stream.rooms.seat import Seat

Utterance = tuple[int, int, int]
"""Seat, channel, and number of an utterance of it."""


@dataclass(slots=True)
class Room:
    """What is said in one place; `finals` holds it in the order of starting."""

    name: str
    opened_at: float
    """Seconds since 1970."""
    about: dict[str, str] = field(default_factory=dict)
    finals: list[Final] = field(default_factory=list)
    _settled_s: float = 0.0
    _seats: dict[int, Seat] = field(default_factory=dict)
    _seats_taken: int = 0
    _partials: dict[Utterance, Partial] = field(default_factory=dict)
    _lines: dict[Utterance, int] = field(default_factory=dict)
    """The numbers of the lines of streams that are present."""
    _last_line: int = 0

    @classmethod
    def reopened(
        cls, name: str, opened_at: float, about: dict[str, str], finals: Sequence[Final]
    ) -> "Room":
        """A room of before: who speaks in it now speaks after what was said."""
        last_line = max((final.line for final in finals), default=0)
        settled_s = max((final.end for final in finals), default=0.0)
        return cls(name, opened_at, about, list(finals), settled_s, _last_line=last_line)

    def settled_s(self, now: float) -> float:
        """Seconds from the opening: no line that begins before will come any more."""
        if self._seats:
            earliest = min(seat.settled_s(now - self.opened_at) for seat in self._seats.values())
            self._settled_s = max(self._settled_s, earliest)
        return self._settled_s

    @property
    def live(self) -> bool:
        """Whether any stream is open."""
        return bool(self._seats)

    @property
    def speakers(self) -> tuple[str, ...]:
        """The labels of all who may speak, each once."""
        labels = (label for seat in self._seats.values() for label in seat.speakers)
        return tuple(dict.fromkeys(labels))

    def snapshot(self) -> Snapshot:
        """The room as it stands."""
        partials = sorted(self._partials.values(), key=lambda partial: partial.start)
        return Snapshot(
            room=self.name,
            opened_at=self.opened_at,
            live=self.live,
            speakers=self.speakers,
            finals=tuple(self.finals),
            partials=tuple(partials),
        )

    def take_seat(
        self, speakers: Sequence[str], channels: int, sample_rate: int, now: float
    ) -> tuple[int, list[Message]]:
        """Let a stream in; returns the number of its seat. Labels that it lacks are made up."""
        self._seats_taken += 1
        named = tuple(speakers[:channels])
        first = sum(len(seat.speakers) for seat in self._seats.values()) + 1
        made_up = (f"Speaker {first + i}" for i in range(len(named), channels))
        now_s = max(now - self.opened_at, 0.0)
        self._seats[self._seats_taken] = Seat((*named, *made_up), sample_rate, now_s)
        return self._seats_taken, [self._presence()]

    def leave(self, number: int, now: float) -> list[Message]:
        """A stream is gone. What it had not finished stays as it was heard last."""
        self._settled_s = self.settled_s(now)
        del self._seats[number]
        messages: list[Message] = []
        for key in [key for key in self._partials if key[0] == number]:
            left = self._partials[key]
            text = left.committed + left.tentative
            messages += self._finish(key, left.speaker, left.start, left.end, text)
        self._lines = {key: line for key, line in self._lines.items() if key[0] != number}
        if not self._seats:
            self._settled_s = max(self._settled_s, now - self.opened_at)
        return [*messages, self._presence()]

    def receive(
        self, number: int, event: events.Event | events.KeyPressed, now: float
    ) -> list[Message]:
        """Take what a stream has to say."""
        seat = self._seats[number]
        match event:
            case events.Partial():
                return [self._partial(number, seat, event)]
            case events.Final():
                key = (number, event.channel, event.utterance)
                start, end = seat.time_of(event.start_sample), seat.time_of(event.end_sample)
                text = spelled(event.words).strip()
                return self._finish(key, seat.speakers[event.channel], start, end, text)
            case events.Progress(received=received, settled=settled):
                seat.receive_progress(received, settled, now - self.opened_at)
            case events.KeyPressed(channel=channel, key=name, sample=sample):
                speaker = seat.speakers[channel]
                return [Key(speaker=speaker, time=seat.time_of(sample), key=name)]
        return []

    def _partial(self, number: int, seat: Seat, event: events.Partial) -> Partial:
        key = (number, event.channel, event.utterance)
        committed = spelled(event.committed).lstrip()
        tentative = spelled(event.tentative)
        partial = Partial(
            line=self._line(key),
            speaker=seat.speakers[event.channel],
            start=seat.time_of(event.start_sample),
            end=seat.time_of(event.end_sample),
            committed=committed,
            tentative=tentative if committed else tentative.lstrip(),
        )
        self._partials[key] = partial
        return partial

    def _finish(
        self, key: Utterance, speaker: str, start: float, end: float, text: str
    ) -> list[Message]:
        """Keep a line, unless nothing was said; readers of its partials are told in any case."""
        was_shown = self._partials.pop(key, None) is not None
        if not text and not was_shown:
            return []
        final = Final(line=self._line(key), speaker=speaker, start=start, end=end, text=text)
        del self._lines[key]
        if text:
            insort(self.finals, final, key=lambda line: (line.start, line.line))
        return [final]

    def _line(self, key: Utterance) -> int:
        """The number of a line, given when it is first heard of."""
        if key not in self._lines:
            self._last_line += 1
            self._lines[key] = self._last_line
        return self._lines[key]

    def _presence(self) -> Live:
        return Live(live=self.live, speakers=self.speakers)


def nothing_yet(name: str) -> Snapshot:
    """What there is to read of a room that nobody has opened."""
    return Snapshot(room=name, opened_at=None, live=False, speakers=(), finals=(), partials=())


def spelled(words: Iterable[Word]) -> str:
    """The words as the model spaced them."""
    return "".join(word.text for word in words)
