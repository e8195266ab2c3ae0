"""The engine: threads that pass batches of windows to the transcriber.

The engine has as many threads as the transcriber can use: one for a GPU, and one for each core of a
CPU. The scheduler chooses the next batch. This module holds the lock of the scheduler, measures how
long windows waited, and keeps the threads running if the transcriber fails.
"""

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from math import ceil

from stream.core.audio import SAMPLE_RATE
from stream.core.windows import Hypothesis, Window, WindowKind
from stream.engine.scheduler import Scheduler
from stream.engine.transcriber import Transcriber

Deliver = Callable[[Hypothesis], None]

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class BatchReport:
    """Figures of one call of the transcriber, for the metrics."""

    hypotheses: tuple[Hypothesis, ...]
    audio_s: float
    """Seconds of audio in all windows."""
    took_s: float
    waits: tuple["Wait", ...]
    """How long each window of a live stream waited for the batch."""


@dataclass(frozen=True, slots=True)
class Wait:
    """How long a window of a live stream waited, or has waited so far."""

    kind: WindowKind
    seconds: float


@dataclass(frozen=True, slots=True)
class Job:
    """A submitted window, with the callback for its hypothesis and the time of submission."""

    window: Window
    deliver: Deliver
    submitted_s: float
    live: bool


class Engine:
    """Transcribes the windows of all sessions; every method may be called from any thread.

    `deliver` and `on_batch` are called on the engine's threads.
    """

    def __init__(
        self,
        transcriber: Transcriber,
        max_batch: int = 8,
        on_batch: Callable[[BatchReport], None] = lambda report: None,
    ) -> None:
        self.transcriber = transcriber
        self.max_batch = max_batch
        self._on_batch = on_batch
        self._scheduler = Scheduler(max_batch)
        self._jobs: dict[tuple[str, int], Job] = {}
        self._running: dict[int, list[Window]] = {}
        """The batch that each thread is transcribing, by the thread's index."""
        self._owed: Counter[str] = Counter()
        self._changed = threading.Condition()
        self._stopping = False
        # Daemon threads: a model that hangs must not keep the process from ending.
        self._threads = [
            threading.Thread(target=self._run, args=(i,), name=f"engine {i}", daemon=True)
            for i in range(transcriber.at_once)
        ]

    def start(self) -> None:
        """Start the threads."""
        for thread in self._threads:
            thread.start()

    def submit(self, window: Window, deliver: Deliver, live: bool = True) -> None:
        """Queue a window; `deliver` is called with its hypothesis on a thread of the engine.

        It is not called for a partial that a newer window replaces, or after `forget`. A window is
        `live` if it belongs to a live stream; only the waits of live windows are reported.
        """
        with self._changed:
            job = Job(window, deliver, time.perf_counter(), live)
            self._jobs[window.session, window.id] = job
            self._owed[window.session] += 1
            superseded = self._scheduler.add(window)
            if superseded is not None:
                self._drop(superseded)
            self._changed.notify_all()

    def forget(self, session: str) -> None:
        """Drop the windows of a session that has ended; none of their hypotheses is delivered."""
        with self._changed:
            self._scheduler.forget(session)
            self._jobs = {key: job for key, job in self._jobs.items() if key[0] != session}
            del self._owed[session]
        if self.transcriber.memories is not None:
            self.transcriber.memories.forget(session)

    def stop(self, drain: bool) -> None:
        """End the threads and wait for them.

        Args:
            drain: whether all queued windows are transcribed first. If not, only the current
                batches are finished, and their hypotheses are not delivered.
        """
        with self._changed:
            self._stopping = True
            if not drain:
                self._scheduler = Scheduler()
                self._jobs.clear()
                self._owed.clear()
            self._changed.notify_all()
        for thread in self._threads:
            if thread.is_alive():
                thread.join()

    @property
    def queued(self) -> int:
        """Number of windows that are queued."""
        return len(self._scheduler)

    @property
    def in_flight(self) -> int:
        """Number of windows that are being transcribed."""
        return sum(map(len, self._running.values()))

    def waits(self) -> list[Wait]:
        """Return how long each queued window of a live stream has waited."""
        with self._changed:
            now = time.perf_counter()
            running = {
                (window.session, window.id) for batch in self._running.values() for window in batch
            }
            queued = (job for key, job in self._jobs.items() if key not in running)
            return [Wait(job.window.kind, now - job.submitted_s) for job in queued if job.live]

    def owes(self, session: str) -> bool:
        """Return whether a window of this session is queued or being transcribed."""
        return self._owed[session] > 0

    def _run(self, thread: int) -> None:
        while batch := self._next_batch(thread):
            started_s = time.perf_counter()
            waits = self._waits_of(batch, started_s)
            hypotheses = self._transcribe(batch)
            took_s = time.perf_counter() - started_s
            timed = [self._deliver(hypothesis, started_s) for hypothesis in hypotheses]
            audio_s = sum(len(window.samples) for window in batch) / SAMPLE_RATE
            self._on_batch(BatchReport(tuple(timed), audio_s, took_s, waits))

    def _next_batch(self, thread: int) -> list[Window]:
        """Wait for windows, and return a batch; an empty list if the thread must end."""
        with self._changed:
            self._running.pop(thread, None)
            self._changed.wait_for(lambda: self._stopping or len(self._scheduler))
            idle = len(self._threads) - len(self._running)
            batch = self._scheduler.next_batch(most=ceil(len(self._scheduler) / idle))
            if batch:
                self._running[thread] = batch
            return batch

    def _waits_of(self, batch: list[Window], now: float) -> tuple[Wait, ...]:
        """Return how long the live windows of a batch have waited."""
        with self._changed:
            jobs = [self._jobs.get((window.session, window.id)) for window in batch]
        live = (job for job in jobs if job is not None and job.live)
        return tuple(Wait(job.window.kind, now - job.submitted_s) for job in live)

    def _transcribe(self, batch: list[Window]) -> list[Hypothesis]:
        """Transcribe a batch; if the transcriber raises, return hypotheses with `failure` set."""
        try:
            hypotheses = self.transcriber.transcribe(batch)
            if len(hypotheses) != len(batch):
                raise ValueError(f"{len(hypotheses)} hypotheses for {len(batch)} windows")
        except Exception as error:
            log.exception("the transcriber failed on a batch of %d", len(batch))
            reason = f"{type(error).__name__}: {error}"
            return [Hypothesis(window, words=(), failure=reason) for window in batch]
        return hypotheses

    def _deliver(self, hypothesis: Hypothesis, started_s: float) -> Hypothesis:
        """Add the time that its window waited to a hypothesis, deliver it and return it."""
        window = hypothesis.window
        with self._changed:
            job = self._jobs.get((window.session, window.id))
            if job is None:  # its session has been forgotten
                return hypothesis
            self._drop(window)
        queue_ms = (started_s - job.submitted_s) * 1000
        timed = replace(hypothesis, timing=replace(hypothesis.timing, queue_ms=queue_ms))
        try:
            job.deliver(timed)
        except Exception:
            log.exception("a hypothesis could not be delivered")
        return timed

    def _drop(self, window: Window) -> None:
        """Remove a window from the jobs whose hypothesis was not delivered."""
        self._jobs.pop((window.session, window.id), None)
        self._owed[window.session] -= 1
        if not self._owed[window.session]:
            del self._owed[window.session]
