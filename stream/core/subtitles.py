"""Divides words into readable subtitles: cues of two lines, and subtitle files.

The rules are those of broadcasters (the BBC's and Netflix's guides agree on most): at most two
lines of 42 characters, on the screen for one to seven seconds, at a readable rate, divided at the
ends of sentences and phrases. The division is a shortest path over the words: each possible cue has
a price, for where it divides the sentence and for how readable it is.

Pure: words in, text out.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from itertools import zip_longest
from math import inf
from typing import Protocol

LINE_CHARACTERS = 42
LINES = 2
LEAST_S = 1.0
MOST_S = 7.0
CHARACTERS_PER_S = 17.0
"""The rate at which an adult reads without effort."""
GAP_S = 0.08
"""Between two cues: two frames, so that the change is visible."""
SILENCE_S = 1.5
"""A cue ends at a silence of this length."""

SENTENCE_ENDS = (".", "?", "!", "…", "。", "？", "！")
PHRASE_ENDS = (",", ";", ":", "—", "，", "、", "；", "：")
OPENERS = re.compile(
    r"(and|but|or|nor|so|because|although|though|while|when|where|which|who|that|if|than|as|of|in|on"
    r"|at|by|for|from|with|without|into|about|after|before|to)",
    re.IGNORECASE,
)
"""Words that begin a phrase, in the language of most recordings: better to break before one."""

CUE_PRICE = 1.0
BREAK_PRICES = {"sentence": 0.0, "phrase": 1.0, "pause": 1.0, "opener": 2.0, "anywhere": 4.0}


class Word(Protocol):
    """The properties of a word that are used here."""

    @property
    def text(self) -> str:
        """With a leading space, if the language writes one."""

    @property
    def start_s(self) -> float:
        """Seconds."""

    @property
    def end_s(self) -> float:
        """Seconds."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A word, or a part of one that is longer than a line."""

    text: str
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class Cue:
    """The text that is on the screen at one time."""

    start_s: float
    end_s: float
    lines: tuple[str, ...]
    speaker: str = ""


def cues(words: Iterable[Word], speaker: str = "") -> list[Cue]:
    """Divide the words of one speaker, in order of time, into cues that do not overlap."""
    pieces = [piece for word in words for piece in fitting(word)]
    made = []
    for run in runs(pieces):
        for first, last in divided(run, len(label(speaker))):
            shown = run[first:last]
            lines = as_lines(shown, len(label(speaker)))
            assert lines is not None
            made.append(Cue(shown[0].start_s, shown[-1].end_s, lines, speaker))
    return extended(made)


def srt(cues: Sequence[Cue]) -> str:
    """Return the cues as a SubRip file."""
    blocks = []
    for number, cue in enumerate(sorted(cues, key=lambda cue: cue.start_s), 1):
        times = f"{clock(cue.start_s, ',')} --> {clock(cue.end_s, ',')}"
        text = label(cue.speaker) + "\n".join(cue.lines)
        blocks.append(f"{number}\n{times}\n{text}\n")
    return "\n".join(blocks)


def vtt(cues: Sequence[Cue], header: str = "") -> str:
    """Return the cues as a WebVTT file; `header` is an optional line after the first."""
    blocks = [f"WEBVTT\n{header}\n" if header else "WEBVTT\n"]
    for cue in sorted(cues, key=lambda cue: cue.start_s):
        times = f"{clock(cue.start_s, '.')} --> {clock(cue.end_s, '.')}"
        voice = f"<v {escape(cue.speaker, quote=False)}>" if cue.speaker else ""
        text = voice + "\n".join(escape(line, quote=False) for line in cue.lines)
        blocks.append(f"{times}\n{text}\n")
    return "\n".join(blocks)


def clock(seconds: float, point: str) -> str:
    """Return a time as hours, minutes, seconds and thousandths: `01:02:03,450`."""
    ms = round(seconds * 1000)
    return f"{ms // 3_600_000:02}:{ms // 60_000 % 60:02}:{ms // 1000 % 60:02}{point}{ms % 1000:03}"


def label(speaker: str) -> str:
    """Return the prefix that names the speaker, for formats without speakers."""
    return f"{speaker}: " if speaker else ""


def fitting(word: Word) -> Iterator[Piece]:
    """Yield a word as one piece, or as several if it is longer than half a line."""
    text = word.text
    most = LINE_CHARACTERS // 2
    if len(text.strip()) <= most:
        yield Piece(text, word.start_s, word.end_s)
        return
    each_s = (word.end_s - word.start_s) / len(text)
    for start in range(0, len(text), most):
        part = text[start : start + most]
        at = word.start_s + start * each_s
        yield Piece(part, at, at + len(part) * each_s)


