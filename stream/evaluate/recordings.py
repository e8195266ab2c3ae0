"""What an evaluation plays: the recordings of a manifest, or silence and noise made up for it.

A manifest is JSON lines, a recording each: `audio` (a path from the manifest's folder), `text`
(what was said, null where nobody wrote it down) and `kind`; or `cuts`, a list of such recordings
that are joined with a pause.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stream.core.audio import SAMPLE_RATE
from stream.errors import UsageError

CUT_GAP_S = 0.8
"""The pause between the cuts of a joined recording."""

NO_SPEECH = frozenset({"noise", "silence"})
"""Kinds that hold no speech: every word heard in them was invented."""


@dataclass(frozen=True, slots=True)
class Audio:
    """One channel of 16-bit audio."""

    samples: NDArray[np.int16]
    """(n_samples,)"""
    rate: int
    """Hertz."""

    @property
    def seconds(self) -> float:
        """How long it plays."""
        return len(self.samples) / self.rate


@dataclass(frozen=True, slots=True)
class Recording:
    """One thing to play, and what is said in it."""

    name: str
    kind: str
    source: str
    """Where it comes from; the results are given for each source apart."""
    text: str | None
    """The reference; empty where nothing is said, None where it is not known."""
    read: Callable[[], Audio]
    """Reads or makes the audio."""


def read_manifest(path: Path) -> list[Recording]:
    """Return a manifest's recordings; raises `UsageError` where it is none."""
    try:
        entries = [json.loads(line) for line in path.read_text().splitlines() if line.strip()]
        return [recording(entry, path.parent) for entry in entries]
    except OSError as error:
        raise UsageError(f"The manifest {path} cannot be read: {error.strerror}.") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"{path} is not a manifest of JSON lines: {error!r}.") from error


def recording(entry: dict[str, Any], folder: Path) -> Recording:
    """Make a recording of a manifest's line."""
    cuts = entry.get("cuts", [entry])
    names = [cut["audio"] for cut in cuts]
    texts = [cut["text"] for cut in cuts]
    kind = entry.get("kind", "joined")
    if kind in NO_SPEECH:
        text: str | None = ""
    else:
        text = None if None in texts else " ".join(texts)
    return Recording(
        name=names[0],
        kind=kind,
        # The folder that holds the corpus: audio/CORPUS/…
        source=Path(names[0]).parts[1] if len(Path(names[0]).parts) > 2 else kind,
        text=text,
        read=lambda: read_audio([folder / name for name in names]),
    )


def read_audio(paths: list[Path]) -> Audio:
    """Read files as one channel, joined with `CUT_GAP_S` of silence between them."""
    import soundfile

    pieces: list[NDArray[np.float32]] = []
    rates = set()
    for path in paths:
        try:
            samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
        except (OSError, soundfile.LibsndfileError) as error:
            raise UsageError(f"{path} cannot be read: {error}.") from error
        rates.add(rate)
        pieces += [samples.mean(axis=1), np.zeros(round(CUT_GAP_S * rate), np.float32)]
    if len(rates) > 1:
        raise UsageError(f"{paths[0]} is joined with cuts of other sample rates.")
    return Audio(to_int16(np.concatenate(pieces[:-1])), rates.pop())


def to_int16(samples: NDArray[Any]) -> NDArray[np.int16]:
    """Turn samples of -1..1 into 16-bit ones."""
    return np.clip(np.round(samples * 32_768), -32_768, 32_767).astype(np.int16)


def silences(minutes: float, seed: int = 0) -> list[Recording]:
    """Return three recordings of nothing: digital zeros, low noise, and a room's noise."""
    n_samples = round(minutes * 60 * SAMPLE_RATE)
    made: dict[str, Callable[[], NDArray[np.float64]]] = {
        "zeros": lambda: np.zeros(n_samples),
        "white noise at -60 dBFS": lambda: noise(n_samples, 0.0, -60, seed),
        "pink noise at -50 dBFS": lambda: noise(n_samples, 0.5, -50, seed),
    }
    return [
        Recording(name, "silence", name, "", lambda make=make: Audio(to_int16(make()), SAMPLE_RATE))  # type: ignore[misc]
        for name, make in made.items()
    ]


def noise(n_samples: int, slope: float, dbfs: float, seed: int) -> NDArray[np.float64]:
    """Return noise whose amplitude falls as frequency**-slope: 0 is white, 0.5 pink.

    `dbfs` is its root mean square level in decibels of full scale.
    """
    spectrum = np.fft.rfft(np.random.default_rng(seed).standard_normal(n_samples))
    spectrum[0] = 0.0
    spectrum[1:] *= np.arange(1, len(spectrum)) ** -slope
    samples = np.fft.irfft(spectrum, n_samples)
    return np.asarray(samples * 10 ** (dbfs / 20) / samples.std())
