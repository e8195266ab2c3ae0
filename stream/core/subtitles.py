"""Divides words into readable subtitles: cues of two lines, and subtitle files.

The rules are those of broadcasters (the BBC's and Netflix's guides agree on most): at most two
lines of 42 columns, of which a Han letter takes two, on the screen for one to seven seconds, at a
readable rate, divided at the ends of sentences and phrases. The division is found as a shortest
path over the unbreakable units: each possible cue has a price, which depends on where it divides
the sentence and on how readable it is.

Pure: words in, text out.
"""

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from itertools import accumulate, pairwise, zip_longest
from math import inf
from typing import Protocol

import regex

from stream.core.line_breaking import break_positions, columns, smallest_parts

LINE_COLUMNS = 42
LINES = 2
WIDE = LINE_COLUMNS // 2
"""Columns. A wider word may be divided, and a label takes no more than this of a line."""
LEAST_S = 1.0
MOST_S = 7.0
COLUMNS_PER_S = 17.0
"""Columns for each second: the rate at which an adult reads without effort."""
GAP_S = 0.08
"""Gap between two cues: two video frames, so that the change is visible."""
SILENCE_S = 1.5
"""Seconds. A cue ends at a silence of at least this length."""

CLOSERS = r"[\p{Pe}\p{Pf}\"'\s]*$"
SENTENCE_END = regex.compile(r"[.?!…。．｡？！؟۔।॥։።။។៕]" + CLOSERS)
PHRASE_END = regex.compile(r"[,;:—，、､；：،؛፣၊]" + CLOSERS)
OPENERS = re.compile(
    r"(and|but|or|nor|so|because|although|though|while|when|where|which|who|that|if|than|as|of|in|on"
    r"|at|by|for|from|with|without|into|about|after|before|to)",
    re.IGNORECASE,
)
"""English words that begin a phrase; a break before one of them reads well."""

CUE_PRICE = 1.0
BREAK_PRICES = {"sentence": 0.0, "phrase": 1.0, "pause": 1.0, "opener": 2.0, "anywhere": 4.0}
PART_PRICE = 12.0
"""The price of a break within a word; only words wider than `WIDE` can be broken."""


class Word(Protocol):
    """The properties of a word that this module reads."""

    @property
    def text(self) -> str:
        """The word, with a leading space if the language separates words by spaces."""

    @property
    def start_s(self) -> float:
        """Seconds."""

    @property
    def end_s(self) -> float:
        """Seconds."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A word with its times."""

    text: str
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class Unit:
    """Text that is never broken: a word, or a Han letter with the punctuation that adjoins it."""

    text: str
    """The unit, with the space before it, if there is one."""
    start_s: float
    end_s: float
    goes_on: bool = False
    """Whether it is a later part of a word that was divided because of its width."""


@dataclass(frozen=True, slots=True)
class Cue:
    """The text that is on the screen at one time."""

    start_s: float
    end_s: float
    lines: tuple[str, ...]
    speaker: str = ""


def cues(words: Iterable[Word], speaker: str = "") -> list[Cue]:
    """Divide the words of one speaker, in order of time, into cues that do not overlap.

    The first line of a cue leaves room for the label of the speaker.
    """
    made = []
    for spoken in runs([word for word in words if word.text.strip()]):
        run = Run(units(spoken), columns(label(speaker)))
        for first, last in run.divided():
            shown = run.units[first:last]
            lines = run.lines(first, last)
            assert lines is not None
            made.append(Cue(shown[0].start_s, shown[-1].end_s, lines, speaker))
    return extended(made)


def srt(cues: Sequence[Cue]) -> str:
    """Return the text of a SubRip file with the cues, sorted by start time."""
    blocks = []
    for number, cue in enumerate(sorted(cues, key=lambda cue: cue.start_s), 1):
        times = f"{clock(cue.start_s, ',')} --> {clock(cue.end_s, ',')}"
        text = label(cue.speaker) + "\n".join(cue.lines)
        blocks.append(f"{number}\n{times}\n{text}\n")
    return "\n".join(blocks)


