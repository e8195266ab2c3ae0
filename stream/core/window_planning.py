"""Decides when the next window of an utterance is due, where it starts and where it ends.

Windows overlap: each ends at the current sample, and starts as early as is useful. The window of a
partial starts where the previous one started, so that the encoder can reuse its results. When it
would become too long, it starts anew some seconds before its end, between two words on which
hypotheses agree, so that its cost does not grow with the utterance. The window of a final starts
with the words before the utterance, as far as the model's 30 s allow. One window is in flight at a
time, so under load, when hypotheses take longer, partials become less frequent.
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
    """Whether the window has the greatest length, `max_window_s`."""


class Windowing:
    """Plans the windows of one utterance, by sample indices alone.

    In the methods, `known` are the words of utterance and context on which hypotheses agree, in
    order; a window starts between two of them.
    """

    def __init__(self, start_sample: int, first_after_sample: int, tuning: SessionTuning) -> None:
        self.start_sample = start_sample
        """The earliest sample at which a window may start."""
        self.covered_sample = start_sample
        """The sample up to which hypotheses cover the utterance."""
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

        The final is decoded ahead of the endpoint: its window is requested after `patience` samples
        of silence, and its words become final unless speech continues. A partial may be requested
        earlier in the same silence, after `tail_ms` of it. Returns None if no window is due.

        Args:
            now: sample at which a window may end.
            speech_end: the sample after the last speech so far.
            known: the words on which hypotheses agree.
            hop: new audio, in samples, after which a partial is due; None for no partials.
            patience: silence before the window of the final, in samples, at least `tail_ms`.
        """
        silence = now - speech_end
        if silence >= patience:
            if max(self.covered_sample, self._final_asked()) < speech_end + self._tail:
                return self._ask(now, WindowKind.FINAL, known)
        elif self._in_flight is None:
            if hop is not None and silence >= self._tail and self._asked_sample < speech_end:
                # The window includes half of the tail, so that the final, whose window includes
                # all of it and starts earlier, is still requested.
                return self._ask(speech_end + self._tail // 2, WindowKind.PARTIAL, known)
            # In a short pause no partial is requested: the final may be due soon.
            due = hop is not None and now - self._asked_sample >= hop and silence == 0
            if due or self._is_full(now, known):
                return self._ask(now, WindowKind.PARTIAL, known)
        return None

    def closing_span(self, end_sample: int, known: Sequence[Word]) -> Span | None:
        """Return the final window up to the end, and record it as in flight.

        Returns None if that window is in flight or has been transcribed. If the rest is longer than
        one window, the window returned covers the first part of it.
        """
        if max(self.covered_sample, self._final_asked()) < end_sample:
            return self._ask(end_sample, WindowKind.FINAL, known)
        return None

    def answered(self, start_sample: int, end_sample: int) -> bool:
        """Record that a window was transcribed; return whether it had the greatest length."""
        self.covered_sample = max(self.covered_sample, end_sample)
        if self._in_flight is not None and end_sample >= self._in_flight.end_sample:
            self._in_flight = None
        return end_sample - start_sample >= self._limit

    def advance(self, known: Sequence[Word]) -> None:
        """Move `start_sample` to a gap between known words, past all that no window can include.

        A window of the greatest length that ends at `covered_sample` starts there or earlier.
        """
        self.start_sample = earliest_start(
            known, self.covered_sample - self._limit, self.start_sample
        )

    def cut(self, known: Sequence[Word]) -> None:
        """Move `start_sample` to the last gap between known words that leaves `overlap_s` of audio
        before `covered_sample`.
        """
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
        """Return whether the uncommitted words fill a whole window, so some must be committed."""
        if now - self.start_sample < self._limit:
            return False  # the usual case
        return now - self._start(now, WindowKind.PARTIAL, known) >= self._limit

    def _start(self, end_sample: int, kind: WindowKind, known: Sequence[Word]) -> int:
        if kind is WindowKind.FINAL:
            start = earliest_start(known, end_sample - self._limit, self.start_sample)
        else:
            start = self._start_of_partial(end_sample, known)
        # If the audio is too long for one window, two are needed, and the first one starts as early
        # as possible.
        return start if end_sample - start < self._limit else self.start_sample

    def _start_of_partial(self, end_sample: int, known: Sequence[Word]) -> int:
        """Return the start of the previous partial's window, or a later one if it is too early."""
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
    """Return the first gap between two known words at or after `earliest`; else the last gap.

    Args:
        known: words in order of time; a window may start in the middle of the gap between two.
        earliest: sample at or after which the start should be.
        floor: sample that is returned if it is not before `earliest`, or if there is no gap. The
            result is never before it.
    """
    start = floor
    for word, following in pairwise(known):
        if start >= earliest:
            break
        start = max(start, (word.end_sample + max(word.end_sample, following.start_sample)) // 2)
    return start


def cut_sample(known: Sequence[Word], latest: int, earliest: int) -> int:
    """Return the middle of the gap after the last known word that ends at or before `latest`.

    Words that end at or before `earliest` do not count. If no word ends by `latest`, the cut is
    after the first one; if there are no words, the cut is at `latest`, but not before `earliest`.
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


def context_sample(
    words: Sequence[Word], start_sample: int, context: int, longest_pause: int
) -> int:
    """Return the start of a window that includes the last words before an utterance as context.

    The start is between two words, at most `context` samples before the utterance. It is the start
    of the utterance if no word begins within these samples, or if a pause of more than
    `longest_pause` samples lies between the words and the utterance.
    """
    if words and start_sample - words[-1].end_sample > longest_pause:
        return start_sample
    earliest = start_sample - context
    for before, word in zip([None, *words], words, strict=False):
        if word.start_sample >= earliest:
            pause = before.end_sample if before else word.start_sample
            return min((max(pause, earliest) + word.start_sample) // 2, start_sample)
    return start_sample
