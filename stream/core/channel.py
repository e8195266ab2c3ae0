"""One channel of a session: its audio clock, its voice detector, its utterances in order.

Utterances form a queue: a fast upload can have several closed ones whose finals are still being
decoded, and finals are sent in the order of speech.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from stream.core.audio import BRIDGED, SAMPLE_RATE, SAMPLES_PER_MS
from stream.core.endpointing import Endpoint, Endpointer, Onset
from stream.core.events import AudioGap, Event, Final, Partial, SpeechEnded, SpeechStarted
from stream.core.high_pass import HighPass
from stream.core.load import SLOW_HOPS, Load
from stream.core.resample import Resampler
from stream.core.rolling_buffer import RollingBuffer
from stream.core.settings import SessionTuning, StreamSettings
from stream.core.utterance import Utterance
from stream.core.vad import VoiceDetector
from stream.core.window_planning import Span
from stream.core.windows import DecodingOptions, Hypothesis, Window, WindowKind, Word

LANGUAGE_S = 3.0
"""Seconds of speech from which the detected language is reliable; after 1 s it often changes."""


def shows_language(window: Window) -> bool:
    """Return whether the window has at least `LANGUAGE_S` of speech of its own utterance.

    Speech in the context before the utterance does not count.
    """
    own = sum(max(0, end - max(start, window.own_sample)) for start, end in window.speech)
    return own >= LANGUAGE_S * SAMPLE_RATE


class Channel:
    """Turns the samples and hypotheses of one channel into windows and events.

    The `receive_*` methods store windows and events, which `windows_to_transcribe` and
    `events_to_send` return.
    """

    def __init__(
        self,
        session: str,
        index: int,
        settings: StreamSettings,
        tuning: SessionTuning,
        detector: VoiceDetector,
        window_ids: Iterator[int],
    ) -> None:
        """Start at sample 0, with no open utterance.

        Args:
            session: id of the session, for its windows.
            index: index of the channel in the session.
            settings: settings of the stream, already checked.
            tuning: tuning of the server.
            detector: a voice detector that no other channel uses.
            window_ids: yields the ids of windows; all channels of the session share it.
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
        self._high_pass = HighPass()
        self._audio = RollingBuffer()
        self._now = 0  # samples that the voice detector has classified
        self._endpointer = Endpointer(
            pre_roll_ms=tuning.pre_roll_ms,
            onset_ms=tuning.onset_ms,
            endpointing_ms=settings.endpointing_ms,
            frame_samples=detector.frame_samples,
        )
        self._utterances: list[Utterance] = []
        self._context_words: tuple[Word, ...] = ()  # the last words of the last final,
        self._context_language = ""  # and their language
        # The language of the last window with at least `LANGUAGE_S` of speech; until there is one,
        # that of the first final window with words.
        self._expected_language = ""

    def receive_samples(self, samples: NDArray[np.float32]) -> None:
        """Take samples (n,) at the client's rate."""
        self._audio.append(self._high_pass.feed(self._resampler.feed(samples)))
        self._detect_speech()

    def receive_end(self) -> None:
        """End the audio, and the last utterance with it."""
        self._audio.append(self._high_pass.feed(self._resampler.flush()))
        self._judge_rest()
        self.force_endpoint()

    def receive_gap(self, n_samples: int) -> None:
        """Advance the clock over a gap of `n_samples` at the client's rate, and emit `AudioGap`.

        A gap of at most `BRIDGED` is filled with silence, so that a lost packet does not divide a
        sentence. A longer gap ends the open utterance.
        """
        self._audio.append(self._high_pass.feed(self._resampler.flush()))
        start, skipped = self._audio.end_sample, self._resampler.skip(n_samples)
        self._events.append(AudioGap(self._index, start, start + skipped))
        if skipped <= BRIDGED:
            self._audio.append(np.zeros(skipped, np.float32))
            self._detect_speech()
            return
        self._judge_rest()
        self.force_endpoint()
        self._now = start + skipped
        self._audio.skip(self._now - self._audio.end_sample)
        self._endpointer.skip_to(self._now)
        self._plan()
        self._discard_audio()

    def force_endpoint(self) -> None:
        """End the open utterance now, if any, even in the middle of a word."""
        endpoint = self._endpointer.force_end()
        if endpoint is not None:
            self._close(endpoint.speech_end_sample, pause=False)
        self._plan()

    def receive_hypothesis(self, hypothesis: Hypothesis) -> None:
        """Pass a hypothesis to its utterance, and emit the partial or the finals that result."""
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
        """Return the windows that became due since the last call."""
        windows, self._windows = self._windows, []
        return windows

    def events_to_send(self) -> list[Event]:
        """Return the events since the last call."""
        events, self._events = self._events, []
        return events

    def configure(self, settings: StreamSettings) -> None:
        """Apply settings to the audio and the windows that follow."""
        self.settings = settings
        self._endpointer.endpointing_ms = settings.endpointing_ms

    @property
    def _hops(self) -> int | None:
        """Factor of the usual amount of new audio between partials; None for no partials."""
        if not self.settings.partials or self.load is Load.FINALS_ONLY:
            return None
        return SLOW_HOPS if self.load is Load.SLOW_PARTIALS else 1

    @property
    def judged_sample(self) -> int:
        """The 16 kHz sample up to which the voice detector has classified the audio."""
        return self._now

    def all_final_before(self, sample: int) -> bool:
        """Return whether all speech before a sample is final and no onset is pending before it.

        Args:
            sample: 16 kHz sample, at most `judged_sample`.
        """
        if self._utterances:
            return sample <= self._utterances[0].speech_sample
        return sample <= self._endpointer.undecided_sample

    @property
    def settled_sample(self) -> int:
        """The 16 kHz sample before which all audio is in a final or holds no speech."""
        if self._utterances:
            return min(self._utterances[0].start_sample, self._now)
        return min(self._endpointer.safe_sample, self._now)

    @property
    def lag_samples(self) -> int:
        """Number of 16 kHz samples of the oldest pending utterance that no hypothesis covers yet.

        Gaps do not count. The number is 0 if no utterance is pending.
        """
        if not self._utterances:
            return 0
        utterance = self._utterances[0]
        covered = max(utterance.start_sample, utterance.covered_sample)
        return self._audio.stored(covered, self._now) if covered < self._now else 0

    def _judge_rest(self) -> None:
        """Classify the last samples, which do not fill a frame, by padding them with silence."""
        end = self._audio.end_sample
        self._audio.append(np.zeros((self._now - end) % self._detector.frame_samples, np.float32))
        self._detect_speech()
        self._now = end

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
        # The detector's last frame may have been padded with silence; the audio ends at `_now`.
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
        """Discard the audio that no later window can include."""
        needed = [utterance.needed_sample for utterance in self._utterances]
        sample = min([*needed, self._endpointer.safe_sample])
        # Windows include the last words before an utterance, if these are recent enough.
        if self._utterances or (
            self._context_words and self._context_words[-1].start_sample >= sample - self._context
        ):
            sample = max(sample - self._context, 0)
        self._audio.discard_before(sample)
        self._endpointer.forget_before(sample)
