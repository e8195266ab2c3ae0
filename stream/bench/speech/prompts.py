"""Joins recorded prompts of a telephone system into sentences with known word edges.

Debian packages of Asterisk contain prompts spoken by people, one file for each word or phrase, in
five languages (`asterisk-core-sounds-en-wav`, and `es`, `fr`, `it`, `ru`; CC BY-SA 3.0). The
silence around each prompt is trimmed by loudness, and prompts are joined with silences of known
length.
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
"""Folder of the prompts, by language."""
SOUNDS = Path("/usr/share/asterisk/sounds")
TEXTS = Path("/usr/share/doc")

NUMBER = re.compile(r"digits/(h-)?\d|letters/")
"""Matches names of prompts that can be written in two ways."""
SPELT = re.compile(r"[\d<>\[\]()]|\.\.")
"""Matches texts that do not consist of words only."""

STEP_S = 0.005
BELOW_LOUDEST_DB = 40.0
"""Speech is at most this far below the loudest step of its prompt; the softest consonants are at
35 dB."""
ABOVE_FLOOR_DB = 8.0
"""Speech is at least this far above the noise of the recording."""
LEAST_S = 0.03
"""A shorter sound is a click."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """One file, and its text."""

    path: Path
    text: str


def prompts(language: str, sounds: Path = SOUNDS, texts: Path = TEXTS) -> list[Prompt]:
    """Return the prompts of a language that consist of words, without numbers and letters.

    Raises:
        UsageError: their package is not installed.
    """
    return [
        prompt
        for name, prompt in prompt_files(language, sounds, texts).items()
        if prompt.text and not NUMBER.match(name) and not SPELT.search(prompt.text)
    ]


def prompt_files(language: str, sounds: Path = SOUNDS, texts: Path = TEXTS) -> dict[str, Prompt]:
    """Return all prompts of a language that have a text, by their names.

    Raises:
        UsageError: their package is not installed.
    """
    package = f"asterisk-core-sounds-{language}"
    found = sorted((texts / package).glob("*.txt.gz")) or sorted(
        (texts / f"{package}-wav").glob("*.txt.gz")
    )
    if not found or not (sounds / VOICES[language]).is_dir():
        raise UsageError(f"The prompts are not installed: apt install {package}-wav.")
    files = {}
    for line in gzip.decompress(found[0].read_bytes()).decode("utf-8", "replace").splitlines():
        name, colon, text = line.partition(":")
        path = sounds / VOICES[language] / f"{name}.wav"
        if colon and path.is_file():
            files[name] = Prompt(path, text.strip(" .\t"))
    return files


def joined(
    chosen: Sequence[Prompt], pauses_s: Sequence[float]
) -> tuple[Audio, tuple[TimedWord, ...]]:
    """Return the audio of prompts, each after its pause, and their words with known edges.

    Args:
        chosen: the prompts, all with the same sample rate.
        pauses_s: the pause before each prompt, in seconds.
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
    """Return a prompt without the silence before and after its speech."""
    step = round(STEP_S * audio.rate)
    whole = audio.samples[: len(audio.samples) // step * step].astype(np.float64)
    levels = 10 * np.log10(np.square(whole).reshape(-1, step).mean(axis=1) + 1e-3)  # (n_steps,)
    floor = float(np.percentile(levels, 5)) + ABOVE_FLOOR_DB
    least = max(levels.max() - BELOW_LOUDEST_DB, min(floor, levels.max() - BELOW_LOUDEST_DB / 2))
    loud = np.flatnonzero(sustained(levels > least, round(LEAST_S / STEP_S)))
    return Audio(audio.samples[loud[0] * step : (loud[-1] + 1) * step], audio.rate)


def sustained(steps: NDArray[np.bool_], least: int) -> NDArray[np.bool_]:
    """Return the mask `steps` (n_steps,) without runs shorter than `least`, if any run is left."""
    long = steps.copy()
    edges = np.flatnonzero(np.diff(np.concatenate([[0], steps.view(np.int8), [0]])))
    for start, end in zip(edges[::2], edges[1::2], strict=True):
        if end - start < least:
            long[start:end] = False
    return long if long.any() else steps
