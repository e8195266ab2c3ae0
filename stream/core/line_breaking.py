"""Where a text may be broken into lines, in any script, and how wide it is.

Lines are broken as Unicode Standard Annex #14 has it, which knows that no line begins with `。` and
that a word of Han letters may be broken anywhere; uniseg has its rules. It leaves the scripts of
South-East Asia to dictionaries. Those, and words that are wider than a line, are broken between
characters as a reader sees them (Annex #29), where that looks least odd.

Pure: text in, positions out.
"""

import unicodedata
from collections.abc import Collection, Iterable
from itertools import pairwise

import regex

GRAPHEME = regex.compile(r"\s*\X")
"""What a reader takes for one character, and the space before it."""

PLAIN = regex.compile(r"(?<![\p{Ps}\p{Pi}\s])[ ](?=[\p{L}\p{N}--\p{Line_Break=SA}])", regex.V1)
"""A space in front of a letter, where any line may be broken: uniseg takes 0.1 ms a character."""

HOLDS_NEXT = regex.compile(
    r"[\u0e40-\u0e44\u0ec0-\u0ec4"  # vowels of Thai and Lao that are written before their consonant
    r"\u17d2\u1039\u200d\p{Canonical_Combining_Class=Virama}\p{Ps}\p{Pi}]$"
)
HOLDS_PREVIOUS = regex.compile(
    r"[\u0e2f\u0e30\u0e32\u0e33\u0e45\u0e46\u0eaf\u0eb0\u0eb2\u0eb3\u0ec6"  # and after it
    r"\u102b\u102c\u1038\p{M}\p{Pe}\p{Pf}\p{Po}]"
    r"|[\u1000-\u1021]\u103a|[\u0e01-\u0e2e]\u0e4c"  # a consonant of theirs without a vowel
)

FULL_STOPS = regex.compile(r"(?V1)[\p{P}&&[\p{East_Asian_Width=W}\p{East_Asian_Width=F}]]$")
"""Punctuation that has its own white space, as `。` and `」` have."""


def columns(text: str) -> int:
    """Return the width of a text where Latin letters take a column, and Han letters two."""
    if text.isascii():
        return len(text)
    return sum(min(2, sum(map(column, cluster))) for cluster in regex.findall(r"\X", text))


def column(character: str) -> int:
    """Return the width of a character by itself: 0 if it is drawn on the one before it."""
    if unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in ("W", "F") else 1


def break_positions(text: str, candidates: Collection[int]) -> set[int]:
    """Return those of the positions in a text at which a line may end.

    Args:
        text: of one paragraph.
        candidates: offsets; the spaces behind an offset count as what is before the break.
    """
    found = {at for at in candidates if PLAIN.match(text, at)}
    others = set(candidates) - found
    if not others:
        return found
    from uniseg.linebreak import line_break_breakables  # 0.2 s, which few texts need

    for start, end in pairwise([0, *sorted(found), len(text)]):
        inside = [at for at in others if start < at < end]
        if inside:
            allowed = list(line_break_breakables(text[start:end]))
            found.update(at for at in inside if allowed[after_spaces(text, at, end - 1) - start])
    return found


def after_spaces(text: str, at: int, last: int) -> int:
    """Return the offset of the first character from `at` on that is no space; `last` at most."""
    while at < last and text[at].isspace():
        at += 1
    return at


def smallest_parts(text: str, most: int) -> list[str]:
    """Return the parts of a word without a place to break it, which is wider than a line.

    Args:
        text: the word, with the space before it.
        most: columns of a part.
    """
    parts: list[str] = []
    for cluster in GRAPHEME.findall(text):
        held = parts and (HOLDS_NEXT.search(parts[-1]) or HOLDS_PREVIOUS.match(cluster))
        if held and columns(parts[-1] + cluster) <= most:
            parts[-1] += cluster
        else:
            parts.append(cluster)
    return parts


def space_between(before: str, after: str) -> str:
    """Return what is written between two sentences: nothing behind a full stop like `。`."""
    return " " if before and after and not FULL_STOPS.search(before) else ""


def join_texts(texts: Iterable[str]) -> str:
    """Return sentences as one paragraph."""
    text = ""
    for more in texts:
        text += space_between(text, more) + more
    return text
