"""Reads the passages of speech for distillation, and finds those that follow each other.

A manifest is a file of JSON lines: `audio` (a path relative to the manifest's folder), `start` and
`end` in seconds, `text` or null, and optionally `speaker`. Without `start` and `end`, a passage is
the whole file.
"""

import json
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stream.core.audio import SAMPLE_RATE
from stream.errors import UsageError
from stream.evaluate.material.recordings import at_16_khz, read_audio

JOINED_WITHIN_S = 0.5
"""Passages of one speaker are one run of speech if the pause between them is at most this long."""
LONGEST_S = 28.0
"""Maximum length of a window in the server."""


@dataclass(frozen=True, slots=True)
class Passage:
    """A part of a sound file that contains speech; times are seconds of the file.

    Passages that follow each other without a long pause belong to the same `run`.
    """

    audio: Path
    start_s: float
    end_s: float
    text: str | None
    """Reference text; None if it is not known."""
    run: int = 0
    """Number of the run of speech that the passage is part of; a window is within one run."""
    run_end_s: float = 0.0
    """End of that run in the file."""


def read_passages(manifest: Path) -> list[Passage]:
    """Return the passages of a manifest.

    Raises:
        UsageError: the file cannot be read or is not a manifest.
    """
    try:
        lines = [json.loads(line) for line in manifest.read_text().splitlines() if line.strip()]
        passages = [passage(entry, manifest.parent) for entry in lines]
    except OSError as error:
        raise UsageError(f"The manifest {manifest} cannot be read: {error.strerror}.") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"{manifest} is not a manifest of JSON lines: {error!r}.") from error
    speakers = [str(entry.get("speaker") or "") for entry in lines]
    return with_runs(passages, speakers)


def passage(entry: dict[str, Any], folder: Path) -> Passage:
    """Return the passage that a line of a manifest describes; `folder` is the manifest's.

    Raises:
        ValueError: the start is not before the end.
    """
    path = folder / entry["audio"]
    start_s = float(entry.get("start", 0.0))
    end_s = float(entry["end"]) if "end" in entry else len(read_file(path)) / SAMPLE_RATE
    if not 0 <= start_s < end_s:
        raise ValueError(f"{path.name}: a passage from {start_s:g} to {end_s:g} s")
    return Passage(path, start_s, end_s, entry.get("text", entry.get("reference")))


def with_runs(passages: list[Passage], speakers: list[str]) -> list[Passage]:
    """Number the runs of speech: consecutive passages of a named speaker without a long pause."""
    runs: list[int] = []
    ends_s: dict[int, float] = {}
    for i, this in enumerate(passages):
        previous = passages[i - 1]
        goes_on = (
            i > 0
            and previous.audio == this.audio
            and bool(speakers[i])
            and speakers[i - 1] == speakers[i]
            and 0 <= this.start_s - previous.end_s <= JOINED_WITHIN_S
        )
        runs.append(runs[-1] if goes_on else len(ends_s))
        ends_s[runs[-1]] = this.end_s
    return [
        replace(p, run=run, run_end_s=ends_s[run]) for p, run in zip(passages, runs, strict=True)
    ]


@lru_cache(maxsize=2)
def read_file(path: Path) -> NDArray[np.float32]:
    """Return the samples of a sound file, (n_samples,) at 16 kHz; the last two files are cached."""
    return at_16_khz(read_audio([path]))


def read_span(path: Path, start_s: float, end_s: float) -> NDArray[np.float32]:
    """Return a part of a sound file, (n_samples,) at 16 kHz."""
    return read_file(path)[round(start_s * SAMPLE_RATE) : round(end_s * SAMPLE_RATE)]
