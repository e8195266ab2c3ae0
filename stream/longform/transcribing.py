"""A recording through an algorithm and a model: segments as they become certain."""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import count

import numpy as np
from numpy.typing import NDArray

from stream.core.audio import SAMPLE_RATE
from stream.core.hypothesis import Hypothesis, Window
from stream.core.vad import MakeDetector
from stream.engine.scheduler import Scheduler
from stream.engine.worker import Transcriber
from stream.longform.algorithms import new_form
from stream.longform.form import Form, Place
from stream.longform.options import FileOptions
from stream.longform.results import Segment

SESSION = "file"


class Transcribing:
    """One recording, once through: iterate over it, then ask how it went."""

    def __init__(
        self,
        blocks: Iterable[NDArray[np.float32]],
        channels: int,
        transcriber: Transcriber,
        detector: MakeDetector,
        options: FileOptions,
        batch_size: int,
    ) -> None:
        """Take blocks of samples, (channels, n_samples) each, at 16 kHz."""
        self.heard_s = 0.0
        """Seconds of audio that are transcribed or hold no speech, roughly."""
        self._blocks = blocks
        self._transcriber = transcriber
        self._scheduler = Scheduler(batch_size)
        # A sequential form has one window at a time: reading on would only fill the memory.
        self._enough = batch_size if options.long_form == "chunked" else 1
        ids = count()
        self._forms: Sequence[Form] = [
            new_form(options, Place(SESSION, channel, ids), detector) for channel in range(channels)
        ]

    def __iter__(self) -> Iterator[Segment]:
        """Yield the segments of each channel in order."""
        for block in self._blocks:
            for form, samples in zip(self._forms, block, strict=True):
                form.receive_samples(samples)
            yield from self._transcribe(self._enough)
            self.heard_s += block.shape[1] / SAMPLE_RATE
        for form in self._forms:
            form.receive_end()
        yield from self._transcribe(1)

    @property
    def problems(self) -> list[str]:
        """What could not be transcribed, a sentence each."""
        return [problem for form in self._forms for problem in form.problems]

    def _transcribe(self, enough: int) -> Iterator[Segment]:
        """Transcribe while so many windows wait; yield what that makes certain."""
        while True:
            for form in self._forms:
                for window in form.windows_to_transcribe():
                    self._scheduler.add(window)
            yield from (segment for form in self._forms for segment in form.segments())
            if len(self._scheduler) < enough:
                return
            for hypothesis in self._hear(self._scheduler.next_batch()):
                self._forms[hypothesis.window.channel].receive_hypothesis(hypothesis)

    def _hear(self, windows: Sequence[Window]) -> list[Hypothesis]:
        """Transcribe a batch, in as many parts at a time as the transcriber can use."""
        n = min(self._transcriber.at_once, len(windows))
        parts = [windows[i::n] for i in range(n)]
        with ThreadPoolExecutor(n) as pool:
            heard = pool.map(self._transcriber.transcribe, parts)
            return [hypothesis for part in heard for hypothesis in part]
