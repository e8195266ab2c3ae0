"""Reads and writes stored results: a command, the machine that it ran on, and its JSON line.

A run is one JSON file. `bench save` writes it, `bench results` makes the page of all of them.
"""

import json
import subprocess
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import stream
from stream.errors import UsageError

FOLDER = Path("benchmarks/results")
"""The stored runs, in a checkout."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One measurement."""

    command: str
    """The command line; folders of recordings are written as FOLDER."""
    cpu: str
    """Name of the processor."""
    instructions: str
    """Instruction sets of the processor that affect speed, such as AVX2; "" if not known."""
    cores: int
    """Number of cores that the command could use."""
    ways: str
    """The setting of `$DISTIL_STREAM_WAYS`; "" if the run is older than the setting."""
    commit: str
    """Commit of the checkout, with "+" if files were changed; "" if it was not recorded."""
    date: str
    """Date of the run, as year-month-day."""
    source: str
    """Origin of the figures: "measured", or the text from which they were copied."""
    summary: dict[str, Any]
    """The JSON object that the command printed last."""

    @property
    def kind(self) -> str:
        """The command without its arguments: `bench engine`, `evaluate`."""
        words = self.command.split()[1:]
        return " ".join(words[: 2 if words[0] in ("bench", "distil") else 1])


def machine() -> dict[str, Any]:
    """Return the fields of a `Run` that describe this machine and checkout."""
    from stream.engine.cores import usable_cores
    from stream.engine.network.choosing import processor  # imports torch

    cpu, _, instructions = processor().partition(", ")
    return {
        "cpu": cpu,
        "instructions": instructions,
        "cores": usable_cores(),
        "commit": commit(),
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
    }


def commit() -> str:
    """Return the commit of the checkout that this package is run from, or its version."""
    folder = Path(stream.__file__).parents[1]

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(folder), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        return git("rev-parse", "--short", "HEAD") + ("+" if git("status", "--short") else "")
    except (OSError, subprocess.CalledProcessError):
        return f"version {stream.__version__}"


def as_typed(arguments: Sequence[str]) -> str:
    """Return a command as text; absolute paths of this machine become FOLDER and FOLDER/name."""

    def shown(argument: str) -> str:
        path = Path(argument)
        if not path.is_absolute():
            return argument
        return "FOLDER" if path.is_dir() else f"FOLDER/{path.name}"

    return " ".join(["distil-stream", *map(shown, arguments)])


def write_run(run: Run, file: Path) -> None:
    """Write a run as JSON."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(asdict(run), ensure_ascii=False, indent=1) + "\n")


def read_runs(folder: Path) -> list[Run]:
    """Read all runs of a folder, in the order of their file names.

    Raises:
        UsageError: there is none, or a file is not a run.
    """
    runs = []
    for file in sorted(folder.glob("*.json")):
        try:
            runs.append(Run(**json.loads(file.read_text())))
        except (ValueError, TypeError) as error:
            raise UsageError(f"{file} is not a stored run: {error}.") from error
    if not runs:
        raise UsageError(f"There is no stored run in {folder}; `bench save` writes one.")
    return runs
