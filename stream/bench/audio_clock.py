"""Rehearses a stream on a simulated clock.

The session and the model are real; only time is simulated: a hypothesis arrives `delay_s` after its
window was taken, however busy the machine is. So the events and their times repeat exactly, and
another rehearsal costs little if it needs windows that were transcribed before.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from stream.core import events
from stream.core.audio import SAMPLE_RATE
from stream.core.session import Session
from stream.core.transcript import text_of
from stream.core.windows import Hypothesis, Window
from stream.engine.scheduler import Scheduler
from stream.engine.transcriber import Transcriber
from stream.evaluate.measures.record import (
    Event,
    Finished,
    Shown,
    SpeechBegan,
    SpeechOver,
    Stamped,
    TimedWord,
)

CHUNKS_PER_S = 25
TRAILING_S = 1.0
"""Silence after a recording, so that silence ends its last utterance."""


def delay_s(window: Window) -> float:
    """Return the simulated seconds to transcribe a window.

    They approximate the time that the model `base` takes on two idle CPU cores.
    """
    encoded_s = max(8.0, len(window.samples) / SAMPLE_RATE + 2.0)
    return 0.06 + 0.016 * encoded_s


@dataclass(slots=True)
class CachedTranscriber:
    """Transcribes each window once and returns the stored hypothesis for the same window later.

    Windows are compared without their drafts, since a draft changes the cost but never the words.
    Two windows are the same only if all windows before them in the rehearsal are, too, because the
    encoder keeps results of those. (A stored hypothesis leaves no such results, so the next window
    that is transcribed is encoded in full.)
    """

    transcriber: Transcriber
    cpu_s: float = 0.0
    """CPU seconds of all requested windows; a stored one counts with its first time."""
    _results: dict[object, tuple[Hypothesis, float]] = field(default_factory=dict)
    _before: tuple[object, ...] = ()
    """The windows of this rehearsal so far."""

    def begin(self, session: str) -> None:
        """Start a rehearsal, and remove what the encoder has kept of this session."""
        self._before = ()
        if self.transcriber.memories is not None:
            self.transcriber.memories.forget(session)

    def transcribe(self, window: Window) -> Hypothesis:
        """Return the hypothesis for a window.

        Args:
            window: its session must have a name that identifies the audio.
        """
        place = (window.session, window.channel, window.start_sample, len(window.samples))
        key = (self._before, *place, window.kind, window.speech, window.options)
        self._before = (hash(key), *place)
        if key not in self._results:
            began_s = time.process_time()
            found = self.transcriber.transcribe([window])[0]
            self._results[key] = found, time.process_time() - began_s
        found, cpu_s = self._results[key]
        self.cpu_s += cpu_s
        return replace(found, window=window)


@dataclass(slots=True)
class Rehearsal:
    """Plays one recording as a stream, with its own simulated engine (batches of one window)."""

    session: Session
    transcribe: Callable[[Window], Hypothesis]
    shown: list[Stamped] = field(default_factory=list)
    _queue: Scheduler = field(default_factory=lambda: Scheduler(max_batch=1))
    _running: tuple[float, Window] | None = None
    """The arrival time of the next hypothesis, in seconds, and the window that it belongs to."""

    def play(self, samples: NDArray[np.int16]) -> list[Stamped]:
        """Feed 16-bit samples at the pace of speech; return the session's events.

        Args:
            samples: (n_samples,), or (n_samples, n_channels).
        """
        rate = self.session.settings.sample_rate
        step = rate // CHUNKS_PER_S
        for start in range(0, len(samples), step):
            now_s = (start + step) / rate
            self._finish_until(now_s)
            self.session.receive_audio(samples[start : start + step].tobytes())
            self._collect(now_s)
        self.session.receive_eof()
        self._collect(len(samples) / rate)
        self._finish_until(float("inf"))
        return self.shown

    def _finish_until(self, now_s: float) -> None:
        while self._running and self._running[0] <= now_s:
            at_s, window = self._running
            self._running = None
            self.session.receive_hypothesis(self.transcribe(window))
            self._collect(at_s)

    def _collect(self, now_s: float) -> None:
        for window in self.session.windows_to_transcribe():
            self._queue.add(window)
        for event in self.session.events_to_send():
            recorded = recorded_event(event, self.session.settings.endpointing_ms)
            if recorded is not None:
                self.shown.append(Stamped(now_s, recorded))
        if self._running is None and (batch := self._queue.next_batch()):
            self._running = now_s + delay_s(batch[0]), batch[0]


def recorded_event(event: events.Event, endpointing_ms: int) -> Event | None:
    """Convert an event of a session to one of `measures.record`; None if it has no counterpart."""
    match event:
        case events.SpeechStarted(channel, utterance, sample):
            return SpeechBegan((channel, utterance), sample / SAMPLE_RATE)
        case events.SpeechEnded(channel, utterance, sample):
            return SpeechOver((channel, utterance), sample / SAMPLE_RATE)
        case events.Partial():
            return Shown(
                (event.channel, event.utterance),
                tuple(text_of(event.committed).split()),
                tuple(text_of(event.tentative).split()),
            )
        case events.Final():
            words = (
                TimedWord(
                    word.text.strip(),
                    word.start_sample / SAMPLE_RATE,
                    word.end_sample / SAMPLE_RATE,
                    word.confidence,
                )
                for word in event.words
            )
            return Finished(
                (event.channel, event.utterance),
                text_of(event.words),
                tuple(words),
                by_silence=event.endpoint_ms >= endpointing_ms,
            )
    return None
