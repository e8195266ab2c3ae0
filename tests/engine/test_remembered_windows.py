"""Windows of a stream, transcribed from what the encoder remembers of it."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from stream.core.audio import SAMPLE_RATE
from stream.core.windows import Hypothesis, Window, WindowKind
from stream.engine.whisper_transcriber import WhisperTranscriber
from tests.engine.windows import a_window


def stream_of(speech: NDArray[np.float32], *ends_s: float, session: str = "s") -> list[Window]:
    windows = []
    for number, end_s in enumerate(ends_s):
        n = round(end_s * SAMPLE_RATE)
        window = a_window(number, session, n_samples=n)
        windows.append(replace(window, samples=speech[:n]))
    return windows


def transcribed(transcriber: WhisperTranscriber, windows: list[Window]) -> list[Hypothesis]:
    draft: tuple[int, ...] = ()
    found = []
    for window in windows:
        found += transcriber.transcribe([replace(window, draft=draft)])
        draft = tuple(token for word in found[-1].words for token in word.tokens)
    return found


def texts(found: list[Hypothesis]) -> list[str]:
    return ["".join(word.text for word in hypothesis.words) for hypothesis in found]


@pytest.mark.parametrize("model", ["tiny.en", pytest.param("base", marks=pytest.mark.slow)])
@pytest.mark.model
def test_a_long_refresh_changes_no_word_and_a_usual_one_hardly_any(speech, model):
    windows = stream_of(speech, 6.0, 7.0, 8.0, 9.0, 10.0)
    full = texts(transcribed(WhisperTranscriber(model, "int8", "cpu", memory_bytes=0), windows))
    remembering = WhisperTranscriber(model, "int8", "cpu", memory_bytes=1 << 26)
    usual = remembering.options
    remembering.options = replace(usual, refresh_s=30.0)
    assert texts(transcribed(remembering, windows)) == full
    assert remembering.memories.n_bytes == 0
    remembering.options = usual
    found = texts(transcribed(remembering, windows))
    assert (remembering.memories.hits, remembering.memories.misses) == (4, 6)
    assert 0 < remembering.memories.n_bytes < 16 << 20
    megabytes = 8 if model == "tiny.en" else 15
    said = f"The encoder remembers up to {megabytes} MB of a stream, and 67 MB of all."
    assert remembering.memory_in_words() == said
    same = sum(one == other for one, other in zip(found, full, strict=True))
    assert same >= len(full) - 1


@pytest.mark.model
def test_a_batch_of_streams_of_different_ages_and_a_final(speech):
    transcriber = WhisperTranscriber("tiny.en", "int8", "cpu", memory_bytes=1 << 26)
    transcribed(transcriber, stream_of(speech, 6.0, 7.0, session="old"))
    transcribed(transcriber, stream_of(speech[80_000:], 5.0, session="young"))
    batch = [
        stream_of(speech, 8.0, session="old")[0],
        stream_of(speech[80_000:], 6.0, session="young")[0],
        stream_of(speech[160_000:], 4.0, session="new")[0],
        replace(stream_of(speech, 8.0, session="final")[0], kind=WindowKind.FINAL),
    ]
    together = texts(transcriber.transcribe(batch))
    full = WhisperTranscriber("tiny.en", "int8", "cpu", memory_bytes=0)
    alone = [texts(full.transcribe([window]))[0] for window in batch]
    assert together == alone
    transcriber.memories.forget("old")
    assert texts(transcriber.transcribe([batch[0]])) == alone[:1]
