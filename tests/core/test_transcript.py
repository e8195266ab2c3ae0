from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.core.audio import SAMPLE_RATE
from stream.core.settings import SessionTuning
from stream.core.transcript import Transcript, agreement, monotone, text_of
from tests.core.words import said, texts

END = 8 * SAMPLE_RATE
UNHURRIED = SessionTuning(commit_delay_ms=10_000)
"""Commits nothing here."""


def test_the_first_hypothesis_commits_nothing():
    transcript = Transcript()
    transcript.receive(said("it was", 0.0), 0, END)
    assert transcript.committed == ()
    assert texts(transcript.tentative) == ["it", "was"]


def test_words_that_two_hypotheses_agree_on_are_committed():
    transcript = Transcript()
    transcript.receive(said("it was the west", 0.0), 0, END)
    transcript.receive(said("it was the best of", 0.0), 0, END)
    assert texts(transcript.committed) == ["it", "was", "the"]
    assert texts(transcript.tentative) == ["best", "of"]


def test_the_last_word_of_a_hypothesis_is_not_committed_alone():
    transcript = Transcript()
    transcript.receive(said("it was", 0.0), 0, END)
    transcript.receive(said("it was", 0.0), 0, END)
    assert texts(transcript.committed) == ["it"]


def test_a_word_is_committed_only_after_later_words_are_recognised():
    transcript = Transcript()
    for _ in range(2):
        transcript.receive(said("it was the best of times", 0.0), 0, 16_000 * 185 // 100)
    assert texts(transcript.committed) == ["it", "was", "the"]


def test_a_confident_word_is_committed_when_it_is_recognised_once():
    sure = [replace(word, confidence=0.99) for word in said("it was the best", 0.0)]
    transcript = Transcript(tuning=SessionTuning(sure_from=0.95, sure_delay_ms=500))
    transcript.receive([*sure, *said("of times", 1.2)], 0, SAMPLE_RATE)
    assert texts(transcript.committed) == ["it"]
    transcript.receive([*sure, *said("of times", 1.2)], 0, 4 * SAMPLE_RATE)
    assert texts(transcript.committed) == ["it", "was", "the", "best", "of"]


def test_a_likely_word_waits_for_the_unlikely_one_before_it():
    sure = [replace(word, confidence=0.99) for word in said("was the best", 0.3)]
    transcript = Transcript()
    transcript.receive([*said("it", 0.0), *sure], 0, 4 * SAMPLE_RATE)
    assert transcript.committed == ()


def test_an_unconfident_word_is_committed_later():
    unsure = [replace(word, confidence=0.3) for word in said("was the best of times", 0.3)]
    heard = [*said("it", 0.0), *unsure]
    tuning = SessionTuning(commit_delay_ms=1000, unsure_delay_ms=3000, guesses_below=0.0)
    transcript = Transcript(tuning=tuning)
    for _ in range(2):
        transcript.receive(heard, 0, 2 * SAMPLE_RATE)
    assert texts(transcript.committed) == ["it"]
    transcript.receive(heard, 0, 4 * SAMPLE_RATE)
    assert texts(transcript.committed) == ["it", "was", "the"]


def test_a_word_that_differs_in_each_hypothesis_is_committed_in_the_end():
    transcript = Transcript(tuning=SessionTuning(commit_delay_ms=1000, unsure_delay_ms=3000))
    for heard_s in (2, 3):
        transcript.receive(said(f"it was {heard_s} best of times", 0.0), 0, heard_s * SAMPLE_RATE)
    assert texts(transcript.committed) == ["it", "was"]
    transcript.receive(said("it was the best of times", 0.0), 0, round(3.9 * SAMPLE_RATE))
    assert texts(transcript.committed) == ["it", "was", "the"]


def test_agreed_words_stay_when_the_window_begins_after_them():
    unsure = [replace(word, confidence=0.4) for word in said("it was the best of times", 0.0)]
    transcript = Transcript(tuning=SessionTuning(guesses_below=0.0))
    for _ in range(2):
        transcript.receive(unsure, 0, 3 * SAMPLE_RATE)
    assert texts(transcript.words_from(0)) == ["it", "was", "the", "best", "of", "times"]
    # It hears the fourth word anew, and the third in part.
    later = said("a vest of times it was the worst", 0.8)
    transcript.receive(later, round(0.75 * SAMPLE_RATE), 4 * SAMPLE_RATE)
    assert text_of(transcript.words) == "it was the best of times it was the worst"
    # The final hears all of it: nothing was promised.
    assert transcript.committed == ()
    transcript.receive(said("hit was the vest of times it was the worst", 0.0), 0, END)
    assert text_of(transcript.words) == "hit was the vest of times it was the worst"


def test_a_word_is_shown_once_it_is_complete():
    transcript = Transcript(tuning=SessionTuning(edge_ms=100))
    heard = said("it was the best", 0.0)  # ends at 1.15 s
    transcript.receive(heard, 0, round(1.2 * SAMPLE_RATE))
    assert texts(transcript.tentative) == ["it", "was", "the", "best"]
    assert texts(transcript.shown) == ["it", "was", "the"]
    transcript.receive(heard, 0, round(1.25 * SAMPLE_RATE))
    assert texts(transcript.committed + transcript.shown) == ["it", "was", "the", "best"]


def test_a_guessed_word_is_shown_when_it_is_recognised_twice():
    guess = replace(said("vest", 0.6)[0], confidence=0.2)
    heard = [*said("it was", 0.0), guess, *said("of", 0.9)]
    transcript = Transcript()
    transcript.receive(heard, 0, 2 * SAMPLE_RATE)
    assert texts(transcript.shown) == ["it", "was"]
    transcript.receive(heard, 0, round(2.1 * SAMPLE_RATE))
    assert texts(transcript.committed + transcript.shown) == ["it", "was", "vest", "of"]


@pytest.mark.parametrize(
    ("contradiction", "after_it"),
    [
        ("it was a vest of times it", "it was a vest of times it was"),  # heard twice
        ("it was", "it was the best of times it was"),  # heard once
    ],
)
def test_shown_words_stay_until_others_are_recognised_twice(contradiction, after_it):
    transcript = Transcript(tuning=UNHURRIED)
    transcript.receive(said("it was the best of times", 0.0), 0, 3 * SAMPLE_RATE)
    transcript.receive(said(contradiction, 0.0), 0, 4 * SAMPLE_RATE)
    assert text_of(transcript.shown) == "it was the best of times"
    transcript.receive(said(after_it, 0.0), 0, 5 * SAMPLE_RATE)
    assert text_of(transcript.shown) == after_it


def test_shown_words_vanish_when_nothing_is_recognised_twice():
    transcript = Transcript(tuning=UNHURRIED)
    transcript.receive(said("thank you", 0.0), 0, 2 * SAMPLE_RATE)
    transcript.receive((), 0, 3 * SAMPLE_RATE)
    assert text_of(transcript.shown) == "thank you"
    transcript.receive((), 0, 4 * SAMPLE_RATE)
    assert transcript.shown == ()


def test_a_committed_word_is_timed_against_the_spoken_words():
    sure = [replace(word, confidence=0.99) for word in said("hit was the best", 0.0)]
    transcript = Transcript()
    transcript.receive(said("it was", 0.0), 0, SAMPLE_RATE)
    transcript.receive([*sure, *said("of times", 1.2)], 0, 4 * SAMPLE_RATE)
    assert text_of(transcript.committed) == "hit was the best"
    assert text_of(transcript.shown) == "of times"


def test_committed_words_stay_if_later_hypotheses_differ():
    transcript = Transcript()
    for _ in range(2):
        transcript.receive(said("it was the best of times", 0.0), 0, END)
    transcript.receive(said("hit was a vest of times it was", 0.0), 0, END)
    assert texts(transcript.words) == ["it", "was", "the", "best", "of", "times", "it", "was"]


def test_a_window_that_starts_at_a_cut_adds_only_what_is_new():
    transcript = Transcript()
    for _ in range(2):
        transcript.receive(said("it was the best of times", 0.0), 0, END)
    transcript.receive(said("best of times it was the worst", 0.9), round(0.9 * 16_000), END)
    assert text_of(transcript.words) == "it was the best of times it was the worst"


def test_context_is_decoded_again_but_not_returned():
    transcript = Transcript(context=said("the best of", 0.0))
    transcript.receive(said("best of times", 0.3), 0, END)
    assert texts(transcript.words) == ["times"]


def test_no_word_begins_before_its_utterance():
    transcript = Transcript(context=said("the musical banks", 0.0), start_sample=16_000)
    heard = said("the musical banks and the trial", 0.0)
    transcript.receive(heard, 0, END)
    assert texts(transcript.words) == ["and", "the", "trial"]
    assert transcript.words[0].start_sample == 16_000
    assert transcript.words[2] == heard[5]


def test_commit_before_a_sample():
    transcript = Transcript()
    transcript.receive(said("it was the best", 0.0), 0, END)
    transcript.commit_before(16_000 * 85 // 100)
    assert texts(transcript.committed) == ["it", "was", "the"]


def test_agreement_ignores_case_and_punctuation():
    assert agreement(said("It was. The", 0.0), said("it was the best", 0.0)) == 3


def test_text_has_the_spelling_of_the_model():
    assert text_of(said("It was, the best.", 0.0)) == "It was, the best."


@given(st.lists(st.tuples(st.integers(0, 100), st.integers(0, 100)), max_size=10))
def test_times_never_run_backwards(times):
    words = [
        type(word)(word.text, start, end, 1.0)
        for word, (start, end) in zip(said("a " * len(times), 0.0), times, strict=True)
    ]
    edges = [edge for word in monotone(words, 5) for edge in (word.start_sample, word.end_sample)]
    assert edges == sorted(edges)
    assert all(edge >= 5 for edge in edges)


hypotheses = st.lists(
    st.lists(st.sampled_from(["a", "b", "c", "the"]), max_size=8).map(" ".join), max_size=8
)


@given(hypotheses)
def test_committed_words_never_change(heard):
    transcript = Transcript()
    for text in heard:
        before = transcript.committed
        transcript.receive(said(text, 0.0), 0, END)
        assert transcript.committed[: len(before)] == before


def test_a_sentence_that_two_hypotheses_agree_on_does_not_vanish():
    transcript = Transcript(tuning=SessionTuning(commit_delay_ms=10_000))
    for _ in range(2):
        transcript.receive(said("it was the best of times", 0.0), 0, 2 * SAMPLE_RATE)
    transcript.receive((), 0, 3 * SAMPLE_RATE)
    assert texts(transcript.tentative) == ["it", "was", "the", "best", "of", "times"]
    transcript.receive(said("it was the worst of times", 0.0), 0, 3 * SAMPLE_RATE)
    assert texts(transcript.tentative) == ["it", "was", "the", "worst", "of", "times"]


def test_guesses_are_not_committed_and_vanish_with_an_empty_final():
    transcript = Transcript()
    guesses = [replace(word, confidence=0.5) for word in said("it was the best of times", 0.0)]
    for _ in range(3):
        transcript.receive(guesses, 0, 4 * SAMPLE_RATE)
    assert transcript.committed == ()
    assert texts(transcript.shown) == ["it", "was", "the", "best", "of", "times"]
    transcript.receive((), 0, 4 * SAMPLE_RATE)
    assert transcript.tentative == ()


def test_a_word_or_two_in_noise_vanish_if_they_are_not_recognised_again():
    transcript = Transcript(tuning=SessionTuning(commit_delay_ms=10_000))
    for _ in range(2):
        transcript.receive(said("thank you", 0.0), 0, 2 * SAMPLE_RATE)
    transcript.receive((), 0, 3 * SAMPLE_RATE)
    assert transcript.tentative == ()
