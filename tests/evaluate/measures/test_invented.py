"""Words that were not spoken are found without a text."""

import pytest

from stream.evaluate.measures.invented import Invented, looped_words, outside_turns
from stream.evaluate.measures.record import TimedWord


@pytest.mark.parametrize(
    ("text", "looped"),
    [
        ("", 0),
        ("no", 0),
        ("no no", 0),
        ("no no no", 1),
        ("so no no no no no yes", 3),
        ("thank you thank you", 0),
        ("thank you thank you thank you for thank", 2),
        ("thank you thank you thank you thank", 3),
        ("a b a b c a b a b", 0),
        ("it was the best of times it was the worst of times it was the age", 0),
        (" ".join(["one two three four five six seven eight nine ten"] * 4), 20),
        (" ".join(["a b c d e f g h i j k"] * 4), 0),  # longer than a phrase: `5-dup` counts it
        ("no no no and no no no", 2),
    ],
)
def test_loops(text, looped):
    assert looped_words(text.split()) == looped


@pytest.mark.parametrize(
    ("start_s", "end_s", "outside"),
    [
        (2.0, 2.5, 0),
        (1.0, 1.4, 1),
        (1.0, 1.6, 0),
        (3.4, 3.6, 0),
        (3.5, 3.6, 1),
        (1.2, 6.0, 0),
        (9.9, 10.2, 0),
    ],
)
def test_words_outside_of_turns(start_s, end_s, outside):
    turns = [(2.0, 3.0), (10.5, 11.0)]
    assert outside_turns([TimedWord("a", start_s, end_s)], turns) == outside


def test_nobody_speaks():
    assert outside_turns([TimedWord("a", 0, 1), TimedWord("b", 1, 2)], []) == 2


def test_sums():
    assert Invented(4, 3, 2, 1) + Invented(1, 1, 1, 1) == Invented(5, 4, 3, 2)
