"""`distil-stream evaluate`: measures accuracy, latency, stability and cost of streaming.

Recordings are played through the websocket like a microphone. The events are compared with the
published text, with the transcript of the same model on the whole recording (offline, padded to
30 s), and with the guarantees of the protocol.
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter
from rich.console import Console

from stream.errors import UsageError
from stream.evaluate import adapters
from stream.evaluate.material.recordings import Channels, Recording, read_manifest
from stream.evaluate.material.suites import Suite, recordings_of
from stream.evaluate.measures.cost import Cost
from stream.evaluate.measures.targets import targets
from stream.evaluate.playback import Pace
from stream.evaluate.report.html import write_html
from stream.evaluate.report.repeats import by_repeat, repeats_json
from stream.evaluate.report.results import Result, as_json, write_json
from stream.evaluate.report.tables import print_tables
from stream.evaluate.running import serving, stream_all, transcribe_offline

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
    repeats: int = 1,
    channels: Channels = "apart",
    offline: bool = True,
    yardstick: Flag = False,
    endpointing_ms: int = 500,
    trailing_silence_s: float = 1.0,
    gap_s: float = 0.8,
    seed: int = 0,
    report: Path | None = None,
) -> int:
    """Play recordings through a server; measure accuracy, latency, stability and cost.

    Prints tables, and one JSON line last. The exit status is 1 if a committed word changed, a
    sample was not accounted for, a recording could not be played, or words were recognised in
    silence.

    Parameters
    ----------
    manifests
        Files of JSON lines, one recording in each line: `audio`, `text`, `kind`, and `words` if
        their times are known; or `cuts` to be joined.
    suite
        What to play: the recordings as they are (speech), in noise at 20, 10, 5 and 0 dB
        (noise-levels), far from the microphone in a room (far), over a telephone line that loses
        0, 1, 3 and 5 % of its packets (phone), quieter or faster (speakers), or audio without words
        (silence). May be repeated.
    noise
        Manifest of recordings without words, for noise-levels and silence. Without it, noise is
        generated.
    minutes
        Length of each sound that is generated for the suite silence.
    server
        Address of a running server, such as ws://127.0.0.1:8765. Without it, a server is started
        with the settings of the environment.
    adapter
        Protocol of the server.
    model
        Name of the model of the server that is started, and of the offline systems.
    streams
        Recordings played at the same time; the suite silence plays at least 16.
    fast
        Play as fast as the server accepts audio, not at the pace of speech; no latencies are
        measured.
    limit
        Play at most this number of recordings of each manifest, spread evenly over it.
    repeats
        Number of times that everything is played, each a millionth louder than the one before;
        means are printed with their standard errors.
    channels
        Play and score the channels of a recording with `text_by_channel` apart, or mixed to one,
        as one microphone would record them.
    offline
        Also transcribe the recordings of speech offline with the same model, padded to 30 s.
    yardstick
        Also transcribe all recordings offline with faster-whisper.
    endpointing_ms
        Silence that ends an utterance, in milliseconds.
    trailing_silence_s
        Silence after each recording, in seconds, so that silence ends its last utterance.
    gap_s
        Silence between the cuts of a recording, in seconds, if the manifest does not give it.
    seed
        Seed of all random choices: noises, their positions, lost packets.
    report
        Folder for report.json, with every event, and report.html, with plots.
    """
    recordings = read_all(manifests, gap_s, limit, channels)
    noises = [] if noise is None else spread(read_manifest(noise), limit)
    to_play = repeated(recordings_of(suite, recordings, noises, minutes, seed), repeats)
    pace = Pace(
        streams=streams,
        fast=fast,
        trailing_silence_s=trailing_silence_s,
        endpointing_ms=endpointing_ms,
    )
    costs: list[Cost] = []
    with serving(server, model, streams) as (url, pid):
        played = stream_all(to_play, adapters.streaming_adapter(adapter), url, pid, pace, costs)
    systems = ["same-model"] * offline + ["faster-whisper"] * yardstick
    results = transcribe_offline([Result(one) for one in played], systems, model, costs)
    settings = {
        "manifest": "+".join(path.stem for path in manifests),
        "server": server,
        "model": model,
        "streams": streams,
        "pace": "fast" if fast else "real time",
        "endpointing_ms": endpointing_ms,
        "channels": channels,
        "seed": seed,
    }
    summary = summed_up(settings, results, costs)
    write_report(summary, results, report)
    print(json.dumps(summary))
    return 0 if all(result.went_well() for result in results) else 1


def read_all(
    manifests: Sequence[Path], gap_s: float, limit: int | None, channels: Channels
) -> list[Recording]:
    """Return the recordings of all manifests, at most `limit` of each."""
    apart = channels == "apart"
    return [
        one for path in manifests for one in spread(read_manifest(path, gap_s, apart=apart), limit)
    ]


def repeated(recordings: Sequence[Recording], repeats: int) -> list[Recording]:
    """Return the recordings `repeats` times, each time a little louder.

    Raises:
        UsageError: there is nothing to play.
    """
    if repeats < 1:
        raise UsageError(f"repeats is {repeats}; use 1 or more.")
    if not recordings:
        raise UsageError("Nothing to play: name a manifest with recordings, or --suite silence.")
    return [one.louder(repeat) for repeat in range(repeats) for one in recordings]


def summed_up(
    settings: dict[str, Any], results: Sequence[Result], costs: Sequence[Cost]
) -> dict[str, Any]:
    """Return the settings and all figures of a run, as one JSON object."""
    summary: dict[str, Any] = {
        "command": "evaluate",
        **settings,
        **as_json(results),
        "cost": [cost.as_json() for cost in costs],
    }
    if len(by_repeat(results)) > 1:
        summary["repeats"] = repeats_json(results)
    return {**summary, "targets": targets(summary)}


def write_report(summary: dict[str, Any], results: Sequence[Result], folder: Path | None) -> None:
    """Print the tables, and write report.json and report.html into a folder, if one is given."""
    width = None if sys.stdout.isatty() else 160
    print_tables(summary, results, Console(width=width, highlight=False))
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        write_json(summary, results, folder / "report.json")
        write_html(summary, results, folder / "report.html")


def spread(recordings: Sequence[Recording], limit: int | None) -> list[Recording]:
    """Return at most `limit` recordings, taken evenly from the whole list.

    Neighbours in a list often have the same speaker.
    """
    if limit is None or limit >= len(recordings):
        return list(recordings)
    return [recordings[i * len(recordings) // limit] for i in range(limit)]
