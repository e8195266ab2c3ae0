"""Groups words into segments, at the ends of sentences and at pauses.

The segmenter works incrementally: it takes words as they become certain, and returns each segment
as soon as it is complete.
"""

from collections.abc import Iterable, Sequence

from stream.core.audio import SAMPLE_RATE
from stream.core.windows import Word
from stream.recordings.results import Segment, TimedWord

SENTENCE_ENDS = (
    *(".", "?", "!", "…", "。", "？", "！", ".”", '."', '?"', '!"', "?”", "!”"),
    *(
        "。」",
        "？」",
        "！」",
        "。』",
        "。”",
        "？”",
        "！”",
        "．",
        "｡",
        "।",
        "॥",
        "؟",
        "۔",
        "։",
        "።",
        "។",
        "။",
    ),
)
PHRASE_ENDS = (",", ";", ":", "，", "、", "；", "：", "،", "؛", "၊", "፣")
PAUSE_S = 1.0
"""A gap of this length between two words ends a segment, with or without punctuation."""
MAX_SEGMENT_S = 20.0
"""A longer segment is divided at its longest gap."""
MIN_WORDS = 2
"""A shorter sentence is joined with the next one, unless a pause follows it."""
ABBREVIATIONS = frozenset({"mr.", "mrs.", "ms.", "dr.", "prof.", "st.", "no.", "jr.", "sr.", "vs."})


class Segmenter:
    """Groups the words of one channel into segments."""

    def __init__(self, channel: int = 0) -> None:
        self._channel = channel
        self._open: list[TimedWord] = []
        self._language = ""

    def receive(self, words: Iterable[Word], language: str) -> list[Segment]:
        """Add words in a language; return the segments that this completes."""
        complete = []
        for word in map(timed, words):
            changed = bool(self._language) and language != self._language
            if self._open and (changed or self._ends_before(word)):
                complete.append(self._close(len(self._open)))
            self._language = language
            self._open.append(word)
            if word.end_s - self._open[0].start_s > MAX_SEGMENT_S:
                complete.append(self._close(longest_gap(self._open)))
        return complete

    def receive_end(self) -> list[Segment]:
        """Return the segment of the remaining words, if there are any."""
        return [self._close(len(self._open))] if self._open else []

    def _ends_before(self, word: TimedWord) -> bool:
        last = self._open[-1]
        if word.start_s - last.end_s >= PAUSE_S:
            return True
        if last.text.strip().lower() in ABBREVIATIONS or len(self._open) < MIN_WORDS:
            return False
        return last.text.endswith(SENTENCE_ENDS)

    def _close(self, count: int) -> Segment:
        closed, self._open = self._open[:count], self._open[count:]
        return Segment(tuple(closed), self._language, self._channel)


def longest_gap(words: Sequence[TimedWord]) -> int:
    """Return the index of the word, among the last two thirds, with the longest gap before it.

    A gap after a comma counts as 0.3 s longer. Returns len(words) if there is only one word.
    """

    def worth(i: int) -> float:
        comma = words[i - 1].text.endswith(
            (",", ";", ":", "，", "、", "；", "：", "،", "؛", "၊", "፣")
        )
        return words[i].start_s - words[i - 1].end_s + (0.3 if comma else 0.0)

    later = range(max(len(words) // 3, 1), len(words))
    return max(later, key=worth, default=len(words))


def timed(word: Word) -> TimedWord:
    """Convert the times of a word from samples to seconds."""
    start, end = word.start_sample / SAMPLE_RATE, word.end_sample / SAMPLE_RATE
    return TimedWord(
        word.text,
        round(start, 3),
        round(end, 3),
        word.confidence,
        word.tokens,
        word.log_probabilities,
    )
