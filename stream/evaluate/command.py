"""`distil-stream evaluate`: how good are the captions, how soon, how steady, at what cost?

Recordings are played through the websocket like a microphone. What comes back is held against the
published text, against the same model that hears each recording offline and fully padded, and
against the promises of the protocol.
"""

import asyncio
import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter
from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, TimeElapsedColumn

from stream.errors import UsageError
from stream.evaluate import adapters
from stream.evaluate.material.recordings import Recording, read_manifest
from stream.evaluate.material.suites import Suite, recordings_of
from stream.evaluate.measures.cost import Cost, listening_pid, measured
from stream.evaluate.measures.targets import targets
from stream.evaluate.playback import Pace, Played, play_all
from stream.evaluate.report.html import write_html
from stream.evaluate.report.results import Result, as_json, by_suite, write_json
from stream.evaluate.report.tables import print_tables
from stream.evaluate.server_process import server_process

SILENT_STREAMS = 16
"""Recordings without words that are played at a time, at least."""

Flag = Annotated[bool, Parameter(negative=())]


def evaluate(
    *manifests: Path,
    suite: Annotated[tuple[Suite, ...], Parameter(negative=())] = ("speech",),
    noise: Path | None = None,
    minutes: float = 1.0,
    server: str | None = None,
    adapter: Literal["native"] = "native",
    model: str = "base",
    streams: int = 4,
    fast: Flag = False,
    limit: int | None = None,
    offline: bool = True,
    yardstick: Flag = False,
    endpointing_ms: int = 500,
    trailing_silence_s: float = 1.0,
    gap_s: float = 0.8,
    seed: int = 0,
    report: Path | None = None,
) -> int:
    """Play recordings through a server and measure words, milliseconds, flicker and cost.

    Prints tables, and one JSON line last. The exit status is 1 when a committed word changed, a
    sample was not accounted for, a recording could not be played, or words were heard in silence.

    Parameters
    ----------
    manifests
        JSON lines, a recording each: `audio`, `text`, `kind`, and `words` where their times are
        known; or `cuts` to be joined.
    suite
        What to play: the recordings as they are (speech), in noise at 20, 10, 5 and 0 dB
        (noise-levels), over a telephone that loses 0, 1, 3 and 5 % of its packets (phone), said
        softly or fast (speakers), or what holds no words (silence). May be repeated.
    noise
        Manifest of recordings without words, for noise-levels and silence; noise is made without.
    minutes
        Length of each sound that is made for the suite silence.
    server
        Address of a running server, such as ws://127.0.0.1:8765; without it, one is started, with
        the settings that the environment holds.
    adapter
        Protocol that the server speaks.
    model
        Name of the model: of the server that is started, and of those that hear offline.
    streams
        Recordings played at a time; of what holds no words, sixteen at least.
    fast
        Play as fast as the server takes it, not at the pace of speech: there are no latencies then.
    limit
        Play so many recordings of each manifest only, spread over it.
    offline
        Have the same model transcribe what was said offline too, plainly and fully padded.
    yardstick
        Have faster-whisper transcribe everything offline too.
    endpointing_ms
        Silence that ends an utterance.
    trailing_silence_s
        Silence after each recording, in seconds, so that its last utterance ends by itself.
    gap_s
        Silence between the cuts of a recording, in seconds, where the manifest does not say.
    seed
        Of all chance: noises, their places, lost packets.
    report
        Folder for report.json, with every event, and report.html, with plots.
    """
    recordings = [one for path in manifests for one in spread(read_manifest(path, gap_s), limit)]
    noises = [] if noise is None else spread(read_manifest(noise), limit)
    to_play = recordings_of(suite, recordings, noises, minutes, seed)
    if not to_play:
        raise UsageError("Nothing to play: name a manifest with recordings, or --suite silence.")
    costs: list[Cost] = []
    pace = Pace(
        streams=streams,
        fast=fast,
        trailing_silence_s=trailing_silence_s,
        endpointing_ms=endpointing_ms,
    )
    with serving(server, model, streams) as (url, pid):
        played = stream_all(to_play, adapters.listener(adapter), url, pid, pace, costs)
    systems = ["same-model"] * offline + ["faster-whisper"] * yardstick
    results = hear_offline([Result(one) for one in played], systems, model, costs)
    summary: dict[str, Any] = {
        "command": "evaluate",
        "manifest": "+".join(path.stem for path in manifests),
        "server": server,
        "model": model,
        "streams": streams,
        "pace": "fast" if fast else "real time",
        "endpointing_ms": endpointing_ms,
        "seed": seed,
        **as_json(results),
        "cost": [cost.as_json() for cost in costs],
    }
    summary["targets"] = targets(summary)
    write_report(summary, results, report)
    print(json.dumps(summary))
    return 0 if all(result.went_well() for result in results) else 1


