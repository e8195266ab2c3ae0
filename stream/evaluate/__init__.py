"""`distil-stream evaluate`: how good are the captions, and how fast?

Recordings are played through the websocket like a microphone; the finals are held against the
published text and against the same model that hears each recording offline and fully padded.
"""

import asyncio
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter
from rich.console import Console
from rich.progress import Progress, TimeElapsedColumn, track

from stream.config import ServerConfig
from stream.errors import UsageError
from stream.evaluate.offline import OfflineTranscriber, offline_text
from stream.evaluate.playback import Played, play_all
from stream.evaluate.recordings import Recording, read_manifest, silences
from stream.evaluate.report import Result, as_json, print_tables, write_report
from stream.server.app import running_server

if TYPE_CHECKING:
    from stream.engine.transcriber import WhisperTranscriber


def evaluate(
    manifest: Path | None = None,
    /,
    *,
    server: str | None = None,
    model: str = "base",
    streams: int = 4,
    fast: Annotated[bool, Parameter(negative=())] = False,
    limit: int | None = None,
    offline: bool = True,
    trailing_silence_s: float = 0.0,
    silence_minutes: float = 0.0,
    report: Path | None = None,
) -> int:
    """Play recordings through a server and count word errors, broken promises and milliseconds.

    Prints tables, and one JSON line last. The exit status is 1 when a committed word changed, a
    sample was not accounted for, a recording could not be played, or words were heard in silence.

    Parameters
    ----------
    manifest
        JSON lines, a recording each: `audio`, `text`, `kind`.
    server
        Address of a running server, such as ws://127.0.0.1:8765; without it, one is started.
    model
        Name of the model: of the server that is started, and of the offline reference.
    streams
        Recordings played at a time.
    fast
        Play as fast as the server takes it, not at the pace of speech.
    limit
        Play so many recordings only, spread over the manifest.
    offline
        Transcribe each recording offline too, plainly and fully padded.
    trailing_silence_s
        Silence after each recording, in seconds, so that its last utterance ends by itself.
    silence_minutes
        Play so many minutes of digital zeros, of low noise and of a room's noise, too.
    report
        File for the details: JSON lines, a recording each.
    """
    recordings = [] if manifest is None else spread(read_manifest(manifest), limit)
    quiet = silences(silence_minutes) if silence_minutes else []
    if not recordings and not quiet:
        raise UsageError("Nothing to play: name a manifest, or --silence-minutes.")
    transcriber = load(model) if offline or server is None else None

    async def stream() -> list[Played]:
        if server is not None:
            return await stream_all(recordings, quiet, server, streams, fast, trailing_silence_s)
        assert transcriber is not None
        async with running_server(ServerConfig(port=0), transcriber) as url:
            return await stream_all(recordings, quiet, url, streams, fast, trailing_silence_s)

    results = [Result(played) for played in asyncio.run(stream())]
    if offline and transcriber is not None:
        results = with_offline(results, transcriber)
    print_tables(results, Console(width=None if sys.stdout.isatty() else 150, highlight=False))
    if report is not None:
        write_report(results, report)
    summary = {
        "command": "evaluate",
        "manifest": manifest and manifest.stem,
        "model": model,
        "streams": streams,
        "pace": "fast" if fast else "real time",
        **as_json(results),
    }
    print(json.dumps(summary))
    return 0 if all(went_well(result) for result in results) else 1


def load(model: str) -> "WhisperTranscriber":
    """Return the model, warm: it serves the stream and the offline reference."""
    from stream.engine.transcriber import WhisperTranscriber

    transcriber = WhisperTranscriber(model)
    transcriber.warm_up()
    return transcriber


def spread(recordings: Sequence[Recording], limit: int | None) -> list[Recording]:
    """Return at most `limit` recordings, evenly spread: neighbours are often of one speaker."""
    if limit is None or limit >= len(recordings):
        return list(recordings)
    return [recordings[i * len(recordings) // limit] for i in range(limit)]


async def stream_all(
    recordings: Sequence[Recording],
    quiet: Sequence[Recording],
    url: str,
    streams: int,
    fast: bool,
    trailing_silence_s: float,
) -> list[Played]:
    """Play everything to a server, the silences as fast as it takes them."""
    columns = (*Progress.get_default_columns(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task("streaming", total=len(recordings) + len(quiet))

        def on_played(played: Played) -> None:
            progress.advance(task)

        played = await play_all(
            recordings,
            url,
            streams=streams,
            fast=fast,
            trailing_silence_s=trailing_silence_s,
            on_played=on_played,
        )
        # Of silence nothing is to be learnt at the pace of speech.
        silent = await play_all(quiet, url, streams=streams, fast=True, on_played=on_played)
        return played + silent


def with_offline(results: Sequence[Result], transcriber: OfflineTranscriber) -> list[Result]:
    """Add what the model hears offline in the recordings whose text is known."""
    return [
        Result(result.played, offline_text(transcriber, result.played.recording.read()))
        if result.played.recording.text
        else result
        for result in track(results, "offline", console=Console(stderr=True))
    ]


def went_well(result: Result) -> bool:
    """Whether every promise was kept, and silence stayed silent."""
    played = result.played
    invented = played.recording.kind == "silence" and played.text
    return not (played.violations or played.failure or invented)