def vtt(cues: Sequence[Cue], header: str = "") -> str:
    """Return the text of a WebVTT file with the cues, sorted by start time.

    `header` is an optional line after the first one.
    """
    blocks = [f"WEBVTT\n{header}\n" if header else "WEBVTT\n"]
    for cue in sorted(cues, key=lambda cue: cue.start_s):
        times = f"{clock(cue.start_s, '.')} --> {clock(cue.end_s, '.')}"
        voice = f"<v {escape(cue.speaker, quote=False)}>" if cue.speaker else ""
        text = voice + "\n".join(escape(line, quote=False) for line in cue.lines)
        blocks.append(f"{times}\n{text}\n")
    return "\n".join(blocks)


def clock(seconds: float, point: str) -> str:
    """Return a time as `01:02:03,450`, with `point` before the thousandths."""
    ms = round(seconds * 1000)
    return f"{ms // 3_600_000:02}:{ms // 60_000 % 60:02}:{ms // 1000 % 60:02}{point}{ms % 1000:03}"


def label(speaker: str) -> str:
    """Return the prefix that names the speaker; empty if the speaker has no name."""
    return f"{speaker}: " if speaker else ""


def runs(words: Sequence[Word]) -> Iterator[Sequence[Word]]:
    """Yield the stretches of words between silences of at least `SILENCE_S`."""
    start = 0
    for i in range(1, len(words) + 1):
        if i == len(words) or words[i].start_s - words[i - 1].end_s >= SILENCE_S:
            yield words[start:i]
            start = i


def units(words: Sequence[Word]) -> list[Unit]:
    """Return the words as unbreakable units.

    Words between which no line may end are joined. Words wider than `WIDE` are divided, and the
    time of a word is divided evenly among its characters.
    """
    text = "".join(word.text for word in words)
    borders: list[int] = []
    candidates: set[int] = set()
    times: list[float] = []
    for word in words:
        start, length = len(times), len(word.text)
        each_s = (word.end_s - word.start_s) / length
        times += [word.start_s + i * each_s for i in range(length)]
        borders += [start]
        wide = columns(word.text) > WIDE
        candidates.update(range(start, start + length) if wide else [start])
    ends = [*times[1:], words[-1].end_s]
    for border, word in zip(borders[1:], words, strict=False):
        ends[border - 1] = word.end_s
    found: list[Unit] = []
    for start, end in pairwise([0, *sorted(break_positions(text, candidates - {0})), len(text)]):
        part_text = text[start:end]
        parts = (
            smallest_parts(part_text, WIDE) if columns(part_text.strip()) > WIDE else [part_text]
        )
        for number, part in enumerate(parts):
            end = start + len(part)
            found.append(Unit(part, times[start], ends[end - 1], number > 0))
            start = end
    return found