def write_report(summary: dict[str, Any], results: Sequence[Result], folder: Path | None) -> None:
    """Print the tables, and write report.json and report.html into a folder, if one is given."""
    width = None if sys.stdout.isatty() else 160
    print_tables(summary, results, Console(width=width, highlight=False))
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        write_json(summary, results, folder / "report.json")
        write_html(summary, results, folder / "report.html")


def spread(recordings: Sequence[Recording], limit: int | None) -> list[Recording]:
    """Return at most `limit` recordings, evenly spread: neighbours are often of one speaker."""
    if limit is None or limit >= len(recordings):
        return list(recordings)
    return [recordings[i * len(recordings) // limit] for i in range(limit)]


@contextmanager
def serving(server: str | None, model: str, streams: int) -> Iterator[tuple[str, int | None]]:
    """Yield a server's address and process id, if it is to be seen; starts one unless it runs."""
    if server is not None:
        yield server, listening_pid(server)
    else:
        # What is measured shall not depend on how busy this machine is.
        with server_process(model, streams, "wait") as found:
            yield found


def stream_all(
    recordings: Sequence[Recording],
    listen: adapters.Listen,
    url: str,
    pid: int | None,
    pace: Pace,
    costs: list[Cost],
) -> list[Played]:
    """Play everything, suite by suite."""
    suites: dict[str, list[Recording]] = {}
    for recording in recordings:
        suites.setdefault(recording.suite, []).append(recording)
    found: list[Played] = []
    with progress() as bars:
        for name, members in suites.items():
            task = bars.add_task(f"streaming {name}", total=len(members))
            own = pace_of(name, pace)
            with measured(Cost("streamed", name), pid) as cost:
                played = asyncio.run(
                    play_all(members, listen, url, own, lambda _, task=task: bars.advance(task))  # type: ignore[misc]
                )
            cost.audio_s = sum(one.seconds + own.trailing_silence_s for one in played)
            costs.append(cost)
            found += played
    return found


def pace_of(suite: str, pace: Pace) -> Pace:
    """Return how a suite is played: of silence no latency is measured, so more go side by side."""
    if suite != "silence":
        return pace
    return replace(pace, streams=max(pace.streams, SILENT_STREAMS), trailing_silence_s=0.0)


def hear_offline(
    results: Sequence[Result], systems: Sequence[str], model: str, costs: list[Cost]
) -> list[Result]:
    """Have each offline system transcribe what was played; the same model only what was said."""
    with progress() as bars:
        for system in systems:
            transcribe = adapters.offline(system, model)
            for name, members in by_suite(results).items():
                heard = [
                    r for r in members
                    if r.played.recording.text or (system != "same-model" and not r.played.failure)
                ]  # fmt: skip
                if not heard:
                    continue
                task = bars.add_task(f"{system}: {name}", total=len(heard))
                with measured(Cost(system, name), os.getpid()) as cost:
                    for result in heard:
                        result.offline[system] = transcribe(result.played.recording.read())
                        bars.advance(task)
                cost.audio_s = sum(r.played.seconds for r in heard)
                cost.peak_bytes = 0  # this process also holds the events, and other systems
                costs.append(cost)
    return list(results)


def progress() -> Progress:
    """Return bars on stderr, one a task."""
    columns = (*Progress.get_default_columns(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=Console(stderr=True))
