"""Finds where a text may be broken into lines, in any script, and measures its width.

Lines are broken by the rules of Unicode Standard Annex #14, which uniseg implements: for example,
no line begins with `。`, and a line may end between any two Han letters. The annex leaves the
scripts of South-East Asia to dictionaries. Those, and words that are wider than a line, are broken
between grapheme clusters (Annex #29), with vowels and marks left beside their consonants.

Pure: text in, positions out.
"""

import unicodedata
from collections.abc import Collection, Iterable
from itertools import pairwise

import regex

GRAPHEME = regex.compile(r"\s*\X")
"""A grapheme cluster (one character to a reader), with the space before it."""

PLAIN = regex.compile(r"(?<![\p{Ps}\p{Pi}\s])[ ](?=[\p{L}\p{N}--\p{Line_Break=SA}])", regex.V1)
"""A space before a letter, where a line may always be broken. This saves most calls of uniseg,
which takes 0.1 ms for each character."""

HOLDS_NEXT = regex.compile(
    r"[\u0e40-\u0e44\u0ec0-\u0ec4"  # vowels of Thai and Lao that are written before their consonant
    r"\u17d2\u1039\u200d\p{Canonical_Combining_Class=Virama}\p{Ps}\p{Pi}]$"
)
HOLDS_PREVIOUS = regex.compile(
    r"[\u0e2f\u0e30\u0e32\u0e33\u0e45\u0e46\u0eaf\u0eb0\u0eb2\u0eb3\u0ec6"  # those written after it
    r"\u102b\u102c\u1038\p{M}\p{Pe}\p{Pf}\p{Po}]"
    r"|[\u1000-\u1021]\u103a|[\u0e01-\u0e2e]\u0e4c"  # consonants marked as having no vowel
)

FULL_STOPS = regex.compile(r"(?V1)[\p{P}&&[\p{East_Asian_Width=W}\p{East_Asian_Width=F}]]$")
"""Full-width punctuation at the end, such as `。` and `」`, which includes its own white space."""


def columns(text: str) -> int:
    """Return the width of a text in columns: one for a Latin letter, two for a Han letter."""
    if text.isascii():
        return len(text)
    return sum(min(2, sum(map(column, cluster))) for cluster in regex.findall(r"\X", text))


def column(character: str) -> int:
    """Return the width of one character in columns: 0 for a combining mark, else 1 or 2."""
    if unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in ("W", "F") else 1


def break_positions(text: str, candidates: Collection[int]) -> set[int]:
    """Return those of the candidate offsets at which a line may end.

    Args:
        text: one paragraph.
        candidates: offsets in the text. Spaces right after an offset belong to the line before it.
    """
    found = {at for at in candidates if PLAIN.match(text, at)}
    others = set(candidates) - found
    if not others:
        return found
    from uniseg.linebreak import line_break_breakables  # takes 0.2 s; few texts need it

    for start, end in pairwise([0, *sorted(found), len(text)]):
        inside = [at for at in others if start < at < end]
        if inside:
            allowed = list(line_break_breakables(text[start:end]))
            # uniseg and regex divide a mark without its letter differently: both must agree.
            whole = cluster_starts(text[start:end])
            for at in inside:
                behind = after_spaces(text, at, end - 1) - start
                if allowed[behind] and behind in whole:
                    found.add(at)
    return found


def cluster_starts(text: str) -> set[int]:
    """Return the offsets at which the grapheme clusters of a text start."""
    return {match.start() for match in regex.finditer(r"\X", text)}


def after_spaces(text: str, at: int, last: int) -> int:
    """Return the offset of the first non-space character at or after `at`, at most `last`."""
    while at < last and text[at].isspace():
        at += 1
    return at


def smallest_parts(text: str, most: int) -> list[str]:
    """Divide a word into the smallest parts that may stand on separate lines.

    A part is a grapheme cluster, or several that belong together, such as a vowel sign with its
    consonant or a bracket with the letter beside it.

    Args:
        text: the word, with the space before it.
        most: width in columns. Clusters that belong together are joined only if the part is not
            wider than this.
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
    """Return the separator of two sentences: a space, or nothing after a full stop like `。`."""
    return " " if before and after and not FULL_STOPS.search(before) else ""


def join_texts(texts: Iterable[str]) -> str:
    """Return sentences as one paragraph, separated as `space_between` determines."""
    text = ""
    for more in texts:
        text += space_between(text, more) + more
    return text