class Run:
    """Divides the units between two silences into cues; a cue is a range of units."""

    def __init__(self, units: Sequence[Unit], label_columns: int) -> None:
        self.units = units
        self._room = LINE_COLUMNS - min(label_columns, LINE_COLUMNS // 2)
        """Columns that the label leaves in the first line of a cue."""
        self._columns = [0, *accumulate(columns(unit.text) for unit in units)]
        self._before = [columns(u.text) - columns(u.text.lstrip()) for u in units]
        self._after = [columns(u.text) - columns(u.text.rstrip()) for u in units]
        ends = (bool(SENTENCE_END.search(unit.text)) for unit in units)
        self._sentences = [0, *accumulate(ends)]
        """Number of sentences that end before each unit."""
        self._prices = [0.0, *(break_price(one, other) for one, other in pairwise(units))]

    def divided(self) -> list[tuple[int, int]]:
        """Return the cheapest division into cues, as ranges [first, end) of units, in order."""
        count = len(self.units)
        best = [0.0] + [inf] * count
        before = [0] * (count + 1)
        for end in range(1, count + 1):
            for start in range(end - 1, -1, -1):
                if end - start > 1 and not self._fits(start, end):
                    break
                price = best[start] + self._price(start, end)
                if price < best[end]:
                    best[end], before[end] = price, start
        ranges = []
        end = count
        while end:
            ranges.append((before[end], end))
            end = before[end]
        return ranges[::-1]

    def lines(self, start: int, end: int) -> tuple[str, ...] | None:
        """Return the one or two lines of a cue, divided where it reads best; None if too long."""
        if self._width(start, end) <= self._room:
            return (self._written(start, end),)
        best, divided = inf, None
        for i in range(start + 1, end):
            upper, lower = self._width(start, i), self._width(i, end)
            if upper > self._room or lower > LINE_COLUMNS:
                continue
            # A longer lower line costs less than a longer upper one, because it is easier to read.
            uneven = abs(lower - upper) / LINE_COLUMNS + 0.3 * (upper > lower)
            price = self._prices[i] + 2.0 * uneven
            if price < best:
                best, divided = price, i
        if divided is None:
            return None
        return self._written(start, divided), self._written(divided, end)

    def _width(self, start: int, end: int) -> int:
        """Return the columns of units [start, end), without the space around them."""
        whole = self._columns[end] - self._columns[start]
        return whole - self._before[start] - self._after[end - 1]

    def _written(self, start: int, end: int) -> str:
        """Return the text of units [start, end), without the space around it."""
        return "".join(unit.text for unit in self.units[start:end]).strip()

    def _fits(self, start: int, end: int) -> bool:
        """Return whether units [start, end) fit into one cue, by duration and by width."""
        if self.units[end - 1].end_s - self.units[start].start_s > MOST_S:
            return False
        if self._width(start, end) <= self._room:
            return True
        # The first line takes as many units as fit, which leaves the fewest for the second.
        most = self._columns[start] + self._before[start] + self._room
        i = min(bisect_right(self._columns, most) - 1, end - 1)
        return i > start and self._width(i, end) <= LINE_COLUMNS

    def _price(self, start: int, end: int) -> float:
        """Return the price of a cue of units [start, end): of the break at its end, and of what
        makes it hard to read.
        """
        last_of_run = end == len(self.units)
        price = CUE_PRICE + (0.0 if last_of_run else self._prices[end])
        until_s = self.units[end - 1].end_s + SILENCE_S if last_of_run else self.units[end].start_s
        shown_s = until_s - self.units[start].start_s
        price += 2.0 * max(0.0, LEAST_S - shown_s)
        price += max(0.0, (self._columns[end] - self._columns[start]) / COLUMNS_PER_S - shown_s)
        # A cue reads badly if a sentence ends inside it and a few words of the next one follow.
        return price + 0.5 * (self._sentences[end - 1] - self._sentences[start])


def break_price(before: Unit, after: Unit) -> float:
    """Return the price of a break between two units; the lowest price that applies."""
    kinds = ["anywhere"]
    if SENTENCE_END.search(before.text):
        kinds.append("sentence")
    if PHRASE_END.search(before.text):
        kinds.append("phrase")
    if after.start_s - before.end_s >= 0.3:
        kinds.append("pause")
    if OPENERS.fullmatch(after.text.strip()):
        kinds.append("opener")
    if after.goes_on and kinds == ["anywhere"]:
        return PART_PRICE
    return min(BREAK_PRICES[kind] for kind in kinds)


def extended(made: Sequence[Cue]) -> list[Cue]:
    """Return the cues, extended to the time that it takes to read them.

    A cue is extended to at least `LEAST_S` and at most `MOST_S`, and ends before the next one.
    """
    result = []
    for cue, following in zip_longest(made, made[1:]):
        latest = following.start_s - GAP_S if following else inf
        read_s = sum(map(columns, cue.lines)) / COLUMNS_PER_S
        wanted = cue.start_s + min(max(LEAST_S, read_s), MOST_S)
        end = min(max(cue.end_s, wanted), latest)
        result.append(Cue(cue.start_s, max(end, cue.start_s + 0.001), cue.lines, cue.speaker))
    return result
