"""Words for tests: said at a steady pace."""

from stream.core.audio import SAMPLE_RATE
from stream.core.windows import Word

PACE_S = 0.3


def said(text: str, start: float) -> list[Word]:
    """Return the words of a text, 0.25 s each and one every 0.3 s, from `start` seconds on."""
    words = []
    for i, spelling in enumerate(text.split()):
        begin = round((start + i * PACE_S) * SAMPLE_RATE)
        words.append(Word(f" {spelling}", begin, begin + SAMPLE_RATE // 4, 0.9, (len(spelling), i)))
    return words


def texts(words) -> list[str]:
    return [word.text.strip() for word in words]
