"""A robot says words when it says that it does."""

import ctypes.util

import numpy as np
import pytest

from stream.bench.speech.espeak import speak
from stream.errors import UsageError

pytestmark = pytest.mark.skipif(
    ctypes.util.find_library("espeak-ng") is None, reason="espeak-ng is not installed"
)


@pytest.mark.parametrize(("voice", "pace"), [("en-us", 120), ("en-gb", 200)])
def test_every_word_is_timed_and_none_overlaps(voice, pace):
    text = "On Tuesday there was a letter, under the door. She read it twice."
    audio, words = speak(text, voice, pace)
    assert " ".join(word.text for word in words) == text
    edges = [edge for word in words for edge in (word.start_s, word.end_s) if edge == edge]
    assert edges == sorted(edges)
    assert len(edges) > len(words)
    assert 0 <= edges[0] < edges[-1] <= audio.seconds


def test_a_pause_is_silent_and_a_word_is_not():
    audio, words = speak("Here, and there.", "en-us")
    samples = np.abs(audio.samples.astype(float))

    def loudness(start_s, end_s):
        return samples[round(start_s * audio.rate) : round(end_s * audio.rate)].mean()

    pause = loudness(words[0].end_s + 0.02, words[1].start_s - 0.02)
    assert pause < loudness(words[0].start_s, words[0].end_s) / 20


def test_other_languages_are_spoken_and_unknown_ones_refused():
    audio, words = speak("Guten Tag", "de")
    assert audio.seconds > 0.5
    assert len(words) == 2
    with pytest.raises(UsageError, match="no voice 'xx'"):
        speak("a", "xx")
