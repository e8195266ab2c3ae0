"""Silence and steady noise are never speech; speech is, loud or quiet."""

import numpy as np
import pytest

from stream.core.endpointing import Endpointer, Onset
from stream.core.vad import FRAME_SAMPLES, WebRtcVad, level_dbfs


def answers(samples):
    detector = WebRtcVad()
    frames = samples[: len(samples) // FRAME_SAMPLES * FRAME_SAMPLES].reshape(-1, FRAME_SAMPLES)
    return [detector.is_speech(frame) for frame in frames.astype(np.float32)]


def share_of_speech(samples):
    return float(np.mean(answers(samples)))


def onsets(samples):
    endpointer = Endpointer(300, 90, 500, FRAME_SAMPLES)
    return [
        event for answer in answers(samples) if isinstance(event := endpointer.feed(answer), Onset)
    ]


def noise(colour, dbfs, seconds=60):
    spectrum = np.fft.rfft(np.random.default_rng(0).standard_normal(16000 * seconds))
    spectrum[1:] /= np.sqrt(np.arange(1, len(spectrum))) if colour == "pink" else 1
    spectrum[0] = 0
    samples = np.fft.irfft(spectrum)
    return samples * 10 ** (dbfs / 20) / samples.std()


def test_digital_zeros_are_no_speech():
    assert share_of_speech(np.zeros(16000 * 60)) == 0


@pytest.mark.parametrize("dbfs", [-70, -60, -50, -40])
@pytest.mark.parametrize("colour", ["white", "pink"])
def test_steady_noise_begins_no_utterance(colour, dbfs):
    assert onsets(noise(colour, dbfs)) == []


def test_loud_steady_noise_is_soon_classified_as_noise():
    assert share_of_speech(noise("white", -20)) < 0.05


@pytest.mark.parametrize("gain_db", [0, -10, -20])
def test_speech_is_detected_at_any_level(speech, gain_db):
    # A third of the recording is the reader's pauses.
    assert share_of_speech(speech * 10 ** (gain_db / 20)) > 0.5


def test_a_stream_may_begin_in_the_middle_of_a_word(speech):
    loud = int(np.argmax(np.abs(speech) > 0.1))
    (first, *_) = onsets(speech[loud : loud + 32_000])
    assert first.speech_sample < 0.2 * 16_000


def test_full_scale_does_not_wrap(speech):
    loud = np.clip(speech * 100, -1, 1)
    assert share_of_speech(loud) > 0.5


def test_levels():
    assert level_dbfs(np.ones(320, np.float32)) == pytest.approx(0, abs=1e-6)
    assert level_dbfs(np.zeros(320, np.float32)) == pytest.approx(-120)
    assert level_dbfs(np.full(320, 0.01, np.float32)) == pytest.approx(-40, abs=1e-3)
