"""Plays recordings to a streaming system, as a microphone would, and keeps what comes back."""

import asyncio
from collections.abc import Callable, Iterable
from contextlib import aclosing
from dataclasses import dataclass, field

from stream.evaluate.adapters import Listen
from stream.evaluate.adapters.feed import Feed
from stream.evaluate.material.recordings import Recording
from stream.evaluate.measures.record import (
    Broken,
    Stamped,
    StreamError,
    TimedWord,
    final_words,
    transcript,
)
from stream.evaluate.measures.stability import changed_commits

ENDPOINTING_MS = 500
"""Silence that ends an utterance: the protocol's default, and what finals' latencies count from."""


@dataclass(slots=True)
class Played:
    """A recording and what the system made of it."""

    recording: Recording
    seconds: float = 0.0
    real_time: bool = False
    """Played at the pace of speech: only then do its latencies mean anything."""
    events: list[Stamped] = field(default_factory=list)
    failure: str = ""
    """Why the stream could not be played to its end."""
    late_ms: float = 0.0
    """How late the feeder was at worst."""

    @property
    def text(self) -> str:
        """The transcript."""
        return transcript(self.events)

    @property
    def words(self) -> list[TimedWord]:
        """The words of the finals."""
        return final_words(self.events)

    @property
    def violations(self) -> list[str]:
        """Promises broken, a sentence each."""
        broken = [e.event.promise for e in self.events if isinstance(e.event, Broken)]
        return broken + changed_commits(self.events)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How recordings are played."""

    streams: int = 1
    """At a time."""
    fast: bool = False
    """As fast as the system takes it, not at the pace of speech."""
    speed: float = 1.0
    """Of speech: at half of it who hears has twice the time."""
    trailing_silence_s: float = 0.0
    """After each recording, so that its last utterance ends by itself."""
    endpointing_ms: int = ENDPOINTING_MS


async def play(recording: Recording, listen: Listen, url: str, pace: Pace) -> Played:
    """Stream a recording."""
    audio = await asyncio.to_thread(recording.read)
    feed = Feed(audio, fast=pace.fast, speed=pace.speed, trailing_silence_s=pace.trailing_silence_s)
    played = Played(recording, audio.seconds, real_time=not pace.fast)
    try:
        async with aclosing(listen(url, feed, pace.endpointing_ms)) as events:
            async for event in events:
                played.events.append(Stamped(feed.now_s(), event))
    except StreamError as failed:
        played.failure = str(failed)
    played.late_ms = feed.late_ms
    return played


async def play_all(
    recordings: Iterable[Recording],
    listen: Listen,
    url: str,
    pace: Pace,
    on_played: Callable[[Played], None] = lambda played: None,
) -> list[Played]:
    """Play all recordings, so many at a time; the results are in the order of the recordings."""
    places = asyncio.Semaphore(pace.streams)

    async def one(recording: Recording) -> Played:
        async with places:
            played = await play(recording, listen, url, pace)
        on_played(played)
        return played

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one(recording)) for recording in recordings]
    return [task.result() for task in tasks]
