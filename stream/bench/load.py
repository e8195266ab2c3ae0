"""How many streams a server carries: real-time streams, ramped until finals come too late.

The same recordings are played, side by side, to our server and to one built the usual way, in turns
on the same machine: first one stream each, then two, and so on, until the 95th percentile of the
time from the end of speech to its final passes the bar. Then one stream of speech that never
pauses, to see what a second of it costs, and whether it costs more the longer it lasts.
"""

import json
from collections.abc import Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter
from rich.console import Console

from stream.bench.load_report import print_tables, write_page
from stream.bench.load_steps import ContinuousRow, LoadRow, System, continuous, measure
from stream.engine.cores import usable_cores
from stream.evaluate.material.recordings import read_excerpts
from stream.evaluate.playback import ENDPOINTING_MS
from stream.evaluate.server_process import server_process, usual_server_process

STREAMS = (1, 2, 3, 4, 6, 8, 12, 16)
GAP_S = 0.8
"""Between the sentences of a stream, so that utterances end."""


def run(
    data: Path,
    model: str = "base",
    streams: Annotated[tuple[int, ...], Parameter(consume_multiple=True, negative=())] = STREAMS,
    seconds: float = 60.0,
    continuous_s: float = 120.0,
    continuous_speed: float = 0.5,
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
    continuous_speed
        Of speech, in the last part: slow enough for both servers to show all captions that are due.
    bar_s
        What the 95th percentile of speech end to final may be beyond endpointing.
    usual
        Measure the usual server, too: faster-whisper in int8, 30 s windows, a model behind a lock.
    report
        Folder for load.json and load.html, with plots.
    """
    manifest = data / "long.jsonl"
    rows: list[LoadRow] = []
    talks: list[ContinuousRow] = []
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
            talks = [continuous(system, talk, continuous_speed) for system in systems]
    summary: dict[str, Any] = {
        "command": "bench load",
        "model": model,
        "cores": usable_cores(),
        "seconds": seconds,
        "bar_s": bar_s,
        "endpointing_ms": ENDPOINTING_MS,
        "carried": {s.name: carried(rows, s.name, bar_s) for s in systems},
        "rows": [{**asdict(row), "late_ms": row.late_ms} for row in rows],
        "continuous_speed": continuous_speed,
        "continuous": [asdict(talk) for talk in talks],
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
