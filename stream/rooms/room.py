"""A room: the captions of several streams, as one conversation.

Theory of operation. A stream takes a seat, with a label for each of its channels, and hands over
the events of its session. Its clock is the count of its own samples; the room puts it where the
stream came in, so that the utterances of all streams interleave by time. Receiving returns the
messages that every reader is to be sent; a reader who comes late is sent a snapshot. The room reads
no clock: it is told the time, in seconds since 1970, when streams come and go.
"""

from bisect import insort
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from stream.core import events
from stream.core.audio import SAMPLE_RATE
from stream.core.hypothesis import Word
from stream.rooms.messages import Final, Live, Message, Partial, Snapshot

Key = tuple[int, int, int]
"""Of a line: seat, channel, utterance."""


@dataclass(slots=True)
class Seat:
    """A stream in the room."""

    speakers: tuple[str, ...]
    """The label of each channel."""
    sample_rate: int
    """Hertz, of the samples that its `Progress` counts."""
    offset_s: float
    """Where its first sample lies on the room's clock."""
    settled_s: float
    """On the room's clock: everything before it is final."""


@dataclass(slots=True)
class Room:
    """What is said in one place; `finals` holds it in the order of starting."""

    name: str
    opened_at: float
    """Seconds since 1970."""
    about: dict[str, str] = field(default_factory=dict)
    finals: list[Final] = field(default_factory=list)
    settled_s: float = 0.0
    """Seconds from the opening: no line that begins before this will come any more."""
    _seats: dict[int, Seat] = field(default_factory=dict)
    _seats_taken: int = 0
    _partials: dict[Key, Partial] = field(default_factory=dict)
    _lines: dict[Key, int] = field(default_factory=dict)
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
        offset_s = max(now - self.opened_at, 0.0)
        seat = Seat((*named, *made_up), sample_rate, offset_s, offset_s)
        self._seats[self._seats_taken] = seat
        return self._seats_taken, [self._presence()]

    def leave(self, number: int, now: float) -> list[Message]:
        """A stream is gone. What it had not finished stays as it was heard last."""
        seat = self._seats.pop(number)
        messages: list[Message] = []
        for key in [key for key in self._partials if key[0] == number]:
            left = self._partials[key]
            text = left.committed + left.tentative
            messages += self._finish(key, left.speaker, left.start, left.end, text)
        self._lines = {key: line for key, line in self._lines.items() if key[0] != number}
        if not self._seats:
            self.settled_s = max(self.settled_s, seat.settled_s, now - self.opened_at)
        return [*messages, self._presence()]

    def receive(self, number: int, event: events.Event) -> list[Message]:
        """Take what a stream's session has to say."""
        seat = self._seats[number]
        match event:
            case events.Partial():
                return [self._partial(number, seat, event)]
            case events.Final():
                key = (number, event.channel, event.utterance)
                start, end = seat_times(seat, event.start_sample, event.end_sample)
                text = spelled(event.words).strip()
                return self._finish(key, seat.speakers[event.channel], start, end, text)
            case events.Progress(settled=settled):
                seat.settled_s = seat.offset_s + settled / seat.sample_rate
                earliest = min(seat.settled_s for seat in self._seats.values())
                self.settled_s = max(self.settled_s, earliest)
        return []

    def _partial(self, number: int, seat: Seat, event: events.Partial) -> Partial:
        key = (number, event.channel, event.utterance)
        start, end = seat_times(seat, event.start_sample, event.end_sample)
        committed = spelled(event.committed).lstrip()
        tentative = spelled(event.tentative)
        partial = Partial(
            line=self._line(key),
            speaker=seat.speakers[event.channel],
            start=start,
            end=end,
            committed=committed,
            tentative=tentative if committed else tentative.lstrip(),
        )
        self._partials[key] = partial
        return partial

    def _finish(self, key: Key, speaker: str, start: float, end: float, text: str) -> list[Message]:
        """Keep a line, unless nothing was said; readers of its partials are told in any case."""
        was_shown = self._partials.pop(key, None) is not None
        if not text and not was_shown:
            return []
        final = Final(line=self._line(key), speaker=speaker, start=start, end=end, text=text)
        del self._lines[key]
        if text:
            insort(self.finals, final, key=lambda line: (line.start, line.line))
        return [final]

    def _line(self, key: Key) -> int:
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


def seat_times(seat: Seat, *samples: int) -> Iterable[float]:
    """Samples of a stream as seconds of the room, in whole milliseconds."""
    return (round(seat.offset_s + sample / SAMPLE_RATE, 3) for sample in samples)


def spelled(words: Iterable[Word]) -> str:
    """The words as the model spaced them."""
    return "".join(word.text for word in words)
