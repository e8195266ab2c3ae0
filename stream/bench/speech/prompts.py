"""What the voice of a telephone system says, joined into sentences whose edges are known.

Debian packages hold prompts of people, each word or phrase a file of its own: Asterisk's, in five
languages (`asterisk-core-sounds-en-wav`, and `es`, `fr`, `it`, `ru`; CC BY-SA 3.0). The silence
around each is taken off by loudness, and they are joined with silences of known lengths.
"""

import gzip
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stream.bench.speech.edges import phrase
from stream.errors import UsageError
from stream.evaluate.material.recordings import Audio, read_audio
from stream.evaluate.measures.record import TimedWord

VOICES = {
    "en": "en_US_f_Allison",
    "es": "es_MX_f_Allison",
    "fr": "fr_CA_f_June",
    "it": "it_IT_m_Carlo",
    "ru": "ru_RU_f_IvrvoiceRU",
}
"""The folder of each language's prompts."""
SOUNDS = Path("/usr/share/asterisk/sounds")
TEXTS = Path("/usr/share/doc")

NUMBER = re.compile(r"digits/(h-)?\d|letters/")
"""Names of prompts that may be written in two ways."""
SPELT = re.compile(r"[\d<>\[\]()]|\.\.")
"""What a text has that is not only words."""

STEP_S = 0.005
BELOW_LOUDEST_DB = 40.0
"""Speech is not so far below the loudest step of its prompt: the softest consonants are 35 dB."""
ABOVE_FLOOR_DB = 8.0
"""Nor is it nearer to the noise of the recording."""
LEAST_S = 0.03
"""What is shorter is a click."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """What one file says."""

    path: Path
    text: str


def prompts(language: str, sounds: Path = SOUNDS, texts: Path = TEXTS) -> list[Prompt]:
    """Return the prompts of a language that are words, without numbers and letters.

    Raises:
        UsageError: their package is not installed.
    """
    package = f"asterisk-core-sounds-{language}"
    found = sorted((texts / package).glob("*.txt.gz")) or sorted(
        (texts / f"{package}-wav").glob("*.txt.gz")
    )
    if not found or not (sounds / VOICES[language]).is_dir():
        raise UsageError(f"People's prompts are not here: apt install {package}-wav.")
    kept = []
    for line in gzip.decompress(found[0].read_bytes()).decode("utf-8", "replace").splitlines():
        name, colon, text = line.partition(":")
        path = sounds / VOICES[language] / f"{name}.wav"
        text = text.strip(" .\t")
        plain = text and not NUMBER.match(name) and not SPELT.search(text)
        if colon and plain and path.is_file():
            kept.append(Prompt(path, text))
    return kept


def joined(
    chosen: Sequence[Prompt], pauses_s: Sequence[float]
) -> tuple[Audio, tuple[TimedWord, ...]]:
    """Return prompts one after the other, each after its pause, and the edges of each.

    Args:
        chosen: the prompts, of one sample rate.
        pauses_s: one a prompt, before it, in seconds.
    """
    pieces: list[NDArray[np.int16]] = []
    words: list[TimedWord] = []
    now = 0
    for prompt, pause_s in zip(chosen, pauses_s, strict=True):
        audio = trimmed(read_audio([prompt.path]))
        pieces += [np.zeros(round(pause_s * audio.rate), np.int16), audio.samples]
        start = now + len(pieces[-2])
        now = start + len(audio.samples)
        words += phrase(prompt.text, start / audio.rate, now / audio.rate)
    return Audio(np.concatenate(pieces), audio.rate), tuple(words)


def trimmed(audio: Audio) -> Audio:
    """Return a prompt from its first sound to its last."""
    step = round(STEP_S * audio.rate)
    whole = audio.samples[: len(audio.samples) // step * step].astype(np.float64)
    levels = 10 * np.log10(np.square(whole).reshape(-1, step).mean(axis=1) + 1e-3)  # (n_steps,)
    floor = float(np.percentile(levels, 5)) + ABOVE_FLOOR_DB
    least = max(levels.max() - BELOW_LOUDEST_DB, min(floor, levels.max() - BELOW_LOUDEST_DB / 2))
    loud = np.flatnonzero(sustained(levels > least, round(LEAST_S / STEP_S)))
    return Audio(audio.samples[loud[0] * step : (loud[-1] + 1) * step], audio.rate)


def sustained(steps: NDArray[np.bool_], least: int) -> NDArray[np.bool_]:
    """Return the steps (n_steps,) without those in runs shorter than `least`."""
    kept = steps.copy()
    edges = np.flatnonzero(np.diff(np.concatenate([[0], steps.view(np.int8), [0]])))
    for start, end in zip(edges[::2], edges[1::2], strict=True):
        if end - start < least:
            kept[start:end] = False
    return kept if kept.any() else steps
