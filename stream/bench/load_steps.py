"""The steps of `bench load`: a number of streams, or one stream without pauses, on one server."""

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

from stream.bench.server_metrics import LOAD, ServerMetrics, read_metrics
from stream.errors import UsageError
from stream.evaluate import adapters
from stream.evaluate.material.recordings import Recording
from stream.evaluate.measures.cost import Cost, machine_cpu_s, measured, tree_cpu_s
from stream.evaluate.measures.record import Finished, Shown, captions
from stream.evaluate.measures.scoring import WordErrors, percentiles, word_errors
from stream.evaluate.playback import ENDPOINTING_MS, Pace, Played, play_all

TRAILING_SILENCE_S = 2.0
"""Silence after each recording, so that silence ends its last utterance."""

NEVER_MS = 10_000
"""Endpointing silence that does not occur in the speech, so that only the server's limit on the
length of an utterance ends it."""

TICK_S = 0.05
"""Interval at which the lateness of the player's event loop is measured, as in the server."""

RECOVERY_S = 120.0
"""Seconds; more than a server needs to return from its highest load level to 0."""

BUCKET_S = 10
"""Seconds of continuous speech for which one cost is measured."""


@dataclass(frozen=True, slots=True)
class System:
    """A server that is measured."""

    name: str
    adapter: str
    url: str
    pid: int
    has_metrics: bool


@dataclass(frozen=True, slots=True)
class LoadRow:
    """The figures of one server with a number of streams."""

    system: str
    streams: int
    audio_s: float
    """Seconds of audio played, all streams together."""
    cpu_s_per_audio_s: float
    final_ms: dict[str, float]
    """Percentiles of the time from the end of speech to the final, with endpointing; only
    utterances that silence ended."""
    finals: int
    """Finals with words that silence ended."""
    partials_per_s: float
    """Partials for a second of audio; a busy server sends fewer."""
    word_error_rate: float
    """Percent."""
    peak_mib: int
    feeder_late_ms: float
    """The largest delay of a chunk of audio; the figures are not valid if it is large."""
    player_late_p99_ms: float
    """Lateness of the player's event loop, which shares its process with no engine: the part of the
    server's lateness that the machine causes."""
    other_cores: float
    """Cores that other processes than the server and the player used. If it is high, the lateness
    is not that of the server alone."""
    failures: int
    """Streams that could not be played to their end."""
    queue_ms: dict[str, float]
    """Percentiles of the time that windows of finals waited for the engine, as the finals
    report it."""
    server: dict[str, float]
    """Figures of the server's metrics during the step."""

    @property
    def late_ms(self) -> float | None:
        """The 95th percentile of the time from the end of speech to the final, in milliseconds,
        less the endpointing time; None if there are no finals.
        """
        p95 = self.final_ms.get("p95")
        return None if p95 is None else p95 - ENDPOINTING_MS


@dataclass(frozen=True, slots=True)
class AgeRow:
    """The CPU time for a second of speech without pauses, in one part of the recording.

    The part is [from_s, to_s) in seconds from the start of the recording.
    """

    from_s: float
    to_s: float
    cpu_s_per_audio_s: float


@dataclass(frozen=True, slots=True)
class ContinuousRow:
    """The figures of one server with one stream of speech without pauses."""

    system: str
    audio_s: float
    cpu_s_per_audio_s: float
    partials_per_s: float
    """Partials for a second of audio."""
    word_error_rate: float
    """Percent."""
    ages: list[AgeRow]


