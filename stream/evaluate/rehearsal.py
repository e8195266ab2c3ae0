"""What the settings of a session are worth: streams rehearsed on the audio clock alone.

The sessions and the model are the real ones, only time is played: an answer comes as much later as
`delay_s` says, whatever else the machine does. So the figures repeat exactly, and a variant of the
settings costs little where it asks for windows that were heard before.
"""

import json
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stream.core import events
from stream.core.audio import SAMPLE_RATE
from stream.core.hypothesis import Hypothesis, Window
from stream.core.session import Session
from stream.core.settings import SessionTuning, StreamSettings
from stream.core.transcript import text_of
from stream.core.vad import VoiceDetector
from stream.engine.scheduler import Scheduler
from stream.engine.transcriber import WhisperTranscriber
from stream.engine.voice_detectors import choose_detector
from stream.engine.worker import Transcriber
from stream.evaluate.latency import Latencies, latencies
from stream.evaluate.record import (
    Event,
    Finished,
    Shown,
    SpeechBegan,
    SpeechOver,
    Stamped,
    TimedWord,
    transcript,
)
from stream.evaluate.recordings import Recording, read_manifest
from stream.evaluate.scoring import WordErrors, word_errors
from stream.evaluate.stability import Stability, stability

NEVER_MS = 10**7
NOW = SessionTuning()
VARIANTS = {
    "as it is": NOW,
    "nothing is committed before the final": replace(
        NOW, commit_delay_ms=NEVER_MS, unsure_delay_ms=NEVER_MS
    ),
    "unsure words are committed as soon as others": replace(
        NOW, unsure_delay_ms=NOW.commit_delay_ms
    ),
    "every word is committed at once": replace(NOW, commit_delay_ms=0, unsure_delay_ms=0),
    "every word is shown at once": replace(NOW, edge_ms=0, shown_from=0.0, first_shown_from=0.0),
    "half-heard words are not shown": replace(NOW, shown_from=0.0, first_shown_from=0.0),
    "unsure first words are not shown": replace(NOW, first_shown_from=NOW.shown_from),
    "6 s of context": replace(NOW, context_s=6.0),
    "partials of 28 s": replace(NOW, max_partial_s=28.0),
    "partials of 10 s": replace(NOW, max_partial_s=10.0),
    "partials of 8 s": replace(NOW, max_partial_s=8.0),
    "partials of 6 s": replace(NOW, max_partial_s=6.0),
    "a partial a second": replace(NOW, partial_hop_ms=1000),
}
"""Those that ask for the same windows stand together: only the first of them costs time."""

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


@dataclass(frozen=True, slots=True)
class RehearsalRow:
    """What one variant of the settings makes of all recordings."""

    variant: str
    word_error_rate: float
    """Percent."""
    substitutions: int
    deletions: int
    insertions: int
    words: int
    erasure: float
    """Words taken back for each final word."""
    shown_ms: float
    """From the end of a word to its first appearance; this and the others are medians."""
    committed_ms: float
    first_partial_ms: float
    """From the start of speech."""
    cpu_s_per_audio_s: float


def run(data: Path, model: str = "base", limit: int | None = None, every: int = 1) -> None:
    """Print the table and one JSON line.

    Args:
        data: the folder that holds `dev.jsonl`.
        model: name as `load_checkpoint` takes it.
        limit: how many recordings; None for all.
        every: take only every so manyth.
    """
    recordings = read_manifest(data / "dev.jsonl")[::every][:limit]
    memory = Memory(WhisperTranscriber(model, device="cpu"))
    print("| variant | WER % | sub/del/ins | erasure | shown | committed | first | CPU s/s |")
    print("|---|---|---|---|---|---|---|---|")
    rows = []
    for row in rehearse_all(recordings, memory, choose_detector("silero")):
        rows.append(row)
        errors = f"{row.substitutions}/{row.deletions}/{row.insertions}"
        print(
            f"| {row.variant} | {row.word_error_rate:.2f} | {errors} | {row.erasure:.3f} "
            f"| {row.shown_ms:.0f} | {row.committed_ms:.0f} | {row.first_partial_ms:.0f} "
            f"| {row.cpu_s_per_audio_s:.2f} |",
            flush=True,
        )
    print(json.dumps({"rehearsal": [asdict(row) for row in rows]}))


def rehearse_all(
    recordings: Sequence[Recording],
    memory: Memory,
    detector: Callable[[], VoiceDetector],
    variants: Iterable[str] = VARIANTS,
) -> Iterator[RehearsalRow]:
    """Yield a row a variant."""
    for variant in variants:
        tuning = VARIANTS[variant]
        errors, flicker, late = WordErrors(), Stability(), Latencies()
        audio_s = memory.cpu_s = 0.0
        for recording in recordings:
            audio = recording.read()
            silence = np.zeros(round(TRAILING_S * audio.rate), np.int16)
            settings = StreamSettings(sample_rate=audio.rate)
            session = Session(recording.name, settings, tuning, detector)
            samples = np.concatenate([audio.samples, silence])
            shown = Rehearsal(session, memory.hear).play(samples)
            errors += word_errors(recording.text or "", transcript(shown))
            flicker += stability(shown)
            late += latencies(shown)
            audio_s += audio.seconds
        yield RehearsalRow(
            variant=variant,
            word_error_rate=round(errors.rate, 2),
            substitutions=errors.substitutions,
            deletions=errors.deletions,
            insertions=errors.insertions,
            words=errors.words,
            erasure=round(flicker.normalised_erasure, 3),
            shown_ms=median(late.word_to_shown),
            committed_ms=median(late.word_to_commit),
            first_partial_ms=median(late.speech_start_to_partial),
            cpu_s_per_audio_s=round(memory.cpu_s / audio_s, 3),
        )


def median(values: Sequence[float]) -> float:
    """The median of milliseconds; not a number where there are none."""
    return round(float(np.median(values)), 0) if values else float("nan")
