import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.core.audio import SAMPLE_RATE
from stream.core.windows import Word
from stream.engine.words.repetition import (
    Repetition,
    lacks_copies,
    repeated_words,
    repetitions,
    without_audio,
)

SPEECH = ((0, 600 * SAMPLE_RATE),)


def spoken(text: str, lengths_s: list[float], pause_s: float = 0.0) -> list[Word]:
    """Return the words of a text, each as long as its number says, with pauses in between."""
    words, at_s = [], 0.0
    for part, length_s in zip(text.split(), lengths_s, strict=True):
        first, last = round(at_s * SAMPLE_RATE), round((at_s + length_s) * SAMPLE_RATE)
        words.append(Word(f" {part}", first, last, 0.9, (1,)))
        at_s += length_s + pause_s
    return words


def text(words: list[str]) -> list[Word]:
    return spoken(" ".join(words), [0.3] * len(words))


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ("a b c d", []),
        ("no no no no", [Repetition(0, 1, 4)]),
        ("well No, no! NO. yes", [Repetition(1, 1, 3)]),
        ("please hold please hold please", [Repetition(0, 2, 2)]),
        ("a a b a a b", [Repetition(0, 3, 2)]),
        ("hello hello can you hear can you hear me", [Repetition(0, 1, 2), Repetition(2, 3, 2)]),
        ("", []),
    ],
)
def test_repetitions_are_found_whatever_their_case_and_punctuation(said, found):
    assert list(repetitions(text(said.split()))) == found


@given(
    phrase=st.lists(st.sampled_from("abcd"), min_size=1, max_size=5),
    copies=st.integers(2, 12),
    share=st.floats(0.7, 1.3),
)
def test_copies_that_take_as_long_as_the_others_were_spoken(phrase, copies, share):
    lengths = ([0.3] * len(phrase) + [0.3 * share] * len(phrase)) * copies
    words = spoken(" ".join(phrase * copies), lengths[: len(phrase) * copies])
    assert without_audio(words, SPEECH) == frozenset()


@given(
    phrase=st.permutations("abcdef"),
    spoken_copies=st.integers(1, 6),
    invented=st.integers(1, 6),
)
def test_copies_without_time_were_not_spoken(phrase, spoken_copies, invented):
    lengths = [0.3] * 6 * spoken_copies + [0.01] * 6 * invented
    words = spoken(" ".join([*phrase] * (spoken_copies + invented)), lengths)
    silent = without_audio(words, SPEECH)
    assert silent == frozenset(range(6 * spoken_copies, len(words)))


def test_copies_in_silence_were_not_spoken():
    words = spoken("please hold " * 4, [0.4] * 8)
    speech = ((0, round(1.7 * SAMPLE_RATE)),)
    assert without_audio(words, speech) == frozenset({4, 5, 6, 7})


def test_a_copy_may_use_the_audio_of_a_copy_of_twice_its_length():
    words = spoken("a b c " * 4, [0.3, 0.3, 0.3, 0.3, 1.2, 0.3, 0.01, 0.01, 0.01, 0.3, 0.3, 0.3])
    assert without_audio(words, SPEECH) == frozenset()


def test_the_audio_of_a_missing_copy_counts_for_its_neighbour():
    even = [0.3] * 12
    assert not lacks_copies(spoken("a b c " * 4, even), SPEECH)
    assert lacks_copies(spoken("a b c " * 4, [*even[:5], 1.2, *even[6:]]), SPEECH)
    assert not lacks_copies(spoken("no " * 12, [*even[:5], 1.2, *even[6:]]), SPEECH)  # too short


def test_a_pause_between_two_copies_is_no_copy():
    words = spoken("a b c " * 3, [0.3] * 9, pause_s=0.2)
    speech = tuple((word.start_sample, word.end_sample) for word in words)
    assert without_audio(words, speech) == frozenset()
    assert not lacks_copies(words, speech)


def test_all_copies_but_the_first_are_repeated():
    assert list(repeated_words(spoken("x a b a b a b y y", [0.3] * 9))) == [3, 4, 5, 6, 8]


@pytest.mark.parametrize(
    ("phrase", "lengths_s", "kept"),
    [
        ("savings", [0.41, 0.18], 1),
        ("checking", [0.2, 0.12, 0.15], 1),
        ("yes", [0.25, 0.0], 1),
        ("no", [0.2, 0.15, 0.2, 0.25], 4),
        ("hello", [0.4, 0.5, 0.35], 3),
    ],
)
def test_words_that_share_the_time_of_one_were_said_once(phrase, lengths_s, kept):
    words = spoken(" ".join([phrase] * len(lengths_s)), lengths_s)
    assert without_audio(words, SPEECH) == frozenset(range(kept, len(words)))


def test_a_part_of_a_copy_needs_time_as_well():
    phrase = ["my", "debit", "card", "yes"]
    lengths = [0.3] * 7 + [0.0] * 4
    words = spoken(" ".join([*phrase, *phrase, *phrase[:3]]), lengths)
    assert without_audio(words, SPEECH) == frozenset({7, 8, 9, 10})
    assert without_audio(spoken(" ".join([*phrase, *phrase[:3]]), lengths[:7]), SPEECH) == set()
    others = spoken("my debit card is it", [0.3, 0.3, 0.3, 0.0, 0.0])
    assert without_audio(others, SPEECH) == frozenset()  # without time, but no copy
