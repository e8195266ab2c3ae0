"""`bench load`: measures how many real-time streams a server can serve with finals in time.

The same recordings are played to our server and to one that is built the usual way, in turns on the
same machine: first one stream, then two, and so on, until the 95th percentile of the time from the
end of speech to its final is above the limit. Then one stream of speech without pauses shows the
cost of a second of it, and whether the cost grows with the length of the utterance.
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
from stream.evaluate.material.excerpts import read_excerpts
from stream.evaluate.playback import ENDPOINTING_MS
from stream.evaluate.server_process import server_process, usual_server_process

STREAMS = (1, 2, 3, 4, 6, 8, 12, 16)
GAP_S = 0.8
"""Seconds between the sentences of a stream, so that utterances end."""


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
    """Print how many streams our server and a usual one can serve, and the cost of a stream.

    The last line is JSON. The settings of our server come from the environment.

    Parameters
    ----------
    data
        Folder with `long.jsonl`.
    model
        Name of the model.
    streams
        Numbers of streams to try, one after another.
    seconds
        The least duration of a stream, in seconds of audio.
    continuous_s
        Seconds of speech without pauses in the last part; 0 leaves that part out.
    continuous_speed
        Speed of playing in the last part; it must be so low that both servers can show all
        captions that are due.
    bar_s
        Limit, in seconds, for the 95th percentile of the time from the end of speech to the final,
        less the endpointing time.
    usual
        Also measure the usual server: faster-whisper in int8, 30 s windows, a model behind a lock.
    report
        Folder for load.json and load.html, with plots.
    """
    manifest = data / "long.jsonl"
    talks: list[ContinuousRow] = []
    with ExitStack() as stack:
        systems = [started(stack, "ours", "native", server_process(model, max(streams)), True)]
        if usual:
            systems.append(started(stack, "usual", "usual", usual_server_process(model), False))
        rows = climb(systems, manifest, streams, seconds, bar_s)
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
    write_report(summary, report)
    print(json.dumps(summary))


def climb(
    systems: Sequence[System],
    manifest: Path,
    streams: Sequence[int],
    seconds: float,
    bar_s: float,
) -> list[LoadRow]:
    """Play more and more recordings at once, in turns to each system, and return the figures.

    A system whose finals come later than `bar_s` seconds gets no further streams.
    """
    rows: list[LoadRow] = []
    climbing = list(systems)
    for n in streams:
        recordings = read_excerpts(manifest, n, seconds, GAP_S)
        for system in list(climbing):
            row = measure(system, recordings)
            rows.append(row)
            print_progress(row)
            if not in_time(row, bar_s):
                climbing.remove(system)
    return rows


def write_report(summary: dict[str, Any], folder: Path | None) -> None:
    """Print the tables, and write load.json and load.html into a folder, if one is given."""
    print_tables(summary, Console(width=132, highlight=False))
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "load.json").write_text(json.dumps(summary, indent=1))
        write_page(summary, folder / "load.html")


def started(
    stack: ExitStack,
    name: str,
    adapter: str,
    process: AbstractContextManager[tuple[str, int]],
    has_metrics: bool,
) -> System:
    """Start a server, which runs until the stack is closed."""
    url, pid = stack.enter_context(process)
    return System(name, adapter, url, pid, has_metrics)


def print_progress(row: LoadRow) -> None:
    """Print the result of a step to stderr."""
    late = "no finals" if row.late_ms is None else f"finals {row.late_ms:.0f} ms late"
    Console(stderr=True, highlight=False).print(f"{row.system}, {row.streams} streams: {late}")


def carried(rows: Sequence[LoadRow], system: str, bar_s: float) -> int:
    """Return the highest number of streams for which a system stayed within the limit."""
    within = [row.streams for row in rows if row.system == system and in_time(row, bar_s)]
    return max(within, default=0)


def in_time(row: LoadRow, bar_s: float) -> bool:
    """Return whether a step had finals, and its `late_ms` was at most `bar_s` seconds."""
    return row.late_ms is not None and row.late_ms <= 1000 * bar_s
