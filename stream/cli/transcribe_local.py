"""`distil-stream transcribe` without a server: transcribe recordings as fast as possible."""

import glob
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from stream.errors import UsageError
from stream.recordings.api import Channels, Model, Run
from stream.recordings.formats import FORMATS, speaker
from stream.recordings.results import Segment

STDIN = Path("-")
INTERRUPTED = 130

SUFFIXES = tuple(
    f".{name}"
    for name in (
        *("3gp", "aac", "aif", "aiff", "amr", "avi", "flac", "flv", "m4a", "m4b", "m4v", "mka"),
        *("mkv", "mov", "mp2", "mp3", "mp4", "mpeg", "mpg", "mts", "oga", "ogg", "ogv", "opus"),
        *("ts", "wav", "webm", "wma", "wmv"),
    )
)
"""Suffixes of the files that are transcribed if a folder is named; a file that is named itself can
have any suffix."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputOptions:
    """Options of the transcription, and the format and the folder of the transcripts."""

    format: str = "txt"
    output: Path | None = None
    """Folder of the transcripts; None to print them."""
    words: bool = False
    """Whether to print the words below each line."""
    channels: Channels = "mix"
    options: dict[str, Any] = field(default_factory=dict)
    """Keyword arguments of `Model.segments`; see `FileOptions`."""


def transcribe_offline(model: Model, files: Sequence[Path], output: OutputOptions) -> int:
    """Transcribe recordings one after the other; return the exit status.

    If one cannot be transcribed, the error is printed and the others are still transcribed. After
    an interrupt, the transcript so far of the current recording is written.
    """
    paths = recordings(files)
    targets = [target(path, paths, output) for path in paths]
    status = 0
    for path, file in zip(paths, targets, strict=True):
        label = f"{path.name}: " if len(paths) > 1 else ""
        try:
            transcribe_one(model, path, file, label, output)
        except UsageError as error:
            print(error, file=sys.stderr)
            status = 1
        except KeyboardInterrupt:
            return INTERRUPTED
    return status


def transcribe_one(
    model: Model, path: Path, file: Path | None, label: str, output: OutputOptions
) -> None:
    """Transcribe one recording; print its segments as they are completed, or write a file."""
    source = sys.stdin.buffer if path == STDIN else path
    run = model.segments(source, channels=output.channels, **output.options)
    console = Console(soft_wrap=True, highlight=False, markup=False, emoji=False)
    segments: list[Segment] = []
    as_it_comes = file is None and output.format == "txt"
    try:
        with progress_of(run, path.name) as update:
            for segment in run:
                segments.append(segment)
                if as_it_comes:
                    show(console, segment, label + speaker(segment, run.channels), output.words)
                update()
    finally:
        if segments or not sys.exc_info()[0]:
            result = run.transcription(segments)
            if not as_it_comes:
                text = FORMATS[output.format](result)
                if file is None:
                    sys.stdout.write(text)
                else:
                    write(file, text)
    for problem in run.problems:
        print(problem, file=sys.stderr)


def show(console: Console, segment: Segment, label: str, words: bool) -> None:
    """Print one segment."""
    console.print(label + segment.text)
    for word in segment.words if words else ():
        times = f"{word.start_s:10.2f}{word.end_s:10.2f}{word.confidence:7.2f}"
        console.print(f"{times}  {word.text.strip()}")


def write(file: Path, text: str) -> None:
    """Write a transcript atomically. Raises `UsageError` if that fails."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        partial = file.with_name(f".{file.name}.part")
        partial.write_text(text, encoding="utf-8")
        partial.replace(file)
    except OSError as error:
        raise UsageError(f"{file} cannot be written: {error.strerror}.") from error


@contextmanager
def progress_of(run: Run, name: str) -> Iterator[Any]:
    """Show a progress bar with speed and remaining time, if stderr is a terminal.

    Yields a function that updates it.
    """
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda: None
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:3.0f} %"),
        TextColumn("{task.fields[speed]:.1f} x real time"),
        TimeRemainingColumn(),
    )
    began = time.monotonic()
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(name, total=None, speed=0.0)

        def update() -> None:
            speed = run.processed_s / max(time.monotonic() - began, 1e-3)
            progress.update(task, total=run.duration_s, completed=run.processed_s, speed=speed)

        yield update


def recordings(files: Sequence[Path]) -> list[Path]:
    """Expand folders and patterns to files; return the paths without duplicates.

    Raises:
        UsageError: a folder has no recordings, or a pattern matches no file.
    """
    found: list[Path] = []
    for path in files:
        if path.is_dir():
            inside = sorted(p for p in path.rglob("*") if p.suffix.lower() in SUFFIXES)
            if not inside:
                raise UsageError(f"There are no recordings in the folder {path}.")
            found += inside
        elif path != STDIN and not path.exists() and glob.has_magic(str(path)):
            inside = sorted(map(Path, glob.glob(str(path), recursive=True)))
            if not inside:
                raise UsageError(f"No file matches {path}.")
            found += inside
        else:
            found.append(path)
    return list(dict.fromkeys(found))


def target(path: Path, paths: Sequence[Path], output: OutputOptions) -> Path | None:
    """Return the file of a transcript, unique among `paths`; None to print it."""
    if output.output is None:
        return None
    for n in range(len(path.parts) + 1):
        stem = stem_of(path, n)
        if sum(stem_of(other, n) == stem for other in paths) == 1:
            break
    return output.output / f"{stem}.{output.format}"


def stem_of(path: Path, n_parts: int) -> str:
    """Return the name of a transcript, without the suffix of its format.

    It is the stem of the recording's path if `n_parts` is 0, else the last `n_parts` parts of the
    path, joined by `_` (`a_talk.wav` for 2 parts of `x/a/talk.wav`).
    """
    if path == STDIN:
        return "stdin"
    parts = [part for part in path.parts if part != path.anchor]
    return "_".join(parts[-n_parts:]) if n_parts else path.stem
