"""Runs an evaluation: plays the recordings to a server, and transcribes them offline."""

import asyncio
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, TimeElapsedColumn

from stream.evaluate import adapters
from stream.evaluate.material.recordings import Recording
from stream.evaluate.measures.cost import Cost, listening_pid, measured
from stream.evaluate.playback import Pace, Played, play_all
from stream.evaluate.report.results import Result, by_suite
from stream.evaluate.server_process import server_process

SILENT_STREAMS = 16
"""Least number of recordings of the suite silence that are played at the same time."""


@contextmanager
def serving(server: str | None, model: str, streams: int) -> Iterator[tuple[str, int | None]]:
    """Yield the address and process id of a server; start one if no address is given.

    The process id of a running server is None if it cannot be found on this machine.
    """
    if server is not None:
        yield server, listening_pid(server)
    else:
        # "wait": the server must not skip partials because this machine is busy.
        with server_process(model, streams, "wait") as found:
            yield found


def stream_all(
    recordings: Sequence[Recording],
    adapter: adapters.StreamingAdapter,
    url: str,
    pid: int | None,
    pace: Pace,
    costs: list[Cost],
) -> list[Played]:
    """Play all recordings, suite by suite, and append the cost of each suite to `costs`."""
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
                    play_all(members, adapter, url, own, lambda _, task=task: bars.advance(task))  # type: ignore[misc]
                )
            cost.audio_s = sum(one.seconds + own.trailing_silence_s for one in played)
            costs.append(cost)
            found += played
    return found


def pace_of(suite: str, pace: Pace) -> Pace:
    """Return the pace of a suite: silence has no latencies, so more streams run in parallel."""
    if suite != "silence":
        return pace
    return replace(pace, streams=max(pace.streams, SILENT_STREAMS), trailing_silence_s=0.0)


def transcribe_offline(
    results: Sequence[Result], systems: Sequence[str], model: str, costs: list[Cost]
) -> list[Result]:
    """Transcribe the recordings with each offline system, and append its cost to `costs`.

    The system `same-model` transcribes only recordings whose words or turns are known.
    """
    with progress() as bars:
        for system in systems:
            transcribe = adapters.load_offline(system, model)
            for name, members in by_suite(results).items():
                chosen = [
                    r for r in members
                    if has_speech(r.played.recording)
                    or (system != "same-model" and not r.played.failure)
                ]  # fmt: skip
                if not chosen:
                    continue
                task = bars.add_task(f"{system}: {name}", total=len(chosen))
                with measured(Cost(system, name), os.getpid()) as cost:
                    for result in chosen:
                        channels = result.played.recording.read().channels()
                        result.offline[system] = tuple(transcribe(one) for one in channels)
                        bars.advance(task)
                cost.audio_s = sum(r.played.seconds for r in chosen)
                cost.peak_bytes = 0  # this process also holds the events, and other systems
                costs.append(cost)
    return list(results)


def has_speech(recording: Recording) -> bool:
    """Return whether the words of a recording, or the turns of its speakers, are known."""
    return bool(recording.text or recording.turns)


def progress() -> Progress:
    """Return progress bars on stderr, one for each task."""
    columns = (*Progress.get_default_columns(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=Console(stderr=True))
