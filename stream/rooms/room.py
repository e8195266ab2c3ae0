"""A room: the words of several streams as one conversation.

A stream is added to the room as a member, with a label for each of its channels. The room takes the
events of the stream's session, and `Member` converts their times to the clock of the room, so that
the utterances of all streams interleave by time. The methods that change the room return the
messages to send to every reader; a reader that connects later is sent a snapshot first. The room
reads no clock: callers pass the time as `now`, in seconds since 1970.
"""

from bisect import insort
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from stream.core import events
from stream.core.windows import Word
from stream.rooms.member import Member
from stream.rooms.messages import Final, Key, Live, Message, Partial, Snapshot

MAX_ABOUT_BYTES = 16 * 1024
"""Greatest total length of the facts in `Room.about` and their names, counted in characters: each
message to the webhook contains them. Twilio allows 500 characters for a parameter of a call."""

Utterance = tuple[int, int, int]
"""Number of the member, channel, number of the utterance in its stream."""


@dataclass(slots=True)
class Room:
    """The state of one room; `finals` is sorted by start time."""

    name: str
    opened_at: float
    """Seconds since 1970."""
    about: dict[str, str] = field(default_factory=dict)
    owner: str | None = None
    """Name of the key that owns the room; None if no key does."""
    finals: list[Final] = field(default_factory=list)
    _settled_s: float = 0.0
    _members: dict[int, Member] = field(default_factory=dict)
    _last_member: int = 0
    _partials: dict[Utterance, Partial] = field(default_factory=dict)
    _lines: dict[Utterance, int] = field(default_factory=dict)
    """Line numbers of the utterances that are not final, of the current members."""
    _last_line: int = 0

    @classmethod
    def reopened(
        cls,
        name: str,
        opened_at: float,
        about: dict[str, str],
        finals: Sequence[Final],
        owner: str | None = None,
    ) -> "Room":
        """Create a room from its stored finals; line numbers continue after theirs."""
        last_line = max((final.line for final in finals), default=0)
        settled_s = max((final.end for final in finals), default=0.0)
        return cls(name, opened_at, about, owner, list(finals), settled_s, _last_line=last_line)

    def frozen(self) -> "Room":
        """Return a copy that does not change, to be written on another thread."""
        copied = replace(self, about=dict(self.about), finals=list(self.finals))
        copied._partials = dict(self._partials)
        copied._members = dict(self._members)
        return copied

    def add_about(self, about: Mapping[str, str]) -> int:
        """Add facts about a stream; return how many were left out due to `MAX_ABOUT_BYTES`."""
        left_out = 0
        for name, value in about.items():
            others = sum(len(n) + len(v) for n, v in self.about.items() if n != name)
            if others + len(name) + len(value) <= MAX_ABOUT_BYTES:
                self.about[name] = value
            else:
                left_out += 1
        return left_out

    def settled_s(self, now: float) -> float:
        """Return the seconds from the opening before which no new line can begin."""
        if self._members:
            earliest = min(
                member.settled_s(now - self.opened_at) for member in self._members.values()
            )
            self._settled_s = max(self._settled_s, earliest)
        return self._settled_s

    @property
    def live(self) -> bool:
        """Whether any stream is open."""
        return bool(self._members)

    @property
    def speakers(self) -> tuple[str, ...]:
        """The labels of the channels of all members, without duplicates."""
        labels = (label for member in self._members.values() for label in member.speakers)
        return tuple(dict.fromkeys(labels))

    def snapshot(self) -> Snapshot:
        """Return the current state of the room as a message."""
        partials = sorted(self._partials.values(), key=lambda partial: partial.start)
        return Snapshot(
            room=self.name,
            opened_at=self.opened_at,
            live=self.live,
            speakers=self.speakers,
            finals=tuple(self.finals),
            partials=tuple(partials),
        )

    def add_member(
        self, speakers: Sequence[str], channels: int, sample_rate: int, now: float
    ) -> tuple[int, list[Message]]:
        """Add a stream to the room.

        Args:
            speakers: labels of the channels; missing ones become `Speaker 1`, `Speaker 2`, …
            channels: number of channels of the stream.
            sample_rate: rate in hertz of the sample counts in the `Progress` events of the stream.
            now: time in seconds since 1970.

        Returns:
            The number of the member, and the messages to send.
        """
        self._last_member += 1
        named = tuple(speakers[:channels])
        first = sum(len(member.speakers) for member in self._members.values()) + 1
        generated = (f"Speaker {first + i}" for i in range(len(named), channels))
        now_s = max(now - self.opened_at, 0.0)
        self._members[self._last_member] = Member((*named, *generated), sample_rate, now_s)
        return self._last_member, [self._presence()]

    def leave(self, number: int, now: float) -> list[Message]:
        """Remove a member; its last partials become finals. Returns the messages to send."""
        self._settled_s = self.settled_s(now)
        del self._members[number]
        messages: list[Message] = []
        for key in [key for key in self._partials if key[0] == number]:
            left = self._partials[key]
            text = left.committed + left.tentative
            messages += self._finish(key, left.speaker, left.start, left.end, text)
        self._lines = {key: line for key, line in self._lines.items() if key[0] != number}
        if not self._members:
            self._settled_s = max(self._settled_s, now - self.opened_at)
        return [*messages, self._presence()]

    def receive(
        self, number: int, event: events.Event | events.KeyPressed, now: float
    ) -> list[Message]:
        """Apply an event of a member; return the messages to send."""
        member = self._members[number]
        match event:
            case events.Partial():
                return [self._partial(number, member, event)]
            case events.Final():
                key = (number, event.channel, event.utterance)
                start, end = member.time_of(event.start_sample), member.time_of(event.end_sample)
                text = joined_text(event.words).strip()
                return self._finish(key, member.speakers[event.channel], start, end, text)
            case events.Progress(received=received, settled=settled):
                member.receive_progress(received, settled, now - self.opened_at)
            case events.KeyPressed(channel=channel, key=name, sample=sample):
                speaker = member.speakers[channel]
                return [Key(speaker=speaker, time=member.time_of(sample), key=name)]
        return []

    def _partial(self, number: int, member: Member, event: events.Partial) -> Partial:
        key = (number, event.channel, event.utterance)
        committed = joined_text(event.committed).lstrip()
        tentative = joined_text(event.tentative)
        partial = Partial(
            line=self._line(key),
            speaker=member.speakers[event.channel],
            start=member.time_of(event.start_sample),
            end=member.time_of(event.end_sample),
            committed=committed,
            tentative=tentative if committed else tentative.lstrip(),
        )
        self._partials[key] = partial
        return partial

    def _finish(
        self, key: Utterance, speaker: str, start: float, end: float, text: str
    ) -> list[Message]:
        """Store a line, unless it is empty; return its final.

        An empty final is returned only if a partial of the line was sent, so that readers remove
        that partial.
        """
        was_shown = self._partials.pop(key, None) is not None
        if not text and not was_shown:
            return []
        final = Final(line=self._line(key), speaker=speaker, start=start, end=end, text=text)
        del self._lines[key]
        if text:
            insort(self.finals, final, key=lambda line: (line.start, line.line))
        return [final]

    def _line(self, key: Utterance) -> int:
        """Return the number of the line of an utterance; the first call assigns it."""
        if key not in self._lines:
            self._last_line += 1
            self._lines[key] = self._last_line
        return self._lines[key]

    def _presence(self) -> Live:
        return Live(live=self.live, speakers=self.speakers)


def empty_snapshot(name: str) -> Snapshot:
    """Return the snapshot of a room that no stream has been part of."""
    return Snapshot(room=name, opened_at=None, live=False, speakers=(), finals=(), partials=())


def joined_text(words: Iterable[Word]) -> str:
    """Join words with the spacing of the model."""
    return "".join(word.text for word in words)
