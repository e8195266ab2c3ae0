"""When the next window of an utterance is due, and from where to where it runs.

A window runs from the start of the utterance, or from the last cut, to now; so windows overlap and
each hypothesis can confirm the one before. One window is in flight at a time: under load the
answers come later, the next window is longer, and the rate of partials tunes itself.

A window that has grown to the limit is cut: the next one starts between two committed words, early
enough that it hears `overlap` samples again.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from stream.core.audio import SAMPLE_RATE
from stream.core.hypothesis import WindowKind, Word
from stream.core.settings import SessionTuning


@dataclass(frozen=True, slots=True)
class Span:
    """A window to come: [start_sample, end_sample) and whether it may be superseded."""

    start_sample: int
    end_sample: int
    kind: WindowKind


class Windowing:
    """The windows of one utterance, by the audio clock alone."""

    def __init__(self, start_sample: int, first_after_sample: int, tuning: SessionTuning) -> None:
        self.start_sample = start_sample
        """Where the next window starts."""
        self.covered_sample = start_sample
        """The utterance has been heard up to here."""
        self._asked_sample = first_after_sample
        self._in_flight: Span | None = None
        self._hop = samples_of_ms(tuning.partial_hop_ms)
        self._early = samples_of_ms(tuning.early_final_ms)
        self._limit = round(tuning.max_window_s * SAMPLE_RATE)
        self._overlap = round(tuning.overlap_s * SAMPLE_RATE)

    def open_span(self, now: int, speech_end: int, partials: bool) -> Span | None:
        """Return the window due while the utterance goes on, and take it as in flight.

        The final is decoded ahead of the endpoint: once `early_final_ms` of silence have passed,
        what is heard then is final unless speech goes on.
        """
        if now - speech_end >= self._early:
            if max(self.covered_sample, self._final_asked()) < speech_end + self._early:
                return self._ask(now, WindowKind.FINAL)
        elif self._in_flight is None and (
            now - self.start_sample >= self._limit
            or (
                partials
                and speech_end > self._asked_sample
                and now - self._asked_sample >= self._hop
            )
        ):
            return self._ask(now, WindowKind.PARTIAL)
        return None

    def closing_span(self, end_sample: int) -> Span | None:
        """Return the window still needed to hear all up to the end, None while it is in flight."""
        if max(self.covered_sample, self._final_asked()) < end_sample:
            return self._ask(end_sample, WindowKind.FINAL)
        return None

    def answered(self, start_sample: int, end_sample: int) -> bool:
        """Take note of an answer; return whether its window had grown to the limit."""
        self.covered_sample = max(self.covered_sample, end_sample)
        if self._in_flight is not None and end_sample >= self._in_flight.end_sample:
            self._in_flight = None
        return start_sample == self.start_sample and end_sample - start_sample >= self._limit

    def cut(self, committed: Sequence[Word]) -> None:
        """Start the next window between two committed words, at least `overlap` before the end."""
        self.start_sample = cut_sample(
            committed, self.covered_sample - self._overlap, self.start_sample
        )

    def _ask(self, end_sample: int, kind: WindowKind) -> Span | None:
        if self._in_flight is not None and self._in_flight.kind is WindowKind.FINAL:
            return None
        end = min(end_sample, self.start_sample + self._limit)
        self._asked_sample = end
        self._in_flight = Span(self.start_sample, end, kind)
        return self._in_flight

    def _final_asked(self) -> int:
        final = self._in_flight is not None and self._in_flight.kind is WindowKind.FINAL
        return self._asked_sample if final else 0


def cut_sample(committed: Sequence[Word], latest: int, earliest: int) -> int:
    """Return the last place between two committed words that is not after `latest`.

    Where no word ends in time the cut falls behind the first word that ends after `earliest`;
    where there are no words at all, nothing is lost by cutting at `latest` itself.
    """
    inside = [word for word in committed if word.end_sample > earliest]
    if not inside:
        return max(latest, earliest)
    place = 0
    while place + 1 < len(inside) and inside[place + 1].end_sample <= latest:
        place += 1
    end = inside[place].end_sample
    following = inside[place + 1].start_sample if place + 1 < len(inside) else end
    return (end + max(end, following)) // 2


def context_sample(said: Sequence[Word], start_sample: int, overlap: int) -> int:
    """Return where to listen from to hear an utterance together with what was said just before.

    That is between two words, at most `overlap` before the utterance; its own start where nothing
    was said so shortly before.
    """
    earliest = start_sample - overlap
    for before, word in zip([None, *said], said, strict=False):
        if word.start_sample >= earliest:
            pause = before.end_sample if before else word.start_sample
            return min((max(pause, earliest) + word.start_sample) // 2, start_sample)
    return start_sample


def samples_of_ms(ms: float) -> int:
    """Return a duration in samples of the 16 kHz clock."""
    return round(ms * SAMPLE_RATE / 1000)
