"""Word times, read from where the decoder looked while it said each token.

A few cross-attention heads of every Whisper model follow the speech (its alignment heads). Their
weights, cleaned, are a picture of tokens against time; the cheapest monotone path through it says
when each token was spoken. The method is `openai/whisper`'s `timing.py`.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MEDIAN_WIDTH = 7
"""Encoder positions (of 20 ms) that the median filter spans."""
SAMPLES_PER_POSITION = 320
"""16 kHz samples of one encoder position: 160 a mel frame, two frames a position."""
UNSPACED_LANGUAGES = frozenset({"zh", "ja", "th", "lo", "my", "yue"})
"""Languages written without spaces between words: each whole character is a word."""
OPENING = "\"'“¿([{-"
"""Punctuation that belongs to the word after it."""
CLOSING = "\"'.。,，!！?？:：”)]}、"
"""Punctuation that belongs to the word before it."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A word as the tokenizer spells it, and its tokens."""

    text: str
    tokens: tuple[int, ...]


def token_positions(
    weights: NDArray[np.float32],  # (n_heads, n_rows, n_positions)
) -> NDArray[np.int64]:
    """The encoder position at which each row's token begins: (n_rows,), never decreasing.

    Row i holds the attention of the step that chose token i; the last row is the step that chose
    to end, so row i + 1 is where token i ends.
    """
    if weights.shape[1] == 0:
        return np.zeros(0, np.int64)
    # Whisper's own z-score lifts columns where nobody listens to the height of those where all
    # do: a transcript of three tokens then ends anywhere. Roots, less their mean over the
    # tokens, level the peaks as well and keep empty columns empty (docs/measurements.md).
    roots = np.sqrt(weights)
    score = median_filter(roots - roots.mean(1, keepdims=True)).mean(0)  # (n_rows, n_positions)
    rows, columns = warp(-score)
    first = np.concatenate([[True], np.diff(rows) > 0])
    begins: NDArray[np.int64] = columns[first]
    return begins


def median_filter(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """The running median along the last axis, its ends reflected; the shape stays."""
    half = MEDIAN_WIDTH // 2
    if values.shape[-1] <= half:
        return values
    around = [(0, 0)] * (values.ndim - 1) + [(half, half)]
    padded = np.pad(values, around, mode="reflect")
    windows = np.lib.stride_tricks.sliding_window_view(padded, MEDIAN_WIDTH, axis=-1)
    median: NDArray[np.float32] = np.partition(windows, half, axis=-1)[..., half]
    return median


def warp(cost: NDArray[np.floating]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Dynamic time warping: the cheapest monotone path from corner to corner of (n, m) costs.

    Returns the path's rows and columns. The recurrence
    `total[i, j] = cost[i, j] + min(total[i-1, j-1], total[i-1, j], total[i, j-1])` runs a row at
    a time: less the row's running sum, the last term is a running minimum.
    """
    n, m = cost.shape
    total = np.full((n + 1, m + 1), np.inf)
    total[0, 0] = 0.0
    for i in range(n):
        before = np.concatenate([[0.0], np.cumsum(cost[i], dtype=np.float64)])
        from_above = np.minimum(total[i, :-1], total[i, 1:])
        total[i + 1, 1:] = before[1:] + np.minimum.accumulate(from_above - before[:-1])
    return trace_back(total)


def trace_back(
    total: NDArray[np.float64],  # (n + 1, m + 1), with a border of infinity
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The path that ends in the last cell of accumulated costs, as its rows and columns."""
    i, j = total.shape[0] - 1, total.shape[1] - 1
    path = []
    while i > 0 and j > 0:
        path.append((i - 1, j - 1))
        diagonal, above, left = total[i - 1, j - 1], total[i - 1, j], total[i, j - 1]
        if diagonal <= above and diagonal <= left:
            i, j = i - 1, j - 1
        elif above <= left:
            i -= 1
        else:
            j -= 1
    rows, columns = np.array(path[::-1], np.int64).T
    return rows, columns


def split_words(
    tokens: Sequence[int], decode: Callable[[Sequence[int]], str], language: str
) -> list[Piece]:
    """The words that the tokens spell, with punctuation attached; no token is lost."""
    characters = list(whole_characters(tokens, decode))
    if language not in UNSPACED_LANGUAGES:
        characters = join_at_spaces(characters)
    return attach_punctuation(characters)


def whole_characters(
    tokens: Sequence[int], decode: Callable[[Sequence[int]], str]
) -> Iterator[Piece]:
    """The shortest runs of tokens that end on a whole character (tokens are bytes of UTF-8)."""
    start = 0
    for end in range(1, len(tokens) + 1):
        text = decode(tokens[start:end])
        if "\ufffd" not in text or end == len(tokens):
            yield Piece(text, tuple(tokens[start:end]))
            start = end


def join_at_spaces(pieces: Sequence[Piece]) -> list[Piece]:
    """Pieces joined into words: one begins at a leading space."""
    words: list[Piece] = []
    for piece in pieces:
        if not words or piece.text.startswith(" "):
            words.append(piece)
        else:
            words[-1] = joined(words[-1], piece)
    return words


def attach_punctuation(pieces: Sequence[Piece]) -> list[Piece]:
    """Opening marks joined to the word after them, closing marks to the word before."""
    opened: list[Piece] = []
    for piece in reversed(pieces):
        mark = piece.text.startswith(" ") and piece.text.strip() in OPENING
        if mark and opened:
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


def spoken_tokens(piece: Piece, decode: Callable[[Sequence[int]], str]) -> int:
    """How many of a word's tokens are said aloud: a closing mark at its end takes no time."""
    for count in range(len(piece.tokens), 0, -1):
        if any(c.isalnum() or c == "\ufffd" for c in decode(piece.tokens[count - 1 : count])):
            return count
    return len(piece.tokens)


def joined(first: Piece, second: Piece) -> Piece:
    """Two neighbouring pieces as one."""
    return Piece(first.text + second.text, first.tokens + second.tokens)
