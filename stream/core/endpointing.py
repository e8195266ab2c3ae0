"""Detects where utterances begin and end, from one decision of the voice detector per frame.

There are three states: SILENCE between utterances, SPEECH inside an utterance, and HANGOVER inside
an utterance that may be over. The voice detector's decisions on a frame and on the frames just
before it put the frame into one of four classes:

- QUIET: the frame is not speech, or neither of the two frames before it is speech. A lone speech
  frame is a click or an error of the detector: it neither begins nor prolongs speech.
- VOICED: the frame is speech, and so is at least one of the two frames before it.
- SUSTAINED: the frame is speech, and within the last `onset_ms` / 0.7 there are `onset_ms` of
  speech frames. This class takes precedence over the two above.
- TIMEOUT: the frame is QUIET, an utterance is open, and its last VOICED or SUSTAINED frame ended at
  least `endpointing_ms` before the end of this frame.

Only a SUSTAINED frame begins an utterance, so noise seldom does. A VOICED frame is enough to
continue one, so a short word after a pause is not lost. The transition from SILENCE to SPEECH is
the onset, and the transition back to SILENCE is the endpoint. The detector reacts late, so an
utterance includes `pre_roll_ms` of audio before its first speech frame, but never audio of the
previous utterance.

The module handles neither audio nor text: time is the number of samples fed.
"""

from collections import deque
from dataclasses import dataclass
from enum import Enum, auto
from math import ceil

from stream.core.audio import SAMPLES_PER_MS

MERGED_GAP_MS = 200
"""Two speech frames with a shorter gap between them belong to one span of speech: the gap is the
closure of a consonant or an error of the detector."""


class State(Enum):
    """The state of an `Endpointer`; the module docstring defines each."""

    SILENCE = auto()
    SPEECH = auto()
    HANGOVER = auto()


class FrameClass(Enum):
    """The class of a frame, given the frames before it; the module docstring defines them."""

    QUIET = auto()
    VOICED = auto()
    SUSTAINED = auto()
    TIMEOUT = auto()


TRANSITIONS = {
    State.SILENCE: {
        FrameClass.QUIET: State.SILENCE,
        FrameClass.VOICED: State.SILENCE,
        FrameClass.SUSTAINED: State.SPEECH,  # the onset
        FrameClass.TIMEOUT: State.SILENCE,
    },
    State.SPEECH: {
        FrameClass.QUIET: State.HANGOVER,
        FrameClass.VOICED: State.SPEECH,
        FrameClass.SUSTAINED: State.SPEECH,
        FrameClass.TIMEOUT: State.SILENCE,  # the endpoint, if endpointing_ms is at most a frame
    },
    State.HANGOVER: {
        FrameClass.QUIET: State.HANGOVER,
        FrameClass.VOICED: State.SPEECH,
        FrameClass.SUSTAINED: State.SPEECH,
        FrameClass.TIMEOUT: State.SILENCE,  # the endpoint
    },
}


