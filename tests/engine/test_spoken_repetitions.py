"""Real speech that repeats itself: no verdict on its last bits may empty a final."""

import numpy as np
import pytest

from stream.bench.speech.prompts import prompt_files, trimmed
from stream.core.audio import SAMPLE_RATE
from stream.core.overlap_merge import normalise
from stream.core.windows import Window, WindowKind
from stream.engine.whisper_transcriber import WhisperTranscriber
from stream.errors import UsageError
from stream.evaluate.material.recordings import at_16_khz, read_audio

GAINS = (1.0, 1.000001, 0.999, 0.7, 0.25)
"""The same audio with other last bits, and at other levels."""


@pytest.fixture(scope="module")
def transcriber(base_checkpoint):
    return WhisperTranscriber(base_checkpoint, "int8", "cpu")


def prompt(name: str) -> np.ndarray:
    try:
        file = prompt_files("en")[name]
    except UsageError as error:
        pytest.skip(str(error))
    return at_16_khz(trimmed(read_audio([file.path])))


def window(number: int, *pieces: np.ndarray, pause_s: float = 0.3) -> Window:
    """Return a final window of pieces of speech, each with silence after it."""
    silence = np.zeros(round(pause_s * SAMPLE_RATE), np.float32)
    samples, speech, at = [], [], 0
    for piece in pieces:
        samples += [piece, silence]
        speech.append((at, at + len(piece)))
        at += len(piece) + len(silence)
    audio = np.concatenate(samples).astype(np.float32)
    return Window("s", number, 0, number, WindowKind.FINAL, 0, audio, tuple(speech))


def words_of(transcriber, windows):
    found = transcriber.transcribe(windows)
    return [[normalise(word.text) for word in one.words] for one in found]


@pytest.mark.model
def test_hello_hello_hello_before_a_conversation_never_empties_it(transcriber, speech):
    hello, nine_s = prompt("hello"), speech[SAMPLE_RATE : 10 * SAMPLE_RATE]
    windows = [
        window(i, *[gain * hello] * 3, gain * nine_s) for i, gain in enumerate(np.float32(GAINS))
    ]
    for words in words_of(transcriber, windows):
        assert words.count("hello") == 3
        assert words.count("times") == 2
        assert len(words) > 20


@pytest.mark.model
@pytest.mark.parametrize(
    ("name", "word", "copies"), [("pls-hold-while-try", "hold", 5), ("vm-no", "no", 4)]
)
def test_a_phrase_comes_as_often_as_it_was_spoken(transcriber, name, word, copies):
    piece = prompt(name)
    windows = [window(i, *[gain * piece] * copies) for i, gain in enumerate(np.float32(GAINS[:3]))]
    assert [words.count(word) for words in words_of(transcriber, windows)] == [copies] * 3


@pytest.mark.model
@pytest.mark.parametrize("name", ["vm-no", "hello", "goodbye", "digits/7"])
def test_a_word_that_was_spoken_once_comes_once(transcriber, name):
    piece = prompt(name)
    for words in words_of(transcriber, [window(0, piece), window(1, piece, pause_s=3.0)]):
        assert len(words) == 1
