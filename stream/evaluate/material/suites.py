"""What to play: the recordings as they are, in noise, over a telephone, said otherwise, or none."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Literal

import numpy as np

from stream.evaluate.material.mixing import babble, chance, with_noise
from stream.evaluate.material.phone import phone_line
from stream.evaluate.material.recordings import BABBLE_OR_MUSIC, Audio, Recording
from stream.evaluate.material.sounds import made_sounds
from stream.evaluate.material.speakers import softly_and_fast

Suite = Literal["speech", "noise-levels", "phone", "speakers", "silence", "all"]

NOISE_LEVELS_DB = (20, 10, 5, 0)
LOSSES_PERCENT = (0, 1, 3, 5)
VOICES = 8
"""In a babble: too many for any of them to be understood."""

BACKGROUND_VOICES = "voices in the background"
"""The kind of what holds words that can be understood."""
HOLD_WORDS = ("announce", "neighbor", "rir")
"""Recordings of noise whose names say that they hold words that can be understood, or that are
impulse responses and no noise: speech is not mixed with them."""


def recordings_of(
    suites: Sequence[Suite],
    recordings: Sequence[Recording],
    noises: Sequence[Recording],
    minutes: float,
    seed: int = 0,
) -> list[Recording]:
    """Return what the suites play.

    Args:
        suites: their names.
        recordings: a manifest's.
        noises: recordings without words; where there are none, noise is made.
        minutes: the length of each made sound.
        seed: of all chance.
    """
    chosen = set(ALL if "all" in suites else suites)
    speech = [recording for recording in recordings if recording.suite == "speech"]
    said = [recording for recording in speech if recording.text]
    noises = [*noises, *(r for r in recordings if r.suite == "silence")]
    found: list[Recording] = []
    if "speech" in chosen:
        found += speech
    if "noise-levels" in chosen:
        found += in_noise(said, noises or made_sounds(minutes, seed), seed)
    if "phone" in chosen:
        # What is a telephone's already needs no other.
        found += over_telephone([one for one in said if one.kind != "phone"], seed)
    if "speakers" in chosen:
        found += softly_and_fast(said)
    if "silence" in chosen:
        found += made_sounds(minutes, seed)
        if len(said) >= VOICES and minutes:
            found.append(voices(said, minutes, seed))
        found += [understandable(noise) for noise in noises]
    elif "speech" in chosen:
        found += [recording for recording in recordings if recording.suite == "silence"]
    return found


def understandable(noise: Recording) -> Recording:
    """Return a recording of noise, of a kind of its own where it holds words to be understood.

    What is heard of announcements and neighbours was said: it is no invention.
    """
    held = any(word in noise.condition.lower() for word in HOLD_WORDS)
    return replace(noise, kind=BACKGROUND_VOICES) if held else noise


ALL: tuple[Suite, ...] = ("speech", "noise-levels", "phone", "speakers", "silence")


def in_noise(
    speech: Sequence[Recording], noises: Sequence[Recording], seed: int
) -> list[Recording]:
    """Return each recording at each noise level; its noise is the same at all levels."""
    mixed_with = [
        noise
        for noise in noises
        if not any(word in noise.condition.lower() for word in HOLD_WORDS)
        and noise.name != "digital silence"
    ]
    return [
        one.under("noise-levels", f"{snr_db} dB", mixer(one, mixed_with, snr_db, seed))
        for snr_db in NOISE_LEVELS_DB
        for one in speech
    ]


def mixer(
    recording: Recording, noises: Sequence[Recording], snr_db: float, seed: int
) -> Callable[[Audio], Audio]:
    """Return what mixes this recording with noise; chance begins anew with every reading."""
    return lambda audio: with_noise(audio, noises, snr_db, chance(seed, recording.name))


def over_telephone(speech: Sequence[Recording], seed: int) -> list[Recording]:
    """Return each recording over a telephone line, at each rate of packet loss."""

    def line(recording: Recording, percent: int) -> Callable[[Audio], Audio]:
        return lambda audio: phone_line(
            audio, percent / 100, chance(seed, recording.name, str(percent))
        )

    return [
        one.under("phone", f"{percent} % loss", line(one, percent))
        for percent in LOSSES_PERCENT
        for one in speech
    ]


def voices(speech: Sequence[Recording], minutes: float, seed: int) -> Recording:
    """Return a babble of many of the voices; nobody could write down its words, so it has none."""
    name = f"babble of {VOICES} voices"
    read: Callable[[], Audio] = partial(
        lambda seconds: babble(speech, VOICES, seconds, np.random.default_rng(seed)), minutes * 60
    )
    return Recording(name, BABBLE_OR_MUSIC, "made", "", read, suite="silence", condition=name)
