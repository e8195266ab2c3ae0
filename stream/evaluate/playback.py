"""Plays recordings to a server, as a microphone would, and keeps what comes back.

While it listens it holds the server to its promises: committed words never change and only grow,
a final begins with them, and every sample is settled at the end.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, field

from distil_stream_client import (
    ConnectionLost,
    Ended,
    Final,
    Latency,
    Partial,
    ServerError,
    ServerEvent,
    SpeechEnded,
    connect,
)

from stream.evaluate.recordings import Audio, Recording

CHUNK_MS = 40
"""Audio in a message: about what a browser sends."""

ENDPOINTING_MS = 500
"""Silence that ends an utterance: the protocol's default, and what finals' latencies count from."""


@dataclass(slots=True)
class Played:
    """A recording and what the server made of it."""

    recording: Recording
    seconds: float = 0.0
    finals: list[Final] = field(default_factory=list)
    partials: int = 0
    violations: list[str] = field(default_factory=list)
    """Promises broken, a sentence each."""
    delays_ms: list[float] = field(default_factory=list)
    """Of each final of an utterance that silence ended, played in real time: from the moment that
    its last sample of speech was sent to the arrival of the text, by the client's own clock."""
    failure: str = ""
    """Why the stream could not be played to its end."""

    @property
    def ended_by_silence(self) -> list[Latency]:
        """The latencies of the finals that silence ended, not the end of the recording."""
        latencies = [final.latency for final in self.finals]
        return [latency for latency in latencies if latency.endpoint_ms >= ENDPOINTING_MS]

    @property
    def text(self) -> str:
        """The transcript."""
        return " ".join(final.text.strip() for final in self.finals)


class Promises:
    """Checks one stream's events against the protocol's promises."""

    def __init__(self) -> None:
        self.violations: list[str] = []
        self._committed: dict[tuple[int, int], list[str]] = {}
        self._seq = 0

    def check(self, event: ServerEvent, sent: int) -> None:
        """Take the next event; `sent` is how many samples the server was given so far."""
        if event.seq != self._seq + 1:
            self.violations.append(f"message {event.seq} follows message {self._seq}")
        self._seq = event.seq
        match event:
            case Partial():
                self._grow(event, event.committed.split())
            case Final():
                self._grow(event, event.text.split())
            case Ended() if not event.settled == event.received == sent:
                self.violations.append(
                    f"{sent} samples were sent, {event.received} received, {event.settled} settled"
                )

    def _grow(self, event: Partial | Final, words: list[str]) -> None:
        committed = self._committed.get((event.channel, event.utterance), [])
        if words[: len(committed)] != committed:
            was, now = " ".join(committed), " ".join(words)
            self.violations.append(f"committed {was!r} became {now!r}")
        self._committed[event.channel, event.utterance] = words


async def play(recording: Recording, url: str, *, fast: bool, trailing_silence_s: float) -> Played:
    """Stream a recording, in real time or as fast as the server takes it."""
    played = Played(recording)
    audio = await asyncio.to_thread(recording.read)
    played.seconds = audio.seconds
    try:
        await _listen(played, audio, url, fast, trailing_silence_s)
    except (ServerError, ConnectionLost) as error:
        played.failure = str(error)
    return played


async def _listen(
    played: Played, audio: Audio, url: str, fast: bool, trailing_silence_s: float
) -> None:
    promises = Promises()
    played.violations = promises.violations
    speech_ends: dict[tuple[int, int], float] = {}
    data = audio.samples.astype("<i2").tobytes()
    data += bytes(2 * round(trailing_silence_s * audio.rate))
    async with connect(url, sample_rate=audio.rate, endpointing_ms=ENDPOINTING_MS) as stream:
        promises.check(stream.ready, 0)
        began_s = time.perf_counter()
        chunks = microphone(data, audio.rate, fast)
        sending = asyncio.create_task(stream.send_all(chunks))
        try:
            async for event in stream:
                promises.check(event, len(data) // 2)
                match event:
                    case Partial():
                        played.partials += 1
                    case SpeechEnded():
                        speech_ends[event.channel, event.utterance] = event.time
                    case Final():
                        played.finals.append(event)
                        spoken_s = speech_ends.get((event.channel, event.utterance))
                        if spoken_s is not None and not fast and not sending.done():
                            delay_s = time.perf_counter() - began_s - spoken_s
                            played.delays_ms.append(1000 * delay_s)
            await sending
        finally:
            sending.cancel()


async def microphone(data: bytes, rate: int, fast: bool) -> AsyncIterator[bytes]:
    """Yield 16-bit audio in chunks, each when its last sample has been spoken, or at once."""
    size = 2 * rate * CHUNK_MS // 1000
    began_s = time.perf_counter()
    for start in range(0, len(data), size):
        chunk = data[start : start + size]
        if not fast:
            spoken_s = (start + len(chunk)) / (2 * rate)
            await asyncio.sleep(began_s + spoken_s - time.perf_counter())
        yield chunk


async def play_all(
    recordings: Iterable[Recording],
    url: str,
    *,
    streams: int,
    fast: bool,
    trailing_silence_s: float = 0.0,
    on_played: Callable[[Played], None] = lambda played: None,
) -> list[Played]:
    """Play all recordings, so many at a time; the results are in the order of the recordings."""
    places = asyncio.Semaphore(streams)

    async def one(recording: Recording) -> Played:
        async with places:
            played = await play(recording, url, fast=fast, trailing_silence_s=trailing_silence_s)
        on_played(played)
        return played

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one(recording)) for recording in recordings]
    return [task.result() for task in tasks]
