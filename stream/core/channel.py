"""One channel of a session: its audio clock, its voice detector, its utterances in order.

Utterances form a queue: a fast upload can have several closed ones whose finals are still being
decoded, and finals are sent in the order of speech.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from stream.core.audio import SAMPLE_RATE, SAMPLES_PER_MS
from stream.core.endpointing import Endpoint, Endpointer, Onset
from stream.core.events import Event, Final, Partial, SpeechEnded, SpeechStarted
from stream.core.load import SLOW_HOPS, Load
from stream.core.resample import Resampler
from stream.core.rolling_buffer import RollingBuffer
from stream.core.settings import SessionTuning, StreamSettings
from stream.core.utterance import Utterance
from stream.core.vad import VoiceDetector
from stream.core.windowing import Span
from stream.core.windows import DecodingOptions, Hypothesis, Window, WindowKind, Word

LANGUAGE_S = 3.0
"""Seconds of speech in which a language is detected reliably: after one second it often changes."""


def shows_language(window: Window) -> bool:
    """Return whether a window has enough speech of its own to set the expected language."""
    own = sum(max(0, end - max(start, window.own_sample)) for start, end in window.speech)
    return own >= LANGUAGE_S * SAMPLE_RATE


class Channel:
    """Samples and hypotheses in; windows and events out, drained after each call."""

    def __init__(
        self,
        session: str,
        index: int,
        settings: StreamSettings,
        tuning: SessionTuning,
        detector: VoiceDetector,
        window_ids: Iterator[int],
    ) -> None:
        """Begin a channel.

        Args:
            session: its id.
            index: of the channel in the session.
            settings: the client's, as the session has checked them.
            tuning: the server's.
            detector: of this channel alone.
            window_ids: counts the windows of the session.
        """
        self.settings = settings
        self.load = Load.NORMAL
        self.finals = 0
        self.speech_samples = 0
        self.utterances_begun = 0
        self._session = session
        self._index = index
        self._tuning = tuning
        self._context = round(tuning.context_s * SAMPLE_RATE)
        self._detector = detector
        self._window_ids = window_ids
        self._windows: list[Window] = []
        self._events: list[Event] = []
        self._resampler = Resampler(settings.sample_rate)
        self._audio = RollingBuffer()
        self._now = 0  # samples that the voice detector has judged
        self._endpointer = Endpointer(
            pre_roll_ms=tuning.pre_roll_ms,
            onset_ms=tuning.onset_ms,
            endpointing_ms=settings.endpointing_ms,
            frame_samples=detector.frame_samples,
        )
        self._utterances: list[Utterance] = []
        self._context_words: tuple[Word, ...] = ()  # the end of the last utterance that is final,
        self._context_language = ""  # and its language
        self._expected_language = ""  # detected last in enough speech

    def receive_samples(self, samples: NDArray[np.float32]) -> None:
        """Take samples (n,) at the client's rate."""
        self._audio.append(self._resampler.feed(samples))
        self._detect_speech()

    def receive_end(self) -> None:
        """End the audio, and the last utterance with it."""
        self._audio.append(self._resampler.flush())
        end = self._audio.end_sample
        # The detector judges whole frames: silence fills the last one, and is subtracted again.
        self._audio.append(np.zeros((self._now - end) % self._detector.frame_samples, np.float32))
        self._detect_speech()
        self._now = end
        self.force_endpoint()

    def force_endpoint(self) -> None:
        """End the utterance now, even in the middle of a word."""
        endpoint = self._endpointer.force_end()
        if endpoint is not None:
            self._close(endpoint.speech_end_sample, pause=False)
        self._plan()

    def receive_hypothesis(self, hypothesis: Hypothesis) -> None:
        """Pass a hypothesis to its utterance, and emit what changed."""
        window = hypothesis.window
        first = window.kind is WindowKind.FINAL and not self._expected_language
        if hypothesis.words and (first or shows_language(window)):
            self._expected_language = hypothesis.language
        for utterance in self._utterances:
            if utterance.index == hypothesis.window.utterance:
                utterance.receive(hypothesis)
                if hypothesis.words and self._context_language not in ("", hypothesis.language):
                    utterance.drop_context()
                if not utterance.finished and not hypothesis.failure and self.settings.partials:
                    self._events.append(self._partial(utterance))
                break
        self._plan()

    def windows_to_transcribe(self) -> list[Window]:
        """Return the windows that became due, each once."""
        windows, self._windows = self._windows, []
        return windows

    def events_to_send(self) -> list[Event]:
        """Return the events since the last call."""
        events, self._events = self._events, []
        return events

    def configure(self, settings: StreamSettings) -> None:
        """Apply new settings from here on."""
        self.settings = settings
        self._endpointer.endpointing_ms = settings.endpointing_ms

    @property
    def _hops(self) -> int | None:
        """How many hops of new audio make a partial due; None for no partials."""
        if not self.settings.partials or self.load is Load.FINALS_ONLY:
            return None
        return SLOW_HOPS if self.load is Load.SLOW_PARTIALS else 1

    @property
    def judged_sample(self) -> int:
        """The voice detector has judged everything before this 16 kHz sample."""
        return self._now

    def all_final_before(self, sample: int) -> bool:
        """Return whether all speech before a judged sample is final, and none may have begun."""
        if self._utterances:
            return sample <= self._utterances[0].speech_sample
        return sample <= self._endpointer.undecided_sample

    @property
    def settled_sample(self) -> int:
        """Everything before this 16 kHz sample is in a final or was found to hold no speech."""
        if self._utterances:
            return min(self._utterances[0].start_sample, self._now)
        return min(self._endpointer.safe_sample, self._now)

    @property
    def lag_samples(self) -> int:
        """Samples of the first utterance that no hypothesis has covered yet."""
        if not self._utterances:
            return 0
        utterance = self._utterances[0]
        return max(0, self._now - max(utterance.start_sample, utterance.covered_sample))

    def _detect_speech(self) -> None:
        frame_samples = self._detector.frame_samples
        while self._now + frame_samples <= self._audio.end_sample:
            frame = self._audio.read(self._now, self._now + frame_samples)
            self._now += frame_samples
            match self._endpointer.feed(self._detector.is_speech(frame)):
                case Onset(start_sample=start, speech_sample=speech):
                    self._open(start, speech)
                case Endpoint(speech_end_sample=speech_end):
                    self._close(speech_end, pause=True)
            self._split_if_too_long()
            self._plan()
        self._discard_audio()

    def _open(self, start_sample: int, speech_sample: int) -> None:
        self.utterances_begun += 1
        utterance = Utterance(self.utterances_begun, start_sample, speech_sample, self._tuning)
        if not self._utterances:
            utterance.begin(self._context_words)
        self._utterances.append(utterance)
        self._events.append(SpeechStarted(self._index, utterance.index, speech_sample))

    def _close(self, speech_end: int, *, pause: bool, split: bool = False) -> None:
        utterance = self._utterances[-1]
        # The detector's last frame may have been filled with silence; the audio ends at now.
        speech_end = max(min(speech_end, self._now), utterance.start_sample)
        self.speech_samples += speech_end - utterance.start_sample
        utterance.close(speech_end, self._now, pause=pause, split=split)
        self._events.append(SpeechEnded(self._index, utterance.index, speech_end))

    def _split_if_too_long(self) -> None:
        limit = round(self.settings.max_utterance_s * SAMPLE_RATE)
        if self._endpointer.in_speech and self._now - self._utterances[-1].start_sample >= limit:
            self._close(self._now, pause=False, split=True)
            self._open(self._now, self._now)

    def _plan(self) -> None:
        """Emit every final that is ready, and request every window that is due."""
        while self._utterances and self._utterances[0].finished:
            finished = self._utterances.pop(0)
            self._events.append(self._final(finished))
            self._context_words = finished.transcript.words_from(
                finished.start_sample - self._context
            )
            self._context_language = finished.language if self._context_words else ""
            if self._utterances:
                finished.hand_over(self._utterances[0])
        for utterance in self._utterances:
            span = utterance.next_span(
                self._now,
                self._endpointer.speech_end_sample,
                self._hops,
                self.settings.endpointing_ms,
            )
            if span is not None:
                self._windows.append(self._window(utterance, span))

    def _window(self, utterance: Utterance, span: Span) -> Window:
        settings = self.settings
        return Window(
            session=self._session,
            id=next(self._window_ids),
            channel=self._index,
            utterance=utterance.index,
            kind=span.kind,
            start_sample=span.start_sample,
            samples=self._audio.read(span.start_sample, span.end_sample),
            speech=tuple(self._endpointer.speech_spans(span.start_sample, span.end_sample)),
            draft=utterance.draft(span.start_sample),
            options=DecodingOptions(
                language=settings.language,
                expected_language=self._expected_language,
                task=settings.task,
                prompt=settings.prompt,
                keyterms=settings.keyterms,
            ),
            own_sample=utterance.start_sample,
            awaited=not utterance.readable,
            full=span.full,
        )

    def _partial(self, utterance: Utterance) -> Partial:
        utterance.revision += 1
        return Partial(
            channel=self._index,
            utterance=utterance.index,
            revision=utterance.revision,
            start_sample=utterance.start_sample,
            end_sample=utterance.covered_sample,
            committed=utterance.transcript.committed,
            tentative=utterance.transcript.shown,
        )

    def _final(self, utterance: Utterance) -> Final:
        self.finals += 1
        return Final(
            channel=self._index,
            utterance=utterance.index,
            start_sample=utterance.start_sample,
            end_sample=utterance.speech_end_sample,
            words=utterance.transcript.committed,
            language=utterance.language or self.settings.language,
            speech_end_sample=utterance.speech_end_sample,
            endpoint_ms=(utterance.decided_sample - utterance.speech_end_sample) / SAMPLES_PER_MS,
            timing=utterance.timing,
            problems=utterance.problems,
        )

    def _discard_audio(self) -> None:
        """Discard audio that no later window includes."""
        needed = [utterance.needed_sample for utterance in self._utterances]
        sample = min([*needed, self._endpointer.safe_sample])
        # Windows include the last words before an utterance, if these are recent enough.
        if self._utterances or (
            self._context_words and self._context_words[-1].start_sample >= sample - self._context
        ):
            sample = max(sample - self._context, 0)
        self._audio.discard_before(sample)
        self._endpointer.forget_before(sample)
