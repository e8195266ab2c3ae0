from collections import Counter

import numpy as np
import pytest
import soundfile

from stream.core.audio import SAMPLE_RATE
from stream.distil.cuts import (
    NOISES,
    SHORTEST_S,
    SPEEDS,
    USUAL_LONGEST_S,
    Cut,
    cut_of,
    encoded_samples,
    in_noise,
    make_noise,
    read_cut,
)
from stream.distil.passages import Passage, read_file
from stream.evaluate.material.mixing import speech_power


@pytest.fixture(scope="module")
def passage(tmp_path_factory):
    """Three seconds of a run of ten, as loud as speech, in a file of twelve."""
    path = tmp_path_factory.mktemp("sound") / "a.flac"
    soundfile.write(path, np.random.default_rng(0).normal(0, 0.1, 12 * 16_000), 16_000)
    return Passage(path, 1.0, 4.0, "text", run=0, run_end_s=11.0)


def test_the_first_variant_is_the_passage_as_the_server_would_hear_it(passage):
    cut = cut_of(passage, 7, 0, seed=1)
    assert cut == Cut(1.0, 4.0, silence_s=2.0)
    samples = read_cut(passage, cut, np.random.default_rng(0))
    np.testing.assert_array_equal(samples, read_file(passage.audio)[16_000 : 4 * 16_000])


def test_a_passage_longer_than_a_window_is_cut():
    long = Passage("a.wav", 10.0, 62.0, None, run_end_s=62.0)
    assert cut_of(long, 0, 0, seed=0).end_s == 38.0


def test_windows_stay_within_their_run_and_what_a_window_holds(passage):
    for number in range(300):
        cut = cut_of(passage, number, 1, seed=0)
        assert passage.start_s <= cut.start_s < passage.end_s
        assert cut.start_s < cut.end_s <= passage.run_end_s
        assert SHORTEST_S - 1e-9 <= cut.end_s - cut.start_s <= USUAL_LONGEST_S


def test_random_numbers_depend_on_seed_passage_and_variant_only(passage):
    assert cut_of(passage, 3, 2, seed=0) == cut_of(passage, 3, 2, seed=0)
    others = {cut_of(passage, n, v, s) for n, v, s in ((3, 2, 0), (4, 2, 0), (3, 1, 0), (3, 2, 1))}
    assert len(others) == 4


def test_every_corruption_is_applied_to_some_windows(passage):
    cuts = [cut_of(passage, number, 1, seed=0) for number in range(600)]
    assert {cut.noise for cut in cuts} == {*NOISES, ""}
    assert {cut.speed for cut in cuts} == {*SPEEDS, 1.0}
    assert Counter(cut.silence_s == 30.0 for cut in cuts)[True] in range(6, 40)
    assert Counter(cut.phone for cut in cuts)[True] in range(110, 190)
    assert all(0 <= cut.silence_s <= 4 for cut in cuts if cut.silence_s != 30.0)


@pytest.mark.parametrize(("speed", "seconds"), [(0.9, 3.33), (1.1, 2.73)])
def test_speed_shortens_or_lengthens(passage, speed, seconds):
    samples = read_cut(passage, Cut(1.0, 4.0, speed=speed), np.random.default_rng(0))
    assert len(samples) / SAMPLE_RATE == pytest.approx(seconds, abs=0.02)


def test_a_telephone_line_removes_high_frequencies(passage):
    samples = read_cut(passage, Cut(1.0, 4.0, phone=True), np.random.default_rng(0))
    power = np.square(np.abs(np.fft.rfft(samples)))
    hertz = np.fft.rfftfreq(len(samples), 1 / SAMPLE_RATE)
    assert len(samples) == pytest.approx(3 * 16_000, abs=200)
    assert power[hertz > 4_200].sum() < 0.01 * power.sum()


@pytest.mark.parametrize("name", NOISES)
def test_noise_is_as_loud_as_was_asked(passage, name):
    rng = np.random.default_rng(3)
    speech = read_file(passage.audio)[:32_000]
    noise = make_noise(name, passage, len(speech), rng)
    mixed = in_noise(speech, noise, snr_db=6.0)
    added = mixed * (1 / np.dot(speech, mixed) * np.dot(speech, speech)) - speech
    ratio = speech_power(speech, SAMPLE_RATE) / np.square(added).mean()
    assert 10 * np.log10(ratio) == pytest.approx(6.0, abs=0.6)
    assert np.abs(mixed).max() <= 1.0


@pytest.mark.parametrize(
    ("seconds", "silence_s", "encoded_s"), [(1, 2, 8), (7, 2, 9), (7, 0.5, 8), (27, 4, 30)]
)
def test_what_is_encoded(seconds, silence_s, encoded_s):
    assert encoded_samples(seconds * SAMPLE_RATE, silence_s) == encoded_s * SAMPLE_RATE
