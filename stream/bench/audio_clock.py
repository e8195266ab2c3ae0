"""A stream rehearsed on the audio clock alone.

The session and the model are the real ones, only time is played: an answer comes as much later as
`delay_s` says, whatever else the machine does. So what readers see repeats exactly, and another
rehearsal costs little where it asks for windows that were heard before.
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
from stream.engine.engine import Transcriber
from stream.engine.scheduler import Scheduler
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
"""Silence after a recording, so that its last utterance ends by itself."""


def delay_s(window: Window) -> float:
    """How long an answer takes: about what base takes on two cores with nothing else to do."""
    encoded_s = max(8.0, len(window.samples) / SAMPLE_RATE + 2.0)
    return 0.06 + 0.016 * encoded_s


@dataclass(slots=True)
class Memory:
    """A transcriber that remembers what it heard. A draft changes the cost and never the words."""

    transcriber: Transcriber
    cpu_s: float = 0.0
    """Of the windows asked for, remembered or not, when they were first heard."""
    _heard: dict[object, tuple[Hypothesis, float]] = field(default_factory=dict)

    def hear(self, window: Window) -> Hypothesis:
        """Return what is heard in a window of the session, which must be named after its audio."""
        place = (window.session, window.start_sample, len(window.samples))
        key = (*place, window.kind, window.speech, window.options)
        if key not in self._heard:
            began_s = time.process_time()
            heard = self.transcriber.transcribe([window])[0]
            self._heard[key] = heard, time.process_time() - began_s
        heard, cpu_s = self._heard[key]
        self.cpu_s += cpu_s
        return replace(heard, window=window)


@dataclass(slots=True)
class Rehearsal:
    """One recording as a stream, with an engine of its own that takes a window at a time."""

    session: Session
    hear: Callable[[Window], Hypothesis]
    shown: list[Stamped] = field(default_factory=list)
    _queue: Scheduler = field(default_factory=lambda: Scheduler(max_batch=1))
    _running: tuple[float, Window] | None = None
    """When the answer comes, and to which window."""

    def play(self, samples: NDArray[np.int16]) -> list[Stamped]:
        """Feed 16-bit samples (n_samples,) at the pace of speech; return what readers saw."""
        rate = self.session.settings.sample_rate
        step = rate // CHUNKS_PER_S
        for start in range(0, len(samples), step):
            now_s = (start + step) / rate
            self._answer_until(now_s)
            self.session.receive_audio(samples[start : start + step].tobytes())
            self._collect(now_s)
        self.session.receive_eof()
        self._collect(len(samples) / rate)
        self._answer_until(float("inf"))
        return self.shown

    def _answer_until(self, now_s: float) -> None:
        while self._running and self._running[0] <= now_s:
            at_s, window = self._running
            self._running = None
            self.session.receive_hypothesis(self.hear(window))
            self._collect(at_s)

    def _collect(self, now_s: float) -> None:
        for window in self.session.windows_to_transcribe():
            self._queue.add(window)
        for event in self.session.events_to_send():
            seen = as_seen(event, self.session.settings.endpointing_ms)
            if seen is not None:
                self.shown.append(Stamped(now_s, seen))
        if self._running is None and (batch := self._queue.next_batch()):
            self._running = now_s + delay_s(batch[0]), batch[0]


def as_seen(event: events.Event, endpointing_ms: int) -> Event | None:
    """Say what an event means to a reader; None where it means nothing."""
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
