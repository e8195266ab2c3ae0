"""What a GPU would run, on one that is pretended: the CPU's words, and a host that rarely waits."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch

from stream.core.windows import DecodingOptions
from stream.engine.checkpoints.checkpoint import load_checkpoint
from stream.engine.recognizer import Recognizer, Stopwatch
from stream.engine.words.coverage import AudioSpan
from stream.engine.words.reading import Reading
from tests.engine.pretended_gpu import NAME, pretended_gpu
from tests.engine.windows import a_window


def test_tensors_of_two_devices_do_not_meet():
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
