"""Drives a long-form algorithm with a model, on a thread pool, and yields segments."""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from itertools import count
from math import ceil

from stream.core.audio import SAMPLE_RATE, Gap, Sound
from stream.core.vad import MakeDetector
from stream.core.windows import Hypothesis
from stream.engine.scheduler import Scheduler
from stream.engine.transcriber import Transcriber
from stream.recordings.algorithm_by_name import new_algorithm
from stream.recordings.long_form_algorithm import LongFormAlgorithm, WindowOrigin
from stream.recordings.options import FileOptions
from stream.recordings.results import Segment

SESSION = "file"


class Transcribing:
    """Transcribes one recording: iterate over it once for its segments; then read `problems`."""

    def __init__(
        self,
        sounds: Iterable[Sound],
        channels: int,
        transcriber: Transcriber,
        detector: MakeDetector,
        options: FileOptions,
        batch_size: int,
    ) -> None:
        """Create an algorithm for each channel; the iteration reads and transcribes the audio.

        Args:
            sounds: samples at 16 kHz, (channels, n_samples) each, and gaps between them.
            channels: number of channels of the samples.
            transcriber: the model.
            detector: creates the VAD of a channel.
            options: language, algorithm and so on.
            batch_size: number of windows in a batch.
        """
        self.processed_s = 0.0
        """Seconds of audio and of gaps that were read; the last windows of them may not be
        transcribed yet."""
        self._sounds = sounds
        self._transcriber = transcriber
        self._scheduler = Scheduler(batch_size)
        self._running: set[Future[list[Hypothesis]]] = set()
        # The sequential algorithm has one window at a time: reading ahead would only fill memory.
        self._enough = batch_size if options.long_form == "chunked" else 0
        ids = count()
        self._algorithms: Sequence[LongFormAlgorithm] = [
            new_algorithm(options, WindowOrigin(SESSION, channel, ids), detector)
            for channel in range(channels)
        ]

    def __iter__(self) -> Iterator[Segment]:
        """Yield the segments as they are completed; those of each channel are in order of time."""
        with ThreadPoolExecutor(self._transcriber.at_once) as pool:
            for sound in self._sounds:
                n_samples = self._receive(sound)
                yield from self._transcribe(pool, self._enough)
                self.processed_s += n_samples / SAMPLE_RATE
            for algorithm in self._algorithms:
                algorithm.receive_end()
            yield from self._transcribe(pool, 0)

    def _receive(self, sound: Sound) -> int:
        """Take samples or a gap; return how many samples of each channel it lasts."""
        if isinstance(sound, Gap):
            for algorithm in self._algorithms:
                algorithm.receive_gap(sound.samples)
            return sound.samples
        for algorithm, samples in zip(self._algorithms, sound, strict=True):
            algorithm.receive_samples(samples)
        return int(sound.shape[1])

    @property
    def problems(self) -> list[str]:
        """One sentence for each window that could not be transcribed."""
        return [problem for algorithm in self._algorithms for problem in algorithm.problems]

    def _transcribe(self, pool: ThreadPoolExecutor, enough: int) -> Iterator[Segment]:
        """Start batches, wait until fewer than `enough` windows are queued, and yield segments.

        If `enough` is 0, wait until all windows are transcribed. The segments are those completed.
        """
        while True:
            for algorithm in self._algorithms:
                for window in algorithm.windows_to_transcribe():
                    self._scheduler.add(window)
            yield from (
                segment for algorithm in self._algorithms for segment in algorithm.segments()
            )
            self._start_batches(pool, enough)
            full = len(self._scheduler) >= enough
            done = wait(self._running, None if full else 0, FIRST_COMPLETED).done
            if not done:
                return
            self._running -= done
            for hypothesis in (hypothesis for batch in done for hypothesis in batch.result()):
                self._algorithms[hypothesis.window.channel].receive_hypothesis(hypothesis)

    def _start_batches(self, pool: ThreadPoolExecutor, enough: int) -> None:
        """Start as many batches as the transcriber runs in parallel.

        If `enough` is 0, the waiting windows are distributed evenly over them.
        """
        free = self._transcriber.at_once - len(self._running)
        while free and len(self._scheduler) >= max(1, enough):
            most = None if enough else ceil(len(self._scheduler) / free)
            batch = self._scheduler.next_batch(most)
            self._running.add(pool.submit(self._transcriber.transcribe, batch))
            free -= 1