@dataclass(frozen=True, slots=True)
class Onset:
    """An utterance has begun."""

    start_sample: int
    """`speech_sample` less the pre-roll, but not before the end of the last utterance."""
    speech_sample: int
    """The first sample of the first speech frame."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """The utterance is over."""

    speech_end_sample: int
    """The end of its last speech frame."""
    decided_sample: int
    """Number of samples that had been fed when the endpoint was decided."""


EndpointEvent = Onset | Endpoint


class Endpointer:
    """Finds the onset and the endpoint of each utterance of one channel."""

    def __init__(
        self, pre_roll_ms: int, onset_ms: int, endpointing_ms: int, frame_samples: int
    ) -> None:
        """Start at sample 0, in the state SILENCE.

        Args:
            pre_roll_ms: as in `SessionTuning`.
            onset_ms: as in `SessionTuning`.
            endpointing_ms: as in `StreamSettings`.
            frame_samples: frame length of the voice detector, in 16 kHz samples.
        """
        self.endpointing_ms = endpointing_ms
        """Milliseconds of silence that end an utterance; may be changed at any time."""
        self.now_sample = 0
        """Samples fed so far."""
        self.speech_end_sample = 0
        """The end of the last voiced frame of the open utterance; of the last one if none is."""
        self.state = State.SILENCE
        self._frame_samples = frame_samples
        self._pre_roll_samples = pre_roll_ms * SAMPLES_PER_MS
        self._onset_frames = max(ceil(onset_ms * SAMPLES_PER_MS / frame_samples), 1)
        self._span_samples = ceil(self._onset_frames / 0.7) * frame_samples
        self._recent: deque[int] = deque()
        """Start samples of the speech frames that may still be part of an onset."""
        self._boundary_sample = 0
        """The end of the last utterance: the next one cannot begin before it."""
        self._spans: list[tuple[int, int]] = []

    @property
    def in_speech(self) -> bool:
        """Whether there is an utterance that has not ended."""
        return self.state is not State.SILENCE

    @property
    def silence_samples(self) -> int:
        """Samples since the last voiced frame."""
        return self.now_sample - self.speech_end_sample

    @property
    def safe_sample(self) -> int:
        """A sample before which no later utterance can begin; it never decreases."""
        if self.in_speech:
            return self.speech_end_sample
        return max(self._boundary_sample, self.undecided_sample - self._pre_roll_samples)

    @property
    def undecided_sample(self) -> int:
        """The first sample of a possible onset that is not decided yet; `now_sample` if none."""
        return self._recent[0] if self._recent else self.now_sample

    def feed(self, is_speech: bool) -> EndpointEvent | None:
        """Take the detector's decision for the next frame; return an onset or endpoint, if any."""
        before = self.state
        frame_class = self._classify(is_speech)
        self.state = TRANSITIONS[before][frame_class]
        if self.in_speech and frame_class in (FrameClass.VOICED, FrameClass.SUSTAINED):
            self.speech_end_sample = self.now_sample
        if before is State.SILENCE and self.in_speech:
            first = self._recent[0]
            return Onset(max(first - self._pre_roll_samples, self._boundary_sample), first)
        if before is not State.SILENCE and not self.in_speech:
            return self._end(self.speech_end_sample)
        return None

    def force_end(self) -> Endpoint | None:
        """End the open utterance at `now_sample`, and return its endpoint; None if none is open.

        In both cases no later utterance includes audio before `now_sample`.
        """
        was_in_speech = self.in_speech
        self.state = State.SILENCE
        endpoint = self._end(self.now_sample)
        return endpoint if was_in_speech else None

    def skip_to(self, sample: int) -> None:
        """Advance `now_sample` over a gap without frames, after which no older audio is included.

        Call `force_end` first: no utterance may be open.
        """
        self.now_sample = self._boundary_sample = sample
        self._recent.clear()

    def speech_spans(self, start: int, end: int) -> list[tuple[int, int]]:
        """Return the speech within [start, end) as spans of samples, in order.

        A lone speech frame is left out. Spans that `forget_before` removed are missing.
        """
        spans = [(a, b) for a, b in self._spans if b - a > self._frame_samples]
        inside = [(max(a, start), min(b, end)) for a, b in spans]
        return [(a, b) for a, b in inside if a < b]

    def forget_before(self, sample: int) -> None:
        """Forget the spans that end before the sample."""
        self._spans = [span for span in self._spans if span[1] > sample]

    def _classify(self, is_speech: bool) -> FrameClass:
        start = self.now_sample
        self.now_sample += self._frame_samples
        while self._recent and self._recent[0] < self.now_sample - self._span_samples:
            self._recent.popleft()
        if is_speech:
            partner = bool(self._recent) and self._recent[-1] >= start - 2 * self._frame_samples
            self._recent.append(start)
            self._record(start)
            if len(self._recent) >= self._onset_frames:
                return FrameClass.SUSTAINED
            if partner:
                return FrameClass.VOICED
        if self.in_speech and self.silence_samples >= self.endpointing_ms * SAMPLES_PER_MS:
            return FrameClass.TIMEOUT
        return FrameClass.QUIET

    def _record(self, start: int) -> None:
        end = start + self._frame_samples
        if self._spans and start - self._spans[-1][1] < MERGED_GAP_MS * SAMPLES_PER_MS:
            self._spans[-1] = (self._spans[-1][0], end)
        else:
            self._spans.append((start, end))

    def _end(self, boundary: int) -> Endpoint:
        """Return the endpoint, and exclude frames before `boundary` from any later onset."""
        self._boundary_sample = boundary
        while self._recent and self._recent[0] < boundary:
            self._recent.popleft()
        return Endpoint(self.speech_end_sample, self.now_sample)
