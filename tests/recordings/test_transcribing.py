import time
from collections.abc import Sequence
from threading import Barrier, Lock

import numpy as np
from numpy.typing import NDArray

from stream.core.audio import SAMPLE_RATE
from stream.core.windows import Hypothesis, Window, Word
from stream.engine.scripted import ScriptedTranscriber
from stream.recordings.options import FileOptions
from stream.recordings.transcribing import Transcribing
from tests.recordings.rehearsal import LoudnessDetector, speak


class TwoAtOnce(ScriptedTranscriber):
    """Two batches at a time; the first of all answers last."""

    at_once = 2
    memories = None

    def __init__(self, words: Sequence[Word]) -> None:
        super().__init__(words)
        self.lock = Lock()
        self.batches: list[int] = []
        self.running = self.most = 0

    def transcribe(self, windows: Sequence[Window]) -> list[Hypothesis]:
        with self.lock:
            first = not self.batches
            self.batches.append(len(windows))
            self.running += 1
            self.most = max(self.most, self.running)
        time.sleep(0.2 if first else 0.01)
        with self.lock:
            self.running -= 1
        return super().transcribe(windows)


def talk(minutes: int) -> tuple[NDArray[np.float32], list[Word]]:
    return speak(*[(5.0 * i, 5.0 * i + 4.4) for i in range(12 * minutes)])


def blocks(samples: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    return [samples[None, i : i + SAMPLE_RATE] for i in range(0, len(samples), SAMPLE_RATE)]


def test_batches_run_side_by_side_and_are_joined_in_order():
    samples, words = talk(minutes=10)
    transcriber = TwoAtOnce(words)
    options = FileOptions(language="en")
    run = Transcribing(blocks(samples), 1, transcriber, LoudnessDetector, options, batch_size=4)
    said = [word.text.strip() for segment in run for word in segment.words]
    assert said == [word.text.strip() for word in words]
    assert transcriber.most == 2
    assert transcriber.batches[:-2] == [4] * (len(transcriber.batches) - 2)  # the last are shared


def test_the_last_windows_are_shared_between_batches():
    samples, words = talk(minutes=1)
    transcriber = TwoAtOnce(words)
    meet = Barrier(2, timeout=10)

    def transcribe(windows: Sequence[Window]) -> list[Hypothesis]:
        meet.wait()  # neither goes on alone
        return ScriptedTranscriber.transcribe(transcriber, windows)

    transcriber.transcribe = transcribe  # type: ignore[method-assign]
    options = FileOptions(language="en", chunk_length_s=20.0)
    run = Transcribing(blocks(samples), 1, transcriber, LoudnessDetector, options, batch_size=8)
    said = [word.text.strip() for segment in run for word in segment.words]
    assert said == [word.text.strip() for word in words]


def test_the_sequential_algorithm_reads_no_further_than_its_window():
    samples, words = talk(minutes=3)
    transcriber = TwoAtOnce(words)
    read = 0

    def reading():
        nonlocal read
        for block in blocks(samples):
            read += 1
            yield block

    read_ahead: list[tuple[int, int]] = []

    def transcribe(windows: Sequence[Window]) -> list[Hypothesis]:
        before = read
        time.sleep(0.02)
        read_ahead.append((before, read))
        return ScriptedTranscriber.transcribe(transcriber, windows)

    transcriber.transcribe = transcribe  # type: ignore[method-assign]
    options = FileOptions(language="en", long_form="sequential")
    run = Transcribing(reading(), 1, transcriber, LoudnessDetector, options, batch_size=4)
    assert [word.text.strip() for s in run for word in s.words] == [w.text.strip() for w in words]
    assert len(read_ahead) > 3
    assert all(before == after for before, after in read_ahead)
