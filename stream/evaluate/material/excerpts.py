"""Cuts the joined recordings of a manifest into excerpts of about the same length."""

import json
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path
from typing import Any

from stream.errors import UsageError
from stream.evaluate.material.recordings import Recording, recording


def read_excerpts(path: Path, count: int, seconds: float, gap_s: float) -> list[Recording]:
    """Return excerpts of a manifest's joined recordings: consecutive whole cuts, just long enough.

    The first excerpt of every recording comes before the second excerpt of any.

    Args:
        path: a manifest whose recordings have `cuts`, each with its `seconds`.
        count: number of excerpts.
        seconds: the least duration of each.
        gap_s: seconds of pause between the cuts of an excerpt.

    Raises:
        UsageError: the file is not such a manifest, or has too few excerpts.
    """
    try:
        entries = [json.loads(line) for line in path.read_text().splitlines() if line.strip()]
        excerpts = [list(excerpts_of(entry["cuts"], seconds, gap_s)) for entry in entries]
        turns = zip_longest(*excerpts)
        chosen = [cuts for turn in turns for cuts in turn if cuts is not None][:count]
        found = [recording({"cuts": cuts}, path.parent, gap_s) for cuts in chosen]
    except OSError as error:
        raise UsageError(f"The manifest {path} cannot be read: {error.strerror}.") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"{path} is not a manifest of joined recordings: {error!r}.") from error
    if len(found) < count:
        raise UsageError(f"{path} has only {len(found)} excerpts of {seconds:g} s, not {count}.")
    return found


def excerpts_of(
    cuts: list[dict[str, Any]], seconds: float, gap_s: float
) -> Iterator[list[dict[str, Any]]]:
    """Yield consecutive cuts of at least `seconds` in all; a shorter rest is left out."""
    excerpt: list[dict[str, Any]] = []
    length_s = -gap_s
    for cut in cuts:
        excerpt.append(cut)
        length_s += cut["seconds"] + gap_s
        if length_s >= seconds:
            yield excerpt
            excerpt, length_s = [], -gap_s
