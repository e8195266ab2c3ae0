"""Chooses the windows that a student is trained on: cut, padded and degraded as in the server.

Variant 0 of a passage is the passage itself with the silence that the server adds; it can be
compared with the reference. All other variants are drawn at random from the run of speech that
begins with the passage. They depend only on the seed, the passage and the number of the variant.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stream.core.audio import SAMPLE_RATE
from stream.distil.passages import LONGEST_S, Passage, read_file, read_span
from stream.engine.checkpoints.calibration import DEFAULT_MARGIN_S
from stream.engine.whisper_transcriber import FULL_S, LEAST_S
from stream.evaluate.material.mixing import seeded_rng, speech_power
from stream.evaluate.material.phone import phone_line
from stream.evaluate.material.recordings import Audio, at_16_khz, to_int16
from stream.evaluate.material.sounds import keyboard, music, noise

SHORTEST_S = 0.7
"""Shortest random window, about as long as the first partial of an utterance."""
USUAL_LONGEST_S = 20.0
SPEEDS = (0.9, 0.95, 1.05, 1.1)
LEAST_SNR_DB, MOST_SNR_DB = 0.0, 25.0
VOICES = 6
"""Voices in a babble."""
FULL_SHARE, WHOLE_START_SHARE, SPEED_SHARE, NOISE_SHARE, PHONE_SHARE = 0.03, 0.5, 0.3, 0.4, 0.25
"""Shares of the windows that are padded to 30 s, begin at the start of their passage, are played
faster or slower, are in noise, are sent over a telephone line."""
NOISES = ("white", "pink", "brown", "babble", "keyboard", "music")


@dataclass(frozen=True, slots=True)
class Cut:
    """A window, and how its audio is changed."""

    start_s: float
    """Seconds from the start of the file."""
    end_s: float
    silence_s: float = DEFAULT_MARGIN_S
    """Silence after the speech; more is added up to the shortest length that the server encodes."""
    speed: float = 1.0
    noise: str = ""
    """One of `NOISES`, or "" for none."""
    snr_db: float = 0.0
    phone: bool = False


def draw_cut(passage: Passage, rng: np.random.Generator) -> Cut:
    """Draw a window that begins within the passage and ends anywhere in its run of speech."""
    length_s = passage.end_s - passage.start_s
    start_s = passage.start_s
    if rng.random() >= WHOLE_START_SHARE:
        start_s += rng.uniform(0, max(length_s - SHORTEST_S, 0))
    longest_s = min(passage.run_end_s - start_s, USUAL_LONGEST_S)
    end_s = start_s + rng.uniform(min(SHORTEST_S, longest_s), longest_s)
    silence_s = FULL_S if rng.random() < FULL_SHARE else rng.uniform(0, 2 * DEFAULT_MARGIN_S)
    speed = float(rng.choice(SPEEDS)) if rng.random() < SPEED_SHARE else 1.0
    noisy = rng.random() < NOISE_SHARE
    return Cut(
        start_s=start_s,
        end_s=end_s,
        silence_s=silence_s,
        speed=speed,
        noise=str(rng.choice(NOISES)) if noisy else "",
        snr_db=rng.uniform(LEAST_SNR_DB, MOST_SNR_DB) if noisy else 0.0,
        phone=bool(rng.random() < PHONE_SHARE),
    )


def whole(passage: Passage) -> Cut:
    """Return the cut of a whole passage, or of its first `LONGEST_S` seconds."""
    return Cut(passage.start_s, min(passage.end_s, passage.start_s + LONGEST_S))


def cut_of(passage: Passage, number: int, variant: int, seed: int) -> Cut:
    """Return the cut of a variant of a passage.

    Args:
        passage: the passage.
        number: its index in the manifest.
        variant: number of the variant.
        seed: seed of all random choices.
    """
    if variant == 0:
        return whole(passage)
    return draw_cut(passage, seeded_rng(seed, f"{number}-{variant}"))


def read_cut(passage: Passage, cut: Cut, rng: np.random.Generator) -> NDArray[np.float32]:
    """Return the speech of a window, (n_samples,) at 16 kHz, changed as the cut describes."""
    samples = read_span(passage.audio, cut.start_s, cut.end_s)
    if cut.speed != 1.0:
        samples = at_16_khz(Audio(to_int16(samples), round(SAMPLE_RATE * cut.speed)))
    if cut.noise:
        samples = in_noise(samples, make_noise(cut.noise, passage, len(samples), rng), cut.snr_db)
    if cut.phone:
        samples = at_16_khz(phone_line(Audio(to_int16(samples), SAMPLE_RATE), 0.0, rng))
    return samples


def encoded_samples(n_samples: int, silence_s: float) -> int:
    """Return how many samples the server encodes for a window of `n_samples` of speech."""
    wanted = max(n_samples + round(silence_s * SAMPLE_RATE), round(LEAST_S * SAMPLE_RATE))
    return min(wanted, round(FULL_S * SAMPLE_RATE))


def make_noise(
    name: str, passage: Passage, n_samples: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Return noise, (n_samples,) of any level.

    Args:
        name: one of `NOISES`.
        passage: the passage; a babble is mixed from the speech of its file.
        n_samples: length of the noise.
        rng: the random generator.
    """
    match name:
        case "babble":
            voices = read_file(passage.audio)
            starts = rng.integers(len(voices), size=VOICES)
            places = starts[:, None] + np.arange(n_samples)
            return np.asarray(np.take(voices, places, mode="wrap").sum(0, dtype=np.float64))
        case "keyboard":
            return keyboard(n_samples, rng)
        case "music":
            return music(n_samples, rng)
        case _:
            slope = {"white": 0.0, "pink": 0.5, "brown": 1.0}[name]
            return noise(n_samples, slope, -20, rng)


def in_noise(
    samples: NDArray[np.float32], noise: NDArray[np.float64], snr_db: float
) -> NDArray[np.float32]:
    """Mix speech with noise, both (n_samples,), so that the speech is `snr_db` decibels louder.

    Pauses do not count in the level of the speech. The mixture is made quieter if it would clip.
    """
    power = max(float(np.square(noise).mean()), 1e-12)
    gain = np.sqrt(speech_power(samples, SAMPLE_RATE) / power / 10 ** (snr_db / 10))
    mixed = samples + noise * gain
    return np.asarray(mixed / max(1.0, float(np.abs(mixed).max())), np.float32)
