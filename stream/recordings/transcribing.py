"""A recording through an algorithm and a model: segments as they become certain."""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from itertools import count
from math import ceil

import numpy as np
from numpy.typing import NDArray

from stream.core.audio import SAMPLE_RATE
from stream.core.vad import MakeDetector
from stream.core.windows import Hypothesis
from stream.engine.engine import Transcriber
from stream.engine.scheduler import Scheduler
from stream.recordings.algorithm import Form, Place
from stream.recordings.algorithms import new_form
from stream.recordings.options import FileOptions
from stream.recordings.results import Segment

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
        self._running: set[Future[list[Hypothesis]]] = set()
        # A sequential form has one window at a time: reading on would only fill the memory.
        self._enough = batch_size if options.long_form == "chunked" else 0
        ids = count()
        self._forms: Sequence[Form] = [
            new_form(options, Place(SESSION, channel, ids), detector) for channel in range(channels)
        ]

    def __iter__(self) -> Iterator[Segment]:
        """Yield the segments of each channel in order."""
        with ThreadPoolExecutor(self._transcriber.at_once) as pool:
            for block in self._blocks:
                for form, samples in zip(self._forms, block, strict=True):
                    form.receive_samples(samples)
                yield from self._transcribe(pool, self._enough)
                self.heard_s += block.shape[1] / SAMPLE_RATE
            for form in self._forms:
                form.receive_end()
            yield from self._transcribe(pool, 0)

    @property
    def problems(self) -> list[str]:
        """What could not be transcribed, a sentence each."""
        return [problem for form in self._forms for problem in form.problems]

    def _transcribe(self, pool: ThreadPoolExecutor, enough: int) -> Iterator[Segment]:
        """Transcribe as long as so many windows wait; yield what that makes certain."""
        while True:
            for form in self._forms:
                for window in form.windows_to_transcribe():
                    self._scheduler.add(window)
            yield from (segment for form in self._forms for segment in form.segments())
            self._start_batches(pool, enough)
            full = len(self._scheduler) >= enough
            done = wait(self._running, None if full else 0, FIRST_COMPLETED).done
            if not done:
                return
            self._running -= done
            for hypothesis in (hypothesis for batch in done for hypothesis in batch.result()):
                self._forms[hypothesis.window.channel].receive_hypothesis(hypothesis)

    def _start_batches(self, pool: ThreadPoolExecutor, enough: int) -> None:
        """Start as many batches as the transcriber can use; the last windows are shared out."""
        free = self._transcriber.at_once - len(self._running)
        while free and len(self._scheduler) >= max(1, enough):
            most = None if enough else ceil(len(self._scheduler) / free)
            batch = self._scheduler.next_batch(most)
            self._running.add(pool.submit(self._transcriber.transcribe, batch))
            free -= 1