def measure(system: System, recordings: Sequence[Recording]) -> LoadRow:
    """Play all recordings at the same time, at the pace of speech, and return the figures."""
    settle(system)
    pace = Pace(streams=len(recordings), trailing_silence_s=TRAILING_SILENCE_S)
    adapter = adapters.streaming_adapter(system.adapter)
    before = read_metrics(system.url) if system.has_metrics else ServerMetrics()
    began_s, busy_s, own_s = time.monotonic(), machine_cpu_s(), time.process_time()
    with measured(Cost(system.name, ""), system.pid) as cost:
        played, late_ms = asyncio.run(timed(play_all(recordings, adapter, system.url, pace)))
    took_s = time.monotonic() - began_s
    others_s = machine_cpu_s() - busy_s - (time.process_time() - own_s) - (cost.cpu_s or 0.0)
    after = read_metrics(system.url) if system.has_metrics else ServerMetrics()
    finals = [
        caption
        for one in played
        for caption in captions(one.events)
        if caption.final and caption.final.text and caption.final.by_silence
    ]
    errors = WordErrors()
    for one in played:
        errors += word_errors(one.recording.text or "", one.text)
    audio_s = sum(one.seconds + TRAILING_SILENCE_S for one in played)
    return LoadRow(
        system=system.name,
        streams=len(recordings),
        audio_s=round(audio_s, 1),
        cpu_s_per_audio_s=round((cost.cpu_s or 0.0) / audio_s, 4),
        final_ms=percentiles(
            1000 * (c.final_at_s - c.over_s) for c in finals if c.over_s is not None
        ),
        finals=len(finals),
        partials_per_s=round(sum(partials(one) for one in played) / audio_s, 2),
        word_error_rate=round(errors.rate, 2),
        peak_mib=round(cost.peak_bytes / 2**20),
        feeder_late_ms=round(max(one.late_ms for one in played), 1),
        player_late_p99_ms=percentiles(late_ms).get("p99", 0.0),
        other_cores=round(max(0.0, others_s / took_s), 2),
        failures=sum(bool(one.failure) for one in played),
        queue_ms=percentiles(queue_ms(played)),
        server=after.since(before),
    )


async def timed(playing: Coroutine[Any, Any, list[Played]]) -> tuple[list[Played], list[float]]:
    """Await a coroutine, and measure how late the event loop is while the coroutine runs.

    Returns the result of the coroutine, and the lateness in milliseconds, measured every `TICK_S`.
    """
    loop = asyncio.get_running_loop()
    task, late_ms = asyncio.create_task(playing), []
    while not task.done():
        due = loop.time() + TICK_S
        await asyncio.sleep(TICK_S)
        late_ms.append(1000 * max(0.0, loop.time() - due))
    return task.result(), late_ms


def settle(system: System) -> None:
    """Wait until a server has returned to load level 0 after the step before.

    Raises:
        UsageError: the server is still busy after `RECOVERY_S` seconds.
    """
    end_s = time.monotonic() + RECOVERY_S
    while system.has_metrics and read_metrics(system.url).values[LOAD] > 0:
        if time.monotonic() > end_s:
            raise UsageError(f"The server was still busy {RECOVERY_S:g} s after its last stream.")
        time.sleep(1.0)


def queue_ms(played: Sequence[Played]) -> Iterator[float]:
    """Yield how long the window of each final waited, if the server reports it."""
    for one in played:
        for stamped in one.events:
            if isinstance(stamped.event, Finished) and "queue" in stamped.event.server_ms:
                yield stamped.event.server_ms["queue"]


def partials(played: Played) -> int:
    """Return the number of partials."""
    return sum(isinstance(stamped.event, Shown) for stamped in played.events)


def continuous(system: System, talk: Recording, speed: float) -> ContinuousRow:
    """Play speech as one utterance that never ends, and measure its cost every `BUCKET_S` seconds.

    With a `speed` below 1, even a slow server can show all captions; otherwise it would seem
    cheaper because it leaves some out.
    """
    settle(system)
    pace = Pace(endpointing_ms=NEVER_MS, speed=speed)
    adapter = adapters.streaming_adapter(system.adapter)
    bucket_s = BUCKET_S / speed

    async def play() -> tuple[Played, list[tuple[float, float]]]:
        playing = asyncio.create_task(
            play_all([replace(talk, words=())], adapter, system.url, pace)
        )
        seen = [(0.0, cpu_s(system.pid))]
        clock: Callable[[], float] = asyncio.get_running_loop().time
        began_s = clock()
        while not playing.done():
            await asyncio.wait([playing], timeout=bucket_s)
            seen.append((speed * (clock() - began_s), cpu_s(system.pid)))
        (played,) = playing.result()
        return played, seen

    played, seen = asyncio.run(play())
    return ContinuousRow(
        system=system.name,
        audio_s=round(played.seconds, 1),
        cpu_s_per_audio_s=round((seen[-1][1] - seen[0][1]) / played.seconds, 4),
        partials_per_s=round(partials(played) / played.seconds, 2),
        word_error_rate=round(word_errors(talk.text or "", played.text).rate, 2),
        ages=[
            AgeRow(round(a, 1), round(b, 1), round((used - before) / (b - a), 4))
            for (a, before), (b, used) in pairwise(seen)
            if b - a > BUCKET_S / 2  # a short rest at the end cannot be measured
        ],
    )


def cpu_s(pid: int) -> float:
    """Return the CPU seconds of a process and all its descendants."""
    return sum(tree_cpu_s(pid).values())