def runs(pieces: Sequence[Piece]) -> Iterator[Sequence[Piece]]:
    """Yield the pieces between silences."""
    start = 0
    for i in range(1, len(pieces) + 1):
        if i == len(pieces) or pieces[i].start_s - pieces[i - 1].end_s >= SILENCE_S:
            yield pieces[start:i]
            start = i


def divided(pieces: Sequence[Piece], label_characters: int) -> list[tuple[int, int]]:
    """Return the cheapest division into cues, as ranges of pieces."""
    best = [0.0] + [inf] * len(pieces)
    before = [0] * (len(pieces) + 1)
    for end in range(1, len(pieces) + 1):
        for start in range(end - 1, -1, -1):
            if end - start > 1 and not fits(pieces[start:end], label_characters):
                break
            price = best[start] + price_of(pieces, start, end)
            if price < best[end]:
                best[end], before[end] = price, start
    ranges = []
    end = len(pieces)
    while end:
        ranges.append((before[end], end))
        end = before[end]
    return ranges[::-1]


def price_of(pieces: Sequence[Piece], start: int, end: int) -> float:
    """Return the price of a cue: of where it ends, and of whether it can be read in its time."""
    last_of_run = end == len(pieces)
    price = CUE_PRICE + (0.0 if last_of_run else break_price(pieces, end))
    until_s = pieces[end - 1].end_s + SILENCE_S if last_of_run else pieces[end].start_s
    shown_s = until_s - pieces[start].start_s
    price += 2.0 * max(0.0, LEAST_S - shown_s)
    characters = sum(len(piece.text) for piece in pieces[start:end])
    price += max(0.0, characters / CHARACTERS_PER_S - shown_s)
    # A sentence that ends inside a cue, with a few words of the next after it, is hard to read.
    inside = range(start + 1, end)
    price += sum(0.5 for i in inside if pieces[i - 1].text.endswith(SENTENCE_ENDS))
    return price


def break_price(pieces: Sequence[Piece], i: int) -> float:
    """Return the price of dividing before piece i."""
    before, after = pieces[i - 1], pieces[i]
    kinds = ["anywhere"]
    if before.text.endswith(SENTENCE_ENDS):
        kinds.append("sentence")
    if before.text.endswith(PHRASE_ENDS):
        kinds.append("phrase")
    if after.start_s - before.end_s >= 0.3:
        kinds.append("pause")
    if OPENERS.fullmatch(after.text.strip()):
        kinds.append("opener")
    return min(BREAK_PRICES[kind] for kind in kinds)


def fits(pieces: Sequence[Piece], label_characters: int) -> bool:
    """Return whether these pieces fit one cue."""
    if pieces[-1].end_s - pieces[0].start_s > MOST_S:
        return False
    return as_lines(pieces, label_characters) is not None


def as_lines(pieces: Sequence[Piece], label_characters: int) -> tuple[str, ...] | None:
    """Return the lines of a cue, divided at the best place; None if they do not fit."""
    whole = written(pieces)
    room = LINE_CHARACTERS - min(label_characters, LINE_CHARACTERS // 2)
    if len(whole) <= room:
        return (whole,)
    best, lines = inf, None
    for i in range(1, len(pieces)):
        upper, lower = written(pieces[:i]), written(pieces[i:])
        if len(upper) > room or len(lower) > LINE_CHARACTERS:
            continue
        # A longer lower line is better: the eye finds its beginning more easily.
        uneven = abs(len(lower) - len(upper)) / LINE_CHARACTERS + 0.3 * (len(upper) > len(lower))
        price = break_price(pieces, i) + 2.0 * uneven
        if price < best:
            best, lines = price, (upper, lower)
    return lines


def written(pieces: Sequence[Piece]) -> str:
    """Return pieces as they are printed."""
    return "".join(piece.text for piece in pieces).strip()


def extended(made: Sequence[Cue]) -> list[Cue]:
    """Extend each cue to the time that it takes to read, or until the next one."""
    result = []
    for cue, following in zip_longest(made, made[1:]):
        latest = following.start_s - GAP_S if following else inf
        characters = sum(map(len, cue.lines))
        wanted = cue.start_s + min(max(LEAST_S, characters / CHARACTERS_PER_S), MOST_S)
        end = min(max(cue.end_s, wanted), latest)
        result.append(Cue(cue.start_s, max(end, cue.start_s + 0.001), cue.lines, cue.speaker))
    return result
