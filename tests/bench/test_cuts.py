"""Words that a cut in the middle of speech lost or doubled are counted, and others are not."""

from stream.bench.cuts import AtCuts, at_cuts
from tests.evaluate.shown import finished

SAID = "one two three four five six seven eight nine ten"


def uttered(first, second, by_silence=False):
    """Two utterances; a word a second, the first at one second."""
    return [
        finished(5.0, first, range(1, 6), utterance=(0, 0), by_silence=by_silence),
        finished(11.0, second, range(6, 11), utterance=(0, 1)),
    ]


def test_a_correct_final_counts_as_a_cut_only():
    assert at_cuts(SAID, uttered("One two three, four five", "six seven eight nine ten.")) == (
        AtCuts(cuts=1)
    )


def test_words_near_the_cut_are_counted():
    shown = uttered("one two three four five", "five seven eight nine ten")  # six became five
    assert at_cuts(SAID.replace(" six", ""), shown) == AtCuts(1, deletions=0, insertions=1)
    assert at_cuts(SAID.replace("six", "six more words"), shown).deletions == 2


def test_words_far_from_the_cut_are_not_counted():
    shown = uttered("one two three four five", "six seven eight nine nine ten")
    assert at_cuts(SAID, shown) == AtCuts(cuts=1)
    assert at_cuts("zero " + SAID, shown) == AtCuts(cuts=1)


def test_silence_is_no_cut():
    shown = uttered("one two three four five", "seven eight nine ten", by_silence=True)
    assert at_cuts(SAID, shown) == AtCuts()
