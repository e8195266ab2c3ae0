"""Divides tokens into words.

A token is a few bytes of UTF-8, which may end within a character. Words begin at spaces; in scripts
that are written without spaces each grapheme is a word, so that such text is joined and committed
grapheme by grapheme. The script alone decides, not the language of the window. No word contains a
part of a character.
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
"""The character that replaces bytes which are not a valid character."""
OPENING = "\"'“¿([{-「『（《"
"""Punctuation that belongs to the word after it."""
CLOSING = "\"'.。,，、!！?？:：；”)]}」』）》"
"""Punctuation that belongs to the word before it."""

Decode = Callable[[Sequence[int]], str]


@dataclass(frozen=True, slots=True)
class Piece:
    """The text of a word or of a part of one, and its tokens."""

    text: str
    tokens: tuple[int, ...]


def split_words(tokens: Sequence[int], decode: Decode) -> list[Piece]:
    """Return the words that the tokens spell, with punctuation attached; no token is lost.

    In a script without spaces a word may still have several graphemes if one token spells them all;
    `graphemes` divides it.
    """
    return attach_punctuation(join_words(list(whole_characters(tokens, decode))))


def whole_characters(tokens: Sequence[int], decode: Decode) -> Iterator[Piece]:
    """Yield the shortest runs of tokens that end with a whole character.

    Bytes that are not a character are removed from the text. If the last token ends within a
    character, the text ends with `BROKEN`, because the caller drops such a word.
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
    """Join pieces into words, as `begins_word` decides."""
    words: list[Piece] = []
    for piece in pieces:
        if words and not begins_word(words[-1].text, piece.text):
            words[-1] = joined(words[-1], piece)
        else:
            words.append(piece)
    return words


def begins_word(before: str, text: str) -> bool:
    """Return whether a new word begins with `text` if `before` is the text before it."""
    if not before or not text or text.startswith(" "):
        return text.startswith(" ") or not before
    if GRAPHEME.match(before[-1] + text[0]).end() == 2:
        return False  # one grapheme: a mark, a vowel sign, or characters joined by a joiner
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
    """Return the words of a text in order; concatenated, they are the text.

    Only scripts without spaces are divided: "你好," is "你" and "好,", but "hello" is one word.
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
    """Return the number of tokens up to the last one with a letter or digit; at least 1.

    Tokens after it are punctuation, which takes no time.
    """
    for count in range(len(piece.tokens), 0, -1):
        if any(c.isalnum() or c == BROKEN for c in decode(piece.tokens[count - 1 : count])):
            return count
    return len(piece.tokens)


def joined(first: Piece, second: Piece) -> Piece:
    """Return two neighbouring pieces as one."""
    return Piece(first.text + second.text, first.tokens + second.tokens)
