"""Divides tokens into words.

A token is a few bytes of UTF-8, not always whole characters. Words begin at spaces; in scripts that
are written without spaces each grapheme is a word, whatever the language of the rest, so that such
text is joined and committed grapheme by grapheme. No word contains a part of a character.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import regex

UNSPACED = regex.compile(
    r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Myanmar}\p{Khmer}\p{Tibetan}]"
)
"""A character of a script that is written without spaces between words."""
PUNCTUATION = regex.compile(r"[\p{P}\s]")
MARK = regex.compile(r"\p{M}")
GRAPHEME = regex.compile(r"\X")
"""A character as readers see it (Unicode Standard Annex #29)."""
BROKEN = "\ufffd"
"""Replaces bytes that are no character."""
OPENING = "\"'“¿([{-「『（《"
"""Punctuation that belongs to the word after it."""
CLOSING = "\"'.。,，、!！?？:：；”)]}」』）》"
"""Punctuation that belongs to the word before it."""

Decode = Callable[[Sequence[int]], str]


@dataclass(frozen=True, slots=True)
class Piece:
    """A word as the tokenizer spells it, and its tokens."""

    text: str
    tokens: tuple[int, ...]


def split_words(tokens: Sequence[int], decode: Decode) -> list[Piece]:
    """Return the words that the tokens spell, with punctuation attached; no token is lost.

    A word of a script without spaces may still hold several graphemes if one token spells them all;
    `graphemes` divides it.
    """
    return attach_punctuation(join_words(list(whole_characters(tokens, decode))))


def whole_characters(tokens: Sequence[int], decode: Decode) -> Iterator[Piece]:
    """Yield the shortest runs of tokens that end on a whole character.

    Bytes that are no character are left out of the text. A character that the last token leaves
    incomplete stays in it, because the caller drops such a word.
    """
    start = 0
    for end in range(1, len(tokens) + 1):
        text = decode(tokens[start:end])
        unfinished = text.endswith(BROKEN) and BROKEN not in text[:-1]
        if not unfinished:
            yield Piece(text.replace(BROKEN, ""), tuple(tokens[start:end]))
            start = end
        elif end == len(tokens):
            yield Piece(text, tuple(tokens[start:end]))


def join_words(pieces: Sequence[Piece]) -> list[Piece]:
    """Join pieces into words."""
    words: list[Piece] = []
    for piece in pieces:
        if words and not begins_word(words[-1].text, piece.text):
            words[-1] = joined(words[-1], piece)
        else:
            words.append(piece)
    return words


def begins_word(before: str, text: str) -> bool:
    """Return whether text begins a word after the text before it."""
    if not before or not text or text.startswith(" "):
        return text.startswith(" ") or not before
    if GRAPHEME.match(before[-1] + text[0]).end() == 2:
        return False  # a mark, a vowel sign, or joined by a joiner
    if UNSPACED.match(text):
        return True
    alone = UNSPACED.search(before) and (UNSPACED.match(before[-1]) or MARK.match(before[-1]))
    return bool(alone) and not PUNCTUATION.match(text)


def attach_punctuation(pieces: Sequence[Piece]) -> list[Piece]:
    """Join opening marks to the word after them, and closing marks to the word before them."""
    opened: list[Piece] = []
    for piece in reversed(pieces):
        bare = piece.text.strip()
        mark = bare in OPENING and (piece.text.startswith(" ") or bare in "「『（《")
        if bare and mark and opened:
            opened[-1] = joined(piece, opened[-1])
        else:
            opened.append(piece)
    words: list[Piece] = []
    for piece in reversed(opened):
        if words and piece.text in CLOSING and not words[-1].text.endswith(" "):
            words[-1] = joined(words[-1], piece)
        else:
            words.append(piece)
    return words


def graphemes(text: str) -> list[str]:
    """Return the parts of a word that are words by themselves; joined they are the word.

    Only scripts without spaces are divided: "你好," is "你" and "好,", and "hello" is one word.
    """
    parts: list[str] = []
    for grapheme in GRAPHEME.findall(text):
        opened = bool(parts) and parts[-1].strip(OPENING + " ") == ""
        if parts and (opened or not begins_word(parts[-1], grapheme)):
            parts[-1] += grapheme
        else:
            parts.append(grapheme)
    return parts


def spoken_tokens(piece: Piece, decode: Decode) -> int:
    """Return how many of a word's tokens are spoken: a closing mark at its end takes no time."""
    for count in range(len(piece.tokens), 0, -1):
        if any(c.isalnum() or c == BROKEN for c in decode(piece.tokens[count - 1 : count])):
            return count
    return len(piece.tokens)


def joined(first: Piece, second: Piece) -> Piece:
    """Join two neighbouring pieces."""
    return Piece(first.text + second.text, first.tokens + second.tokens)
