"""When the next window of an utterance is due, where it starts and where it ends.

Windows overlap: each ends now, and starts as early as is useful. A partial's starts where the one
before it did, so that the engine can use what it remembers of it; when that is too long ago, it
starts anew some seconds ago, between two words on which hypotheses agree, so that its cost does not
grow with the utterance;
a final's starts with the words before the utterance, as far as the model's 30 s allow. One window
is in flight at a time: under load hypotheses come later, and partials become less frequent.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from stream.core.audio import SAMPLE_RATE, samples_of_ms
from stream.core.settings import SessionTuning
from stream.core.windows import WindowKind, Word


@dataclass(frozen=True, slots=True)
class Span:
    """The samples of a window, [start_sample, end_sample), and its kind."""

    start_sample: int
    end_sample: int
    kind: WindowKind
    full: bool
    """Whether it has grown to the limit."""


class Windowing:
    """The windows of one utterance, by the audio clock alone.

    `known` are the words that hypotheses agree on, in order, including those of the utterance's
    context: a window starts between two of them.
    """

    def __init__(self, start_sample: int, first_after_sample: int, tuning: SessionTuning) -> None:
        self.start_sample = start_sample
        """No window starts before this sample."""
        self.covered_sample = start_sample
        """Hypotheses cover the utterance up to here."""
        self._asked_sample = first_after_sample
        self._in_flight: Span | None = None
        self._tail = samples_of_ms(tuning.tail_ms)
        self._limit = round(tuning.max_window_s * SAMPLE_RATE)
        self._partial_limit = round(tuning.max_partial_s * SAMPLE_RATE)
        self._partial_restart = round(
            min(tuning.restart_partial_s, tuning.max_partial_s) * SAMPLE_RATE
        )
        self._partial_start: int | None = None
        self._overlap = round(tuning.overlap_s * SAMPLE_RATE)

    def open_span(
        self, now: int, speech_end: int, known: Sequence[Word], hop: int | None, patience: int
    ) -> Span | None:
        """Return the window due while the utterance is open, and record it as in flight.

        The final is decoded ahead of the endpoint: once `patience` samples of silence have passed,
        its window is requested, and its words are final unless speech continues. If that takes
        long, a partial is due in the pause.

        Args:
            now: a window may end here.
            speech_end: of the speech so far.
            known: the words that hypotheses agree on.
            hop: new audio, in samples, that makes a partial due; None for no partials.
            patience: silence before the final's window, in samples, at least `tail_ms`.
        """
        silence = now - speech_end
        if silence >= patience:
            if max(self.covered_sample, self._final_asked()) < speech_end + self._tail:
                return self._ask(now, WindowKind.FINAL, known)
        elif self._in_flight is None:
            if hop is not None and silence >= self._tail and self._asked_sample < speech_end:
                # The other half of the silence is left to the final, which starts earlier.
                return self._ask(speech_end + self._tail // 2, WindowKind.PARTIAL, known)
            # In a short pause a partial waits until the final is due or speech continues.
            due = hop is not None and now - self._asked_sample >= hop and silence == 0
            if due or self._is_full(now, known):
                return self._ask(now, WindowKind.PARTIAL, known)
        return None

    def closing_span(self, end_sample: int, known: Sequence[Word]) -> Span | None:
        """Return the window that covers the rest up to the end; None while it is in flight."""
        if max(self.covered_sample, self._final_asked()) < end_sample:
            return self._ask(end_sample, WindowKind.FINAL, known)
        return None

    def answered(self, start_sample: int, end_sample: int) -> bool:
        """Record that a window was transcribed; return whether it had grown to the limit."""
        self.covered_sample = max(self.covered_sample, end_sample)
        if self._in_flight is not None and end_sample >= self._in_flight.end_sample:
            self._in_flight = None
        return end_sample - start_sample >= self._limit

    def advance(self, known: Sequence[Word]) -> None:
        """Move the earliest start to where the longest window can start."""
        self.start_sample = earliest_start(
            known, self.covered_sample - self._limit, self.start_sample
        )

    def cut(self, known: Sequence[Word]) -> None:
        """Move the earliest start to the last place in `known` that leaves an overlap."""
        self.start_sample = cut_sample(
            known, self.covered_sample - self._overlap, self.start_sample
        )

    def _ask(self, end_sample: int, kind: WindowKind, known: Sequence[Word]) -> Span | None:
        if self._in_flight is not None and self._in_flight.kind is WindowKind.FINAL:
            return None
        start = self._start(end_sample, kind, known)
        end = min(end_sample, start + self._limit)
        self._asked_sample = end
        self._in_flight = Span(start, end, kind, end - start >= self._limit)
        return self._in_flight

    def _is_full(self, now: int, known: Sequence[Word]) -> bool:
        """Return whether words must be committed, because no window includes all that are not."""
        if now - self.start_sample < self._limit:
            return False  # the usual case, without further work
        return now - self._start(now, WindowKind.PARTIAL, known) >= self._limit

    def _start(self, end_sample: int, kind: WindowKind, known: Sequence[Word]) -> int:
        if kind is WindowKind.FINAL:
            start = earliest_start(known, end_sample - self._limit, self.start_sample)
        else:
            start = self._start_of_partial(end_sample, known)
        # Audio that is too long for one window takes two: the first one starts as early as it can.
        return start if end_sample - start < self._limit else self.start_sample

    def _start_of_partial(self, end_sample: int, known: Sequence[Word]) -> int:
        """Return where the partial before it began, until the window is too long; then later."""
        start = self._partial_start
        if start is None or start < self.start_sample or end_sample - start >= self._partial_limit:
            restart = end_sample - self._partial_restart
            start = earliest_start(known, restart, self.start_sample)
            self._partial_start = start
        return start

    def _final_asked(self) -> int:
        final = self._in_flight is not None and self._in_flight.kind is WindowKind.FINAL
        return self._asked_sample if final else 0


def earliest_start(known: Sequence[Word], earliest: int, floor: int) -> int:
    """Return the first place between two words that is not before `earliest`, else the last place.

    `floor` is the first place of all; no place is before it.
    """
    start = floor
    for word, following in pairwise(known):
        if start >= earliest:
            break
        start = max(start, (word.end_sample + max(word.end_sample, following.start_sample)) // 2)
    return start


def cut_sample(known: Sequence[Word], latest: int, earliest: int) -> int:
    """Return the last place between two known words that is not after `latest`.

    If no word ends in time, the cut is after the first word that ends after `earliest`; if there
    are no words at all, the cut is at `latest`.
    """
    inside = [word for word in known if word.end_sample > earliest]
    if not inside:
        return max(latest, earliest)
    place = 0
    while place + 1 < len(inside) and inside[place + 1].end_sample <= latest:
        place += 1
    end = inside[place].end_sample
    following = inside[place + 1].start_sample if place + 1 < len(inside) else end
    return (end + max(end, following)) // 2


def context_sample(words: Sequence[Word], start_sample: int, context: int) -> int:
    """Return where a window starts that includes the words before an utterance.

    That is between two words, at most `context` samples before the utterance, or the utterance's
    own start if no word is within them.
    """
    earliest = start_sample - context
    for before, word in zip([None, *words], words, strict=False):
        if word.start_sample >= earliest:
            pause = before.end_sample if before else word.start_sample
            return min((max(pause, earliest) + word.start_sample) // 2, start_sample)
    return start_sample
