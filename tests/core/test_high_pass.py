"""An offset is removed, speech is not changed, and the chunks make no difference."""

from time import process_time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.core.high_pass import BLOCK, POLE, HighPass
from stream.core.session import Session
from stream.core.settings import SessionTuning, StreamSettings
from stream.core.vad import level_dbfs, webrtc_vad
from stream.core.windows import Hypothesis
from stream.recordings.speech_track import SpeechTrack


def filtered(samples):
    return HighPass().feed(np.asarray(samples, np.float32))


@settings(deadline=None)
@given(
    sizes=st.lists(st.integers(0, 9_000), max_size=12),
    offset=st.floats(-1, 1),
    seed=st.integers(0, 2**32 - 1),
)
def test_any_chunking_gives_the_same_bits(sizes, offset, seed):
    noise = np.random.default_rng(seed).uniform(-1, 1, sum(sizes))
    samples = (noise + offset).astype(np.float32)
    one = HighPass()
    chunks = [one.feed(chunk) for chunk in np.split(samples, np.cumsum(sizes))]
    np.testing.assert_array_equal(np.concatenate(chunks), filtered(samples))


@pytest.mark.parametrize("n_samples", [BLOCK - 1, BLOCK, 2 * BLOCK + 7])
def test_it_is_the_recursion_that_is_documented(n_samples):
    samples = np.random.default_rng(0).uniform(-1, 1, n_samples).astype(np.float32)
    mean, expected = float(samples[0]), np.empty(n_samples)
    for i, sample in enumerate(samples.tolist()):
        mean = POLE * mean + (1 - POLE) * sample
        expected[i] = sample - mean
    np.testing.assert_allclose(filtered(samples), expected, atol=1e-6)


@pytest.mark.parametrize("offset", [-0.9, 0.03, 0.5])
def test_a_constant_is_removed(offset):
    assert level_dbfs(filtered(np.full(16_000, offset))) < -115


def test_an_offset_that_begins_later_is_soon_gone():
    samples = np.concatenate([np.zeros(8_000), np.full(8_000, 0.1)])
    heard = filtered(samples)
    assert np.abs(heard[8_000 + 600 :]).max() < 0.001


@pytest.mark.parametrize(("hertz", "loss_db"), [(100, 0.25), (200, 0.1), (1_000, 0.05)])
def test_speech_keeps_its_level(hertz, loss_db):
    tone = 0.5 * np.sin(2 * np.pi * hertz * np.arange(32_000) / 16_000)
    heard = filtered(tone)[8_000:]
    loss = level_dbfs(tone[8_000:].astype(np.float32)) - level_dbfs(heard)
    assert 0 <= loss < loss_db


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_a_nan_sample_affects_no_other_sample(wrong):
    samples = np.random.default_rng(1).uniform(-1, 1, 40_000).astype(np.float32)
    silent, broken = samples.copy(), samples.copy()
    silent[[0, 300]], broken[[0, 300]] = 0, wrong
    np.testing.assert_array_equal(filtered(broken), filtered(silent))


def test_samples_far_beyond_full_scale_fade():
    samples = np.zeros(64_000, np.float32)
    samples[100] = 3e38
    assert np.isfinite(filtered(samples)).all()
    assert np.abs(filtered(samples)[32_000:]).max() < 1e-6


def spans(samples):
    """Where a session detects speech: starts and ends of its windows' speech."""
    session = Session("s", StreamSettings(partials=False), SessionTuning(), webrtc_vad)
    session.receive_audio((np.clip(samples, -1, 1) * 32_767).astype("<i2").tobytes())
    session.receive_eof()
    found = []
    while windows := session.windows_to_transcribe():
        for window in windows:
            found += window.speech
            session.receive_hypothesis(Hypothesis(window, ()))
    return sorted(set(found))


def track_spans(samples):
    track = SpeechTrack(webrtc_vad(16_000), SessionTuning())
    track.receive_samples(samples.astype(np.float32))
    track.receive_end()
    return track.speech(0, len(samples))


@pytest.mark.parametrize("find", [spans, track_spans])
@pytest.mark.parametrize("offset", [-0.3, 0.03, 0.1])
def test_a_quiet_microphone_with_an_offset_is_as_good_as_one_without(speech, find, offset):
    quiet = speech[: 20 * 16_000] * 0.1
    plain, shifted = find(quiet), find(quiet + offset)
    seconds = [sum(end - start for start, end in one) / 16_000 for one in (plain, shifted)]
    assert seconds[0] > 4
    assert seconds[1] == pytest.approx(seconds[0], abs=0.2)


def test_it_takes_almost_no_time():
    one, chunk = HighPass(), np.ones(320, np.float32)
    began = process_time()
    for _ in range(5_000):  # 100 seconds of audio
        one.feed(chunk)
    assert process_time() - began < 1.0
