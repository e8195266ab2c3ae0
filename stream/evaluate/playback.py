"""Plays recordings to a streaming system like a microphone, and records the events."""

import asyncio
from collections.abc import Callable, Iterable
from contextlib import aclosing
from dataclasses import dataclass, field

from stream.evaluate.adapters import StreamingAdapter
from stream.evaluate.adapters.feed import Feed
from stream.evaluate.material.recordings import Recording
from stream.evaluate.measures.record import (
    Broken,
    Stamped,
    StreamError,
    TimedWord,
    Transcript,
    final_words,
    on_channel,
    transcript,
)
from stream.evaluate.measures.stability import changed_commits

ENDPOINTING_MS = 500
"""Silence that ends an utterance: the protocol's default. The latencies of finals include it."""


@dataclass(slots=True)
class Played:
    """A recording that was played, and the events that the system emitted for it."""

    recording: Recording
    seconds: float = 0.0
    real_time: bool = False
    """Whether it was played at the pace of speech; only then are its latencies valid."""
    events: list[Stamped] = field(default_factory=list)
    failure: str = ""
    """Why the stream could not be played to its end; empty if it was."""
    late_ms: float = 0.0
    """The largest delay, in milliseconds, with which `Feed` sent a chunk."""

    @property
    def text(self) -> str:
        """The text of all finals."""
        return transcript(self.events)

    @property
    def transcripts(self) -> tuple[Transcript, ...]:
        """The transcript of each channel that is scored."""
        channels = range(len(self.recording.texts))
        events = [on_channel(self.events, channel) for channel in channels]
        return tuple(Transcript(transcript(one), tuple(final_words(one))) for one in events)

    @property
    def words(self) -> list[TimedWord]:
        """The words of the finals."""
        return final_words(self.events)

    @property
    def violations(self) -> list[str]:
        """Violations of the protocol's guarantees, one sentence each."""
        broken = [e.event.promise for e in self.events if isinstance(e.event, Broken)]
        return broken + changed_commits(self.events)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How recordings are played."""

    streams: int = 1
    """Recordings played at the same time."""
    fast: bool = False
    """Whether to play as fast as the system accepts audio, not at the pace of speech."""
    speed: float = 1.0
    """Seconds of speech that are played in a second: at 0.5 a system has twice the time."""
    trailing_silence_s: float = 0.0
    """Silence after each recording, so that silence ends its last utterance."""
    endpointing_ms: int = ENDPOINTING_MS


async def play(recording: Recording, adapter: StreamingAdapter, url: str, pace: Pace) -> Played:
    """Stream a recording to its end, and return its events, or those before the stream failed."""
    audio = await asyncio.to_thread(recording.read)
    feed = Feed(audio, fast=pace.fast, speed=pace.speed, trailing_silence_s=pace.trailing_silence_s)
    played = Played(recording, audio.seconds, real_time=not pace.fast)
    try:
        async with aclosing(adapter(url, feed, pace.endpointing_ms)) as events:
            async for event in events:
                played.events.append(Stamped(feed.now_s(), event))
    except StreamError as failed:
        played.failure = str(failed)
    played.late_ms = feed.late_ms
    return played


async def play_all(
    recordings: Iterable[Recording],
    adapter: StreamingAdapter,
    url: str,
    pace: Pace,
    on_played: Callable[[Played], None] = lambda played: None,
) -> list[Played]:
    """Play all recordings, `pace.streams` at the same time; return results in the same order."""
    places = asyncio.Semaphore(pace.streams)

    async def one(recording: Recording) -> Played:
        async with places:
            played = await play(recording, adapter, url, pace)
        on_played(played)
        return played

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one(recording)) for recording in recordings]
    return [task.result() for task in tasks]
