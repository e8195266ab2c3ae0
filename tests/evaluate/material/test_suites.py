"""A suite plays what its name says."""

import numpy as np
import pytest

from stream.evaluate.material.recordings import Audio, Recording, to_int16
from stream.evaluate.material.room import PLACES
from stream.evaluate.material.suites import (
    ALL,
    LOSSES_PERCENT,
    NOISE_LEVELS_DB,
    VOICES,
    recordings_of,
)
from stream.evaluate.measures.record import TimedWord


def speech(n):
    rng = np.random.default_rng(n)
    audio = Audio(to_int16(rng.normal(0, 0.05, 16_000)), 16_000)
    words = (TimedWord("hi", 0.1, 0.2),)
    return Recording(f"{n}.wav", "read", "corpus", f"hi {n}", lambda: audio, words)


def rain():
    audio = Audio(np.ones(100, np.int16), 8000)
    return Recording("r.wav", "noise", "n", "", lambda: audio, suite="silence", condition="rain")


SPEECH = [speech(n) for n in range(VOICES)]


def played(*suites, recordings=SPEECH, noises=(), minutes=0.01):
    return recordings_of(suites, recordings, noises, minutes)


def test_speech_is_played_as_it_is():
    assert played("speech") == SPEECH


def test_noise_in_a_manifest_is_played_beside_its_speech():
    assert [r.suite for r in played("speech", recordings=[SPEECH[0], rain()])] == [
        "speech",
        "silence",
    ]


def test_every_recording_at_every_level():
    found = played("noise-levels", noises=[rain()])
    conditions = [r.condition for r in found]
    assert [conditions.count(f"{db} dB") for db in NOISE_LEVELS_DB] == [len(SPEECH)] * 4
    assert all(r.text and r.words and r.suite == "noise-levels" for r in found)
    clean = SPEECH[0].read().samples
    loudness = [np.abs(r.read().samples - clean).mean() for r in found if r.name == "0.wav"]
    assert loudness == sorted(loudness)


def test_every_recording_from_every_place():
    found = played("far", noises=[rain()])
    assert [r.condition for r in found][:: len(SPEECH)] == [place.name for place in PLACES]
    assert all(r.text and r.words and r.suite == "far" for r in found)
    assert {r.read().rate for r in found} == {16_000}


def test_every_recording_over_every_line():
    found = played("phone")
    assert [r.condition for r in found][:: len(SPEECH)] == [f"{p} % loss" for p in LOSSES_PERCENT]
    assert {r.read().rate for r in found} == {8000}


def test_every_recording_quieter_and_faster():
    found = played("speakers", recordings=SPEECH[:1])
    clean = SPEECH[0].read()
    by_condition = {r.condition: r for r in found}
    soft, fast = by_condition["-20 dB"], by_condition["1.5 times as fast"]
    assert np.abs(soft.read().samples - clean.samples / 10).max() <= 1
    assert soft.words == SPEECH[0].words
    assert fast.read().seconds == pytest.approx(clean.seconds / 1.5, abs=0.1)
    assert fast.read().rate == clean.rate
    assert fast.words[-1].end_s == pytest.approx(SPEECH[0].words[-1].end_s / 1.5)


def test_silence_needs_no_manifest():
    found = played("silence", recordings=[])
    assert len(found) > 10
    assert {r.suite for r in found} == {"silence"}
    assert {r.text for r in found} == {""}


def test_babble_has_enough_voices():
    found = played("silence", noises=[rain()])
    assert found[-1].condition == "rain"
    assert found[-2].condition == "babble of 8 voices"
    assert found[-2].read().seconds == pytest.approx(0.6)
    assert not any("babble" in r.condition for r in played("silence", recordings=SPEECH[1:]))


def test_all_is_all():
    assert {r.suite for r in played("all")} == set(ALL)
