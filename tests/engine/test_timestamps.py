"""Timestamps: token by token as transformers writes them, in any batch, with any draft."""

import numpy as np
import pytest
import torch

from stream.bench.rivals.contenders import load_transformers
from stream.core.audio import SAMPLE_RATE
from stream.core.windows import DecodingOptions, Window, WindowKind
from stream.engine.recognizer import Recognizer, Stopwatch
from stream.engine.whisper_transcriber import WhisperTranscriber
from stream.engine.words.reading import AudioSpan

LATEST_FIRST_TIMESTAMP = 50
"""One second: OpenAI's decoding allows the first no later, and says so to transformers."""

pytestmark = pytest.mark.model


def stamped(samples: np.ndarray, start: int = 0, draft: tuple[int, ...] = ()) -> Window:
    samples = np.ascontiguousarray(samples, np.float32)
    spans = ((start, start + len(samples)),)
    options = DecodingOptions(timestamps=True)
    return Window("s", 1, 0, 0, WindowKind.FILE, start, samples, spans, draft, options)


@pytest.fixture(scope="module")
def recognizer(tiny_checkpoint) -> Recognizer:
    return Recognizer(tiny_checkpoint, "cpu", "float32")


@pytest.fixture(scope="module")
def windows(speech) -> list[np.ndarray]:
    """The beginning, what follows its first segments, and two that are not cut off in speech."""
    spans = ((0, 30), (12, 42), (0, 8), (31, 44))
    return [speech[a * SAMPLE_RATE : b * SAMPLE_RATE] for a, b in spans]


@pytest.fixture(scope="module")
def expected(windows) -> list[tuple[list[int], float]]:
    """What transformers writes of each before it reads on, and from which second it does."""
    theirs = load_transformers("tiny.en", "cpu")
    theirs.whisper.generation_config.max_initial_timestamp_index = LATEST_FIRST_TIMESTAMP

    def first_part(samples: np.ndarray) -> tuple[list[int], float]:
        mel = theirs.extract(samples, sampling_rate=SAMPLE_RATE, return_tensors="pt")
        with torch.inference_mode():
            found = theirs.whisper.generate(
                mel.input_features, return_timestamps=True, return_segments=True
            )
        segments = found["segments"][0]
        first = [one for one in segments if one["result"] is segments[0]["result"]]
        tokens = [token for one in first for token in one["tokens"].tolist()]
        return tokens, float(first[-1]["end"])

    return [first_part(window) for window in windows]


def heard(recognizer, windows, drafts=((), (), (), ())):
    spans = [AudioSpan(stamped(w), 0, tuple(d)) for w, d in zip(windows, drafts, strict=True)]
    watch = Stopwatch()
    encoded = recognizer.encode(spans, 30.0, 30.0, watch)
    return recognizer.decode(spans, encoded, watch)


@pytest.fixture(scope="module")
def plain(recognizer, windows):
    return heard(recognizer, windows)


def test_a_batch_gives_the_tokens_and_the_cuts_of_transformers(plain, expected):
    for one, (tokens, reads_on_s) in zip(plain, expected, strict=True):
        assert list(one.result.tokens) == tokens
        if one.cut is not None:
            assert one.cut.sample / SAMPLE_RATE == pytest.approx(reads_on_s)
    assert [one.cut is None for one in plain] == [False, False, True, True]


def test_words_contain_no_timestamps(recognizer, plain):
    begin = recognizer.vocabulary.timestamp_begin
    for one in plain:
        text = [token for token in one.result.tokens if token < begin]
        assert [token for word in one.words for token in word.tokens] == text
        times = [sample for word in one.words for sample in (word.start_sample, word.end_sample)]
        assert times == sorted(times)


def test_a_draft_changes_nothing_and_saves_passes(recognizer, windows, plain):
    begin = recognizer.vocabulary.timestamp_begin
    right = [one.result.tokens for one in plain]
    text = [tuple(token for token in tokens if token < begin) for tokens in right]
    for drafts, passes in ((right, 3), (text, 40), (right[::-1], 200)):
        found = heard(recognizer, windows, drafts)
        assert [one.result.tokens for one in found] == right
        assert max(one.result.passes for one in found) <= passes


def test_rows_with_and_without_timestamps_share_a_batch(recognizer, windows, plain):
    samples = windows[2]
    unstamped = Window("s", 2, 0, 0, WindowKind.FILE, 0, samples, ((0, len(samples)),))
    watch = Stopwatch()

    def tokens(*batch: Window) -> list[tuple[int, ...]]:
        spans = [AudioSpan(window, 0, ()) for window in batch]
        encoded = recognizer.encode(spans, 30.0, 30.0, watch)
        return [one.result.tokens for one in recognizer.decode(spans, encoded, watch)]

    text = tokens(unstamped)
    mixed = tokens(stamped(samples), unstamped, stamped(windows[3]))
    assert mixed == [plain[2].result.tokens, *text, plain[3].result.tokens]
    assert all(token < recognizer.vocabulary.timestamp_begin for token in text[0])


def test_skipped_words_are_left_to_the_next_window(tiny_checkpoint, speech):
    transcriber = WhisperTranscriber(tiny_checkpoint, device="cpu")
    start = 5 * SAMPLE_RATE
    hypothesis = transcriber.transcribe([stamped(speech[: 30 * SAMPLE_RATE], start)])[0]
    assert hypothesis.cut is not None
    assert start < hypothesis.cut.sample <= hypothesis.window.end_sample
    complete = hypothesis.words[: hypothesis.cut.words]
    assert complete[-1].end_sample == pytest.approx(hypothesis.cut.sample, abs=SAMPLE_RATE)
