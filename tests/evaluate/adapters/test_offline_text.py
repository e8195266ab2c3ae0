"""The reference hears every sample once."""

import numpy as np
import pytest

from stream.core.windows import Hypothesis, Window, WindowKind, Word
from stream.evaluate.adapters.offline_text import MOMENT, offline_transcript, pieces
from stream.evaluate.material.recordings import Audio


@pytest.mark.parametrize("seconds", [0, 5, 28, 29, 100])
def test_long_audio_is_cut_into_windows_of_whisper(seconds):
    samples = np.random.default_rng(0).uniform(-1, 1, seconds * 16_000).astype(np.float32)
    cut = list(pieces(samples))
    np.testing.assert_array_equal(np.concatenate(cut), samples)
    assert all(len(piece) <= 28 * 16_000 for piece in cut)
    assert all(len(piece) >= 20 * 16_000 for piece in cut[:-1])


def test_the_cut_is_where_it_is_quiet():
    samples = np.ones(40 * 16_000, np.float32)
    samples[23 * 16_000 :][:MOMENT] = 0
    first, _ = pieces(samples)
    assert len(first) == 23 * 16_000 + MOMENT // 2


class Counter:
    """Says how many seconds it heard."""

    def offline(self, samples, language="en"):
        window = Window("offline", 0, 0, 0, WindowKind.FINAL, 0, samples, ())
        texts = (f" {len(samples) / 16_000:g}", " seconds.")
        return Hypothesis(window, tuple(Word(text, 1600, 3200, 1.0) for text in texts))


@pytest.mark.parametrize("shape", [(30 * 48_000,), (30 * 48_000, 2)])
def test_the_text_of_all_pieces_at_16_khz_with_times_in_the_whole_recording(shape):
    found = offline_transcript(Counter(), Audio(np.zeros(shape, np.int16), 48_000))
    assert found.text == "20.05 seconds. 9.95 seconds."
    assert [word.start_s for word in found.words] == pytest.approx([0.1, 0.1, 20.15, 20.15])
    assert [word.end_s for word in found.words] == pytest.approx([0.2, 0.2, 20.25, 20.25])
