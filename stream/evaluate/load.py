"""How many streams a server carries: real-time streams, ramped until finals come too late.

The same recordings are played, side by side, to our server and to one built the usual way, in turns
on the same machine: first one stream each, then two, and so on, until the 95th percentile of the
time from the end of speech to its final passes the bar. Then one stream of speech that never
pauses, to see whether a second of it costs more the longer it lasts.
"""

import asyncio
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter
from rich.console import Console

from stream.engine.threads import usable_cores
from stream.evaluate import adapters
from stream.evaluate.cost import Cost, measured, tree_cpu_s
from stream.evaluate.load_report import print_tables, write_page
from stream.evaluate.playback import ENDPOINTING_MS, Pace, Played, play_all
from stream.evaluate.record import Finished, captions
from stream.evaluate.recordings import Recording, read_excerpts
from stream.evaluate.scoring import WordErrors, percentiles, word_errors
from stream.evaluate.server_metrics import ServerMetrics, read_metrics
from stream.evaluate.server_process import server_process, usual_server_process

STREAMS = (1, 2, 3, 4, 6, 8, 12, 16)
GAP_S = 0.8
TRAILING_SILENCE_S = 2.0
"""After each recording, so that its last utterance ends by itself."""

NEVER_MS = 10_000
"""Silence that no reader makes: speech goes on as one utterance, or until the server cuts it."""

BUCKET_S = 10
"""Seconds of continuous speech whose cost is added up."""


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
    """One server with so many streams."""

    system: str
    streams: int
    audio_s: float
    """Played, in all streams."""
    cpu_s_per_audio_s: float
    final_ms: dict[str, float]
    """From the end of speech, of utterances that silence ended; percentiles. Endpointing is in
    it."""
    finals: int
    """That have words."""
    word_error_rate: float
    """Percent."""
    peak_mib: int
    feeder_late_ms: float
    """How late audio was handed out at worst; the figures are worth little if it is much."""
    failures: int
    """Streams that could not be played to their end."""
    queue_ms: dict[str, float]
    """That windows of finals waited for the engine, as the finals say; percentiles."""
    server: dict[str, float]
    """What the server's own metrics say of the time."""

    @property
    def late_ms(self) -> float | None:
        """The 95th percentile of end of speech to final, beyond endpointing; None without one."""
        p95 = self.final_ms.get("p95")
        return None if p95 is None else p95 - ENDPOINTING_MS


@dataclass(frozen=True, slots=True)
class AgeRow:
    """What speech that never pauses costs as it grows older."""

    system: str
    from_s: float
    to_s: float
    cpu_s_per_audio_s: float


def run(
    data: Path,
    model: str = "base",
    streams: Annotated[tuple[int, ...], Parameter(consume_multiple=True, negative=())] = STREAMS,
    seconds: float = 60.0,
    continuous_s: float = 120.0,
    bar_s: float = 1.0,
    usual: bool = True,
    report: Path | None = None,
) -> None:
    """Print how many streams our server and a usual one carry, and what each costs.

    The last line is JSON. Our server takes its settings from the environment.

    Parameters
    ----------
    data
        The folder that holds `long.jsonl`.
    model
        Its name.
    streams
        How many streams to try, one after another.
    seconds
        Audio in a stream, at least.
    continuous_s
        Speech without pauses in the last part; 0 leaves it out.
    bar_s
        What the 95th percentile of speech end to final may be beyond endpointing.
    usual
        Measure the usual server, too: faster-whisper in int8, 30 s windows, a model behind a lock.
    report
        Folder for load.json and load.html, with plots.
    """
    manifest = data / "long.jsonl"
    rows: list[LoadRow] = []
    ages: list[AgeRow] = []
    with ExitStack() as stack:
        systems = [started(stack, "ours", "native", server_process(model, max(streams)), True)]
        if usual:
            systems.append(started(stack, "usual", "usual", usual_server_process(model), False))
        climbing = list(systems)
        for n in streams:
            recordings = read_excerpts(manifest, n, seconds, GAP_S)
            for system in list(climbing):
                row = measure(system, recordings)
                rows.append(row)
                say(row)
                if row.late_ms is None or row.late_ms > 1000 * bar_s:
                    climbing.remove(system)
        if continuous_s:
            (talk,) = read_excerpts(manifest, 1, continuous_s, 0.0)
            ages = [age for system in systems for age in by_age(system, talk)]
    summary: dict[str, Any] = {
        "command": "bench load",
        "model": model,
        "cores": usable_cores(),
        "seconds": seconds,
        "bar_s": bar_s,
        "endpointing_ms": ENDPOINTING_MS,
        "carried": {s.name: carried(rows, s.name, bar_s) for s in systems},
        "rows": [{**asdict(row), "late_ms": row.late_ms} for row in rows],
        "continuous": [asdict(age) for age in ages],
    }
    print_tables(summary, Console(width=132, highlight=False))
    if report is not None:
        report.mkdir(parents=True, exist_ok=True)
        (report / "load.json").write_text(json.dumps(summary, indent=1))
        write_page(summary, report / "load.html")
    print(json.dumps(summary))


