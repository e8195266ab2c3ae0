"""Streams that speak and an engine that takes its time, on one clock that nobody waits for.

The streams ask for windows as sessions do: a partial after each hop of new audio while none is in
flight, a final 240 ms after the speech. The engine takes a batch whenever it is free, and is busy
with it for as long as its longest window and its size make it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from stream.core.audio import SAMPLE_RATE
from stream.core.load import SLOW_HOPS, Load
from stream.core.windows import Window, WindowKind
from stream.engine.scheduler import Scheduler
from stream.server.load_ladder import LoadLadder
from tests.engine.windows import a_window

TICK_S = 0.05
HOP_S = 0.5
EARLY_S = 0.25
LONGEST_S = 28.0


@dataclass(frozen=True)
class Speaker:
    """Utterances and pauses in turn, from when the stream comes."""

    name: str
    comes_s: float
    talk: tuple[tuple[float, float], ...]
    """(seconds of speech, seconds of silence after it)"""


@dataclass
class Stream:
    """A speaker on the way."""

    speaker: Speaker
    utterance: int = 0
    began_s: float = 0.0
    """When the current utterance began."""
    asked_s: float = 0.0
    in_flight: WindowKind | None = None

    def __post_init__(self) -> None:
        self.began_s = self.asked_s = self.speaker.comes_s

    @property
    def over(self) -> bool:
        return self.utterance == len(self.speaker.talk)

    def due(self, now: float, hop_s: float | None) -> WindowKind | None:
        """What is to be asked for now."""
        if self.over or now < self.began_s or self.in_flight is WindowKind.FINAL:
            return None
        if now >= self.began_s + self.speaker.talk[self.utterance][0] + EARLY_S:
            return WindowKind.FINAL
        ripe = hop_s is not None and now - self.asked_s >= hop_s and self.in_flight is None
        return WindowKind.PARTIAL if ripe else None

    def answered(self, kind: WindowKind, now: float) -> None:
        """Take an answer; after a final the next utterance begins, late if the answer was."""
        if kind is self.in_flight:
            self.in_flight = None
        if kind is WindowKind.FINAL:
            speech_s, pause_s = self.speaker.talk[self.utterance]
            self.began_s = self.asked_s = max(now, self.began_s + speech_s + pause_s)
            self.utterance += 1


@dataclass
class Taken:
    """A batch as the engine took it."""

    at_s: float
    batch: list[Window]
    waiting: list[Window]
    """All that waited, in the order of their coming, those of the batch included."""


@dataclass
class Simulation:
    """Runs to the end of all talk; then everything that happened is in `taken` and `waits_s`."""

    speakers: Sequence[Speaker]
    cost_s: Callable[[Sequence[Window]], float]
    max_batch: int = 8
    ladder: LoadLadder | None = None
    """Followed by all streams, and by the door, if there is one."""
    taken: list[Taken] = field(default_factory=list)
    waits_s: dict[WindowKind, list[float]] = field(
        default_factory=lambda: {kind: [] for kind in WindowKind}
    )
    refused: list[str] = field(default_factory=list)
    steps: list[int] = field(default_factory=list)
    streams: dict[str, Stream] = field(default_factory=dict)
    now: float = 0.0

    def __post_init__(self) -> None:
        self.scheduler = Scheduler(self.max_batch)
        self._coming = sorted(self.speakers, key=lambda speaker: speaker.comes_s)
        self._queued: dict[int, Window] = {}
        self._asked_s: dict[int, float] = {}
        self._batch: list[Window] = []
        self._free_s = 0.0
        self._count = 0

    def run(self) -> "Simulation":
        while self._coming or self._queued or self._batch or self._talking():
            self.now += TICK_S
            self._admit()
            self._answer()
            self._ask()
            self._take()
            self._look()
        return self

    def _talking(self) -> bool:
        return not all(stream.over for stream in self.streams.values())

    def _admit(self) -> None:
        while self._coming and self._coming[0].comes_s <= self.now:
            speaker = self._coming.pop(0)
            if self.ladder and not self.ladder.rung.admits:
                self.refused.append(speaker.name)
            else:
                self.streams[speaker.name] = Stream(replace(speaker, comes_s=self.now))

    def _answer(self) -> None:
        if self._batch and self.now >= self._free_s:
            for window in self._batch:
                self.streams[window.session].answered(window.kind, self.now)
            self._batch = []

    def _ask(self) -> None:
        load = self.ladder.rung.load if self.ladder else Load.NORMAL
        hops = {Load.NORMAL: HOP_S, Load.SLOW_PARTIALS: SLOW_HOPS * HOP_S, Load.FINALS_ONLY: None}
        for name, stream in self.streams.items():
            kind = stream.due(self.now, hops[load])
            if kind is None:
                continue
            self._count += 1
            length_s = min(self.now - stream.began_s, LONGEST_S)
            window = a_window(
                self._count,
                name,
                utterance=stream.utterance,
                final=kind is WindowKind.FINAL,
                n_samples=round(length_s * SAMPLE_RATE) + 1,
            )
            stream.in_flight, stream.asked_s = kind, self.now
            self._queued[window.id], self._asked_s[window.id] = window, self.now
            superseded = self.scheduler.add(window)
            if superseded is not None:
                del self._queued[superseded.id]

    def _take(self) -> None:
        if self._batch or not len(self.scheduler):
            return
        waiting = list(self._queued.values())
        self._batch = self.scheduler.next_batch()
        self.taken.append(Taken(self.now, self._batch, waiting))
        self._free_s = self.now + self.cost_s(self._batch)
        for window in self._batch:
            del self._queued[window.id]
            waited_s = self.now - self._asked_s[window.id]
            self.waits_s[window.kind].append(waited_s)
            if self.ladder:
                self.ladder.note_wait(waited_s, window.kind is WindowKind.FINAL, self.now)

    def _look(self) -> None:
        if self.ladder is None:
            return
        for window in self._queued.values():
            waited_s = self.now - self._asked_s[window.id]
            self.ladder.note_wait(waited_s, window.kind is WindowKind.FINAL, self.now)
        self.ladder.update(self.now)
        self.steps.append(self.ladder.step)
