"""Makes the suites: speech as it is, in noise, far away, over a telephone, quieter; and silence."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Literal

import numpy as np

from stream.evaluate.material.mixing import babble, seeded_rng, with_noise
from stream.evaluate.material.phone import phone_line
from stream.evaluate.material.recordings import BABBLE_OR_MUSIC, Audio, Recording
from stream.evaluate.material.room import PLACES, Place, from_far
from stream.evaluate.material.sounds import made_sounds
from stream.evaluate.material.speakers import quieter_and_faster

Suite = Literal["speech", "noise-levels", "far", "phone", "speakers", "silence", "all"]

NOISE_LEVELS_DB = (20, 10, 5, 0)
LOSSES_PERCENT = (0, 1, 3, 5)
VOICES = 8
"""Voices in a babble: too many for any of them to be intelligible."""

BACKGROUND_VOICES = "voices in the background"
"""The kind of recordings of noise with intelligible words."""
HOLD_WORDS = ("announce", "neighbor", "rir")
"""Parts of the names of recordings that are not mixed with speech: noise with intelligible words,
and impulse responses."""


def recordings_of(
    suites: Sequence[Suite],
    recordings: Sequence[Recording],
    noises: Sequence[Recording],
    minutes: float,
    seed: int = 0,
) -> list[Recording]:
    """Return the recordings of the suites.

    Args:
        suites: their names.
        recordings: the recordings of a manifest.
        noises: recordings without words; if there are none, noise is generated.
        minutes: the length of each generated sound.
        seed: seed of all random choices.
    """
    chosen = set(ALL if "all" in suites else suites)
    speech = [recording for recording in recordings if recording.suite == "speech"]
    spoken = [recording for recording in speech if recording.text]
    noises = [*noises, *(r for r in recordings if r.suite == "silence")]
    found: list[Recording] = []
    if "speech" in chosen:
        found += speech
    if "noise-levels" in chosen:
        found += in_noise(spoken, noises or made_sounds(minutes, seed), seed)
    if "far" in chosen:
        found += far_away(spoken, noises or made_sounds(minutes, seed), seed)
    if "phone" in chosen:
        # Recordings of telephone calls are left out, because they are already distorted.
        found += over_telephone([one for one in spoken if one.kind != "phone"], seed)
    if "speakers" in chosen:
        found += quieter_and_faster(spoken)
    if "silence" in chosen:
        found += made_sounds(minutes, seed)
        if len(spoken) >= VOICES and minutes:
            found.append(voices(spoken, minutes, seed))
        found += [understandable(noise) for noise in noises]
    elif "speech" in chosen:
        found += [recording for recording in recordings if recording.suite == "silence"]
    return found


def understandable(noise: Recording) -> Recording:
    """Return a recording of noise, with its own kind if it contains intelligible words.

    Words that are recognised in announcements and conversations were spoken: they must not count as
    hallucinations.
    """
    held = any(word in noise.condition.lower() for word in HOLD_WORDS)
    return replace(noise, kind=BACKGROUND_VOICES) if held else noise


ALL: tuple[Suite, ...] = ("speech", "noise-levels", "far", "phone", "speakers", "silence")


def in_noise(
    speech: Sequence[Recording], noises: Sequence[Recording], seed: int
) -> list[Recording]:
    """Return each recording at each noise level; a recording has the same noise at all levels."""
    mixed_with = without_words(noises)
    return [
        one.under("noise-levels", f"{snr_db} dB", mixer(one, mixed_with, snr_db, seed))
        for snr_db in NOISE_LEVELS_DB
        for one in speech
    ]


def without_words(noises: Sequence[Recording]) -> list[Recording]:
    """Return the noises that can be mixed with speech: they hold sound, and no words."""
    return [
        noise
        for noise in noises
        if not any(word in noise.condition.lower() for word in HOLD_WORDS)
        and noise.name != "digital silence"
    ]


def far_away(
    speech: Sequence[Recording], noises: Sequence[Recording], seed: int
) -> list[Recording]:
    """Return each recording from each place in a room; it has the same noise everywhere."""
    mixed_with = without_words(noises)

    def at(recording: Recording, place: Place) -> Callable[[Audio], Audio]:
        return lambda audio: from_far(audio, place, mixed_with, seeded_rng(seed, recording.name))

    return [one.under("far", place.name, at(one, place)) for place in PLACES for one in speech]


def mixer(
    recording: Recording, noises: Sequence[Recording], snr_db: float, seed: int
) -> Callable[[Audio], Audio]:
    """Return a function that mixes this recording with noise, the same each time it is called."""
    return lambda audio: with_noise(audio, noises, snr_db, seeded_rng(seed, recording.name))


def over_telephone(speech: Sequence[Recording], seed: int) -> list[Recording]:
    """Return each recording over a telephone line, at each rate of packet loss."""

    def line(recording: Recording, percent: int) -> Callable[[Audio], Audio]:
        return lambda audio: phone_line(
            audio, percent / 100, seeded_rng(seed, recording.name, str(percent))
        )

    return [
        one.under("phone", f"{percent} % loss", line(one, percent))
        for percent in LOSSES_PERCENT
        for one in speech
    ]


def voices(speech: Sequence[Recording], minutes: float, seed: int) -> Recording:
    """Return a babble of `VOICES` voices; its reference is empty, since no word is intelligible."""
    name = f"babble of {VOICES} voices"
    read: Callable[[], Audio] = partial(
        lambda seconds: babble(speech, VOICES, seconds, np.random.default_rng(seed)), minutes * 60
    )
    return Recording(name, BABBLE_OR_MUSIC, "made", "", read, suite="silence", condition=name)