def started(
    stack: ExitStack,
    name: str,
    adapter: str,
    process: AbstractContextManager[tuple[str, int]],
    has_metrics: bool,
) -> System:
    """Start a server that runs until the stack is closed."""
    url, pid = stack.enter_context(process)
    return System(name, adapter, url, pid, has_metrics)


def say(row: LoadRow) -> None:
    """Show on stderr how far the ramp is."""
    late = "no finals" if row.late_ms is None else f"finals {row.late_ms:.0f} ms late"
    Console(stderr=True, highlight=False).print(f"{row.system}, {row.streams} streams: {late}")


def carried(rows: Sequence[LoadRow], system: str, bar_s: float) -> int:
    """Return the most streams that a system carried within the bar."""
    within = [
        row.streams
        for row in rows
        if row.system == system and row.late_ms is not None and row.late_ms <= 1000 * bar_s
    ]
    return max(within, default=0)


def measure(system: System, recordings: Sequence[Recording]) -> LoadRow:
    """Play all recordings at once, at the pace of speech."""
    pace = Pace(len(recordings), trailing_silence_s=TRAILING_SILENCE_S)
    listen = adapters.listener(system.adapter)
    before = read_metrics(system.url) if system.has_metrics else ServerMetrics()
    with measured(Cost(system.name, ""), system.pid) as cost:
        played = asyncio.run(play_all(recordings, listen, system.url, pace))
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
        word_error_rate=round(errors.rate, 2),
        peak_mib=round(cost.peak_bytes / 2**20),
        feeder_late_ms=round(max(one.late_ms for one in played), 1),
        failures=sum(bool(one.failure) for one in played),
        queue_ms=percentiles(queue_ms(played)),
        server=after.since(before),
    )


def queue_ms(played: Sequence[Played]) -> Iterator[float]:
    """Yield how long each final's window waited, where the server says so."""
    for one in played:
        for stamped in one.events:
            if isinstance(stamped.event, Finished) and "queue" in stamped.event.server_ms:
                yield stamped.event.server_ms["queue"]


def by_age(system: System, talk: Recording) -> list[AgeRow]:
    """Play speech as one utterance that never ends, and add up its cost bucket by bucket."""
    pace = Pace(endpointing_ms=NEVER_MS)
    listen = adapters.listener(system.adapter)

    async def play() -> list[tuple[float, float]]:
        playing = asyncio.create_task(play_all([replace(talk, words=())], listen, system.url, pace))
        seen = [(0.0, cpu_s(system.pid))]
        clock: Callable[[], float] = asyncio.get_running_loop().time
        began_s = clock()
        while not playing.done():
            await asyncio.wait([playing], timeout=BUCKET_S)
            seen.append((clock() - began_s, cpu_s(system.pid)))
        playing.result()
        return seen

    seen = asyncio.run(play())
    return [
        AgeRow(system.name, round(a, 1), round(b, 1), round((used - before) / (b - a), 4))
        for (a, before), (b, used) in pairwise(seen)
        if b - a > BUCKET_S / 2  # what is left at the end is too short to be measured
    ]


def cpu_s(pid: int) -> float:
    """Return the CPU time of a process and of all below it."""
    return sum(tree_cpu_s(pid).values())
