from stream.core.overlap_merge import common_words, first_new_word, normalise
from stream.core.windows import Word
from tests.core.words import said


def test_case_and_punctuation_do_not_count():
    assert normalise(" Worst,") == normalise(" worst") == "worst"
    assert normalise(" it's") == "its"
    assert normalise(" —") == "—"


def test_new_words_begin_after_the_settled_ones():
    settled = said("it was the best", start=0.0)
    heard = said("was the best of times", start=0.3)
    assert first_new_word(settled, heard, 0) == 3


def test_nothing_is_new_where_all_is_settled():
    words = said("it was the best", start=0.0)
    assert first_new_word(words, words[1:3], 0) == 2


def test_a_repeated_word_is_kept():
    settled = said("very", start=0.0)
    heard = said("very very good", start=0.0)
    assert first_new_word(settled, heard, 0) == 1


def test_the_same_words_much_later_are_new():
    settled = said("no no no", start=0.0)
    heard = said("no no no", start=6.0)
    assert first_new_word(settled, heard, 0) == 0


def test_settled_words_that_are_recognised_differently_are_skipped():
    settled = said("we met to-day and then", start=0.0)
    heard = [*said("we met", start=0.0), *said("today when", start=0.65), *said("left", start=2.0)]
    assert [word.text for word in heard[first_new_word(settled, heard, 0) :]] == [" left"]


def test_words_after_the_last_settled_word_are_new_even_in_the_pause():
    settled = said("the musical banks", start=0.0)
    heard = [*said("musical banks and", start=0.3), *said("the trial", start=3.0)]
    start_sample = 3 * 16_000
    assert first_new_word(settled, heard, start_sample) == 2
    # Were "banks" another word this time, so might "and" be.
    heard[1:2] = said("bands", start=0.6)
    assert first_new_word(settled, heard, start_sample) == 3


def test_a_context_that_the_model_passed_over_does_not_take_the_first_word():
    """The first word is aligned to the beginning of the window, which is in the context."""
    context = said("high on his chest", start=0.0)
    heard = [*said("the", start=0.1), *said("king has fled", start=12.0)]
    assert first_new_word(context, heard, 11 * 16_000) == 0
    # As many words as the context has are the context, recognised differently.
    heard = [*said("why is this jest", start=0.0), *said("king has fled", start=12.0)]
    assert first_new_word(context, heard, 11 * 16_000) == 4


def test_without_settled_words_new_ones_begin_by_the_clock():
    assert first_new_word([], said("oh so it begins", start=0.0), round(0.5 * 16_000)) == 2


def test_longest_common_sequence_skips_what_differs_in_the_middle():
    one = said("a b x d e", start=0.0)
    other = said("a b y d e", start=0.0)
    assert common_words(one, other) == [(0, 0), (1, 1), (3, 3), (4, 4)]


def test_the_closer_in_time_of_two_equal_matches_wins():
    settled = [Word(" the", 16_000, 19_200, 1.0)]
    heard = [Word(" the", 4_000, 7_200, 1.0), Word(" the", 16_000, 19_200, 1.0)]
    assert common_words(settled, heard) == [(0, 1)]
