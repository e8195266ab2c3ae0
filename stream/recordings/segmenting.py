"""Words into segments: sentences, or what is said between pauses.

A pure stream: words go in as they become certain, segments come out as soon as they are complete.
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
"""So long a silence ends a segment, whatever its punctuation."""
LONGEST_S = 20.0
"""A longer one is divided at its longest gap."""
LEAST_WORDS = 2
"""A sentence of fewer words stays with its neighbour where there is no pause."""
ABBREVIATIONS = frozenset({"mr.", "mrs.", "ms.", "dr.", "prof.", "st.", "no.", "jr.", "sr.", "vs."})


class Segmenter:
    """Collects the words of one channel."""

    def __init__(self, channel: int = 0) -> None:
        self._channel = channel
        self._open: list[TimedWord] = []
        self._language = ""

    def receive(self, words: Iterable[Word], language: str) -> list[Segment]:
        """Take words; return the segments that are complete now."""
        complete = []
        for word in map(timed, words):
            changed = bool(self._language) and language != self._language
            if self._open and (changed or self._ends_before(word)):
                complete.append(self._close(len(self._open)))
            self._language = language
            self._open.append(word)
            if word.end_s - self._open[0].start_s > LONGEST_S:
                complete.append(self._close(longest_gap(self._open)))
        return complete

    def receive_end(self) -> list[Segment]:
        """Return what is left."""
        return [self._close(len(self._open))] if self._open else []

    def _ends_before(self, word: TimedWord) -> bool:
        last = self._open[-1]
        if word.start_s - last.end_s >= PAUSE_S:
            return True
        if last.text.strip().lower() in ABBREVIATIONS or len(self._open) < LEAST_WORDS:
            return False
        return last.text.endswith(SENTENCE_ENDS)

    def _close(self, count: int) -> Segment:
        closed, self._open = self._open[:count], self._open[count:]
        return Segment(tuple(closed), self._language, self._channel)


def longest_gap(words: Sequence[TimedWord]) -> int:
    """Return before which word, not the first, there is most silence; after a comma counts more."""

    def worth(i: int) -> float:
        comma = words[i - 1].text.endswith(
            (",", ";", ":", "，", "、", "；", "：", "،", "؛", "၊", "፣")
        )
        return words[i].start_s - words[i - 1].end_s + (0.3 if comma else 0.0)

    later = range(max(len(words) // 3, 1), len(words))
    return max(later, key=worth, default=len(words))


def timed(word: Word) -> TimedWord:
    """Return a word with its times in seconds."""
    start, end = word.start_sample / SAMPLE_RATE, word.end_sample / SAMPLE_RATE
    return TimedWord(word.text, round(start, 3), round(end, 3), word.confidence)
