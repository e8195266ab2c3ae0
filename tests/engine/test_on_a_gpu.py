"""What a GPU would run, on one that is pretended: the CPU's words, and a host that rarely waits."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from stream.core.windows import DecodingOptions
from stream.engine.checkpoints.checkpoint import load_checkpoint
from stream.engine.network.encoder_memory import EncoderMemory
from stream.engine.recognizer import Recall, Recognizer, Stopwatch
from stream.engine.words.coverage import AudioSpan
from stream.engine.words.reading import Reading
from tests.engine.pretended_gpu import NAME, pretended_gpu
from tests.engine.windows import a_window


def test_tensors_of_two_devices_are_not_mixed():
    with pretended_gpu() as awaited:
        there = torch.arange(3.0).to(NAME, non_blocking=True)
        assert there.device.type == NAME
        with pytest.raises(RuntimeError, match="two devices"):
            there + torch.ones(3)
        there[1:] += 1
        assert not awaited
        assert there.tolist() == [0, 2, 3]
        assert there.argmax().item() == 2
        assert torch.equal(there.cpu(), torch.tensor([0.0, 2.0, 3.0]))
        assert there[torch.tensor([2, 0])].device.type == NAME  # a copy of the index
        assert len(awaited) == 4


def hear(recognizer: Recognizer, spans: Sequence[AudioSpan]) -> list[Reading]:
    encoded = recognizer.encode(spans, 2.0, 8.0, Stopwatch())
    return recognizer.decode(spans, encoded, Stopwatch())


@pytest.mark.model
@pytest.mark.parametrize(
    ("model", "assistant", "options"),
    [
        ("tiny.en", None, DecodingOptions()),
        ("tiny.en", None, DecodingOptions(timestamps=True)),
        ("base", "distil-base.en", DecodingOptions(language="auto", keyterms=("epoch",))),
    ],
)
def test_the_words_are_the_cpus(speech, model, assistant, options):
    teacher, student = load_checkpoint(model), load_checkpoint(assistant) if assistant else None
    windows = [
        replace(a_window(i, n_samples=n), samples=speech[first : first + n], options=options)
        for i, (first, n) in enumerate([(0, 96_000), (80_000, 32_000), (200_000, 64_000)])
    ]
    on_cpu = Recognizer(teacher, "cpu", "float32", student)
    undrafted = hear(on_cpu, [AudioSpan(window, window.start_sample) for window in windows])
    right, wrong, none = undrafted[0].result.tokens, undrafted[2].result.tokens, ()
    spans = [
        AudioSpan(window, window.start_sample, draft)
        for window, draft in zip(windows, (right, wrong, none), strict=True)
    ]
    expected = hear(on_cpu, spans)
    with pretended_gpu() as awaited:
        on_gpu = Recognizer(teacher, NAME, "float32", student)
        awaited.clear()
        heard = hear(on_gpu, spans)
    for ours, theirs in zip(heard, expected, strict=True):
        assert ours.result.tokens == theirs.result.tokens
        for word, expected_word in zip(ours.words, theirs.words, strict=True):
            exact = {"confidence": word.confidence, "log_probabilities": word.log_probabilities}
            assert replace(expected_word, **exact) == word
            assert word.log_probabilities == pytest.approx(
                expected_word.log_probabilities, abs=1e-3
            )
            assert word.confidence == pytest.approx(expected_word.confidence, abs=1e-3)
    if not assistant:  # whose every token is read, to see whether another is worth it
        passes = max(result.result.passes for result in heard)
        assert len(awaited) == passes + 1 + len(windows)  # is there speech, and the attention


REFRESH = 150


def a_span(speech: NDArray[np.float32], number: int, first: int, seconds: float) -> AudioSpan:
    n = round(seconds * 16_000)
    window = replace(a_window(number, n_samples=n), samples=speech[first : first + n])
    return AudioSpan(window, window.start_sample)


def remember(recognizer: Recognizer, spans: Sequence[AudioSpan], memories: list[EncoderMemory]):
    recall = Recall(memories, REFRESH, 2.0)
    return recognizer.encode(spans, 2.0, 8.0, Stopwatch(), recall)


def readings_of_three_ages(
    recognizer: Recognizer, speech: NDArray[np.float32], awaited: list[str]
) -> tuple[list[Reading], list[int]]:
    """Read a batch of windows of which nothing, three and five seconds are remembered.

    Returns:
        The readings, and how many positions are remembered afterwards. `awaited` has the waits for
        the batch alone.
    """
    memories = [recognizer.new_memory(0, 500) for _ in range(3)]
    firsts = (0, 160_000, 320_000)
    remember(recognizer, [a_span(speech, 1, firsts[1], 6.0)], memories[1:2])
    remember(recognizer, [a_span(speech, 2, firsts[2], 8.0)], memories[2:])
    assert [memory.n_settled for memory in memories] == [0, 150, 250]
    awaited.clear()
    lengths = enumerate(zip(firsts, (5.0, 7.0, 9.5), strict=True))
    spans = [a_span(speech, i, first, seconds) for i, (first, seconds) in lengths]
    readings = recognizer.decode(spans, remember(recognizer, spans, memories), Stopwatch())
    return readings, [memory.n_settled for memory in memories]


@pytest.mark.model
def test_a_batch_of_windows_of_different_ages_has_the_cpus_words(speech):
    checkpoint = load_checkpoint("tiny.en")
    expected, kept = readings_of_three_ages(Recognizer(checkpoint, "cpu", "float32"), speech, [])
    with pretended_gpu() as awaited:
        on_gpu = Recognizer(checkpoint, NAME, "float32")
        found, kept_there = readings_of_three_ages(on_gpu, speech, awaited)
    assert kept == kept_there == [100, 200, 325]
    assert [r.result.tokens for r in found] == [r.result.tokens for r in expected]
    assert all(r.words for r in found)
    passes = max(r.result.passes for r in found)
    assert len(awaited) == passes + 1 + len(found)  # as without memory: no wait in the encoder
