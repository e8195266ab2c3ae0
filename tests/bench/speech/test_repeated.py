import numpy as np
import pytest

from stream.bench.repeated import Result, compared, errors, rows_of
from stream.bench.speech.repeated import LONGEST_S, REST_S, Phrase, repeat, repetitions, varied
from stream.core.audio import SAMPLE_RATE
from stream.evaluate.material.recordings import Audio


def phrase(text: str, seconds: float, sort: str = "one word", level: int = 1) -> Phrase:
    return Phrase(sort, text, Audio(np.full(round(seconds * SAMPLE_RATE), level, np.int16), 16_000))


HELLO, LONG = phrase("Hello.", 0.5), phrase("a long sentence", 29.0, "a sentence", level=2)


def test_a_repetition_is_a_phrase_with_pauses():
    one = repeat(HELLO, 3, 0.3, "x")
    assert one.recording.text == "Hello. Hello. Hello."
    samples = one.recording.read().samples
    assert len(samples) == round((3 * 0.5 + 2 * 0.3 + REST_S) * SAMPLE_RATE)
    assert samples.sum() == 3 * len(HELLO.audio.samples)


def test_repetitions_are_the_same_for_a_seed_and_never_too_long():
    found = list(repetitions([HELLO, LONG], 300, seed=1))
    again = list(repetitions([HELLO, LONG], 300, seed=1))
    assert [(one.copies, one.pause_s) for one in found] == [(o.copies, o.pause_s) for o in again]
    assert sum(one.recording.read().seconds for one in found) >= 300
    assert {one.phrase for one in found} == {HELLO, LONG}
    assert all(one.copies >= 2 for one in found)
    assert all(o.recording.read().seconds <= LONGEST_S + 4 for o in found)


def test_varied_speech_has_the_same_audio_in_another_order():
    found = list(repetitions([HELLO, LONG], 300, seed=1))
    other = varied(found)
    assert sum(r.read().seconds for r in other) == pytest.approx(
        sum(o.recording.read().seconds for o in found)
    )
    total = sum(int(o.recording.read().samples.sum()) for o in found)
    assert sum(int(r.read().samples.sum()) for r in other) == total


def test_each_digit_is_a_word():
    assert compared("One, one, one; seven.") == "1 1 1 7"
    assert errors("one one one", "1 1") == 1
    assert errors("ten nine eight", "10, 9, 8") == 0


def test_copies_are_counted_by_the_words_of_the_phrase_alone():
    one = repeat(phrase("Please hold.", 1.0), 5, 0.3, "x")
    right = Result(one, "Please hold. " * 5, "Please hold.")
    more = Result(one, "Please hold. " * 6, "Please hold.")
    assert (right.found, right.wrong, right.errors) == (5, False, 0)
    assert (more.found, more.wrong, more.errors, more.errors_alone) == (6, True, 2, 0)
    sort, total = rows_of("file", [right, more])
    assert (sort.sort, total.sort) == ("one word", "all")
    assert (total.copies, total.found, total.wrong, total.errors) == (10, 11, 1, 2)
