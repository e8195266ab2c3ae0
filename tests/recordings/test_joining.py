"""Two hypotheses of one stretch of audio become one."""

from stream.core.windows import Word
from stream.recordings.joining import join

S = 16_000


def said(text: str, start_s: float) -> list[Word]:
    return [
        Word(f" {part}", round((start_s + 0.5 * i) * S), round((start_s + 0.5 * i + 0.4) * S), 0.9)
        for i, part in enumerate(text.split())
    ]


def joined(before: list[Word], after: list[Word], overlap_s: tuple[float, float]) -> str:
    kept, fresh = join(before, after, (round(overlap_s[0] * S), round(overlap_s[1] * S)))
    return "".join(word.text for word in (*kept, *fresh)).strip()


def test_overlapping_hypotheses_are_joined_where_they_agree() -> None:
    before = said("one two three four fife", 0.0)
    after = said("too three four five six", 0.5)
    assert joined(before, after, (0.5, 2.5)) == "one two three four five six"


def test_punctuation_and_case_are_no_difference() -> None:
    assert joined(said("a b c. d", 0.0), said("b C, D e", 0.5), (0.5, 2.0)) == "a b c. D e"


def test_without_a_common_word_the_middle_decides() -> None:
    before, after = said("a b c d", 0.0), said("w x y z", 1.0)
    assert joined(before, after, (1.0, 2.0)) == "a b c x y z"


def test_words_spoken_twice_stay_twice() -> None:
    before, after = said("very very very", 0.0), said("very very good", 0.5)
    assert joined(before, after, (0.5, 1.5)) == "very very very good"


def test_one_of_two_windows_without_words() -> None:
    assert joined(said("a b", 0.0), [], (0.5, 1.0)) == "a b"
    assert joined([], said("a b", 0.5), (0.5, 1.0)) == "a b"


def test_times_never_run_backwards() -> None:
    before, after = said("a b c", 0.0), said("b c d", 0.45)
    kept, fresh = join(before, after, (round(0.45 * S), round(1.5 * S)))
    times = [word.start_sample for word in (*kept, *fresh)]
    assert times == sorted(times)
