"""What was taken back is counted, and by the definitions that are cited."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.evaluate.measures.stability import (
    Stability,
    ages,
    changed_commits,
    erased,
    erased_at,
    lost,
    stability,
)
from tests.evaluate.shown import finished, shown


@pytest.mark.parametrize(
    ("old", "new", "n_erased", "n_lost"),
    [
        ("the cat", "the cat sat", 0, 0),
        ("the cat", "the cap", 1, 1),
        ("the cat", "a cat", 2, 1),  # the suffix is shown anew, but one word changed
        ("the cat", "", 2, 2),
        ("", "the cat", 0, 0),
        ("a b c", "a c", 2, 1),
    ],
)
def test_erasure_counts_the_suffix_and_instability_the_words(old, new, n_erased, n_lost):
    old, new = tuple(old.split()), tuple(new.split())
    assert erased(old, new) == n_erased
    assert lost(old, new) == n_lost


def test_a_recording():
    events = [
        shown(1, "", "the cap"),
        shown(2, "The", "cat"),
        shown(3, "The cat,", "sad"),
        finished(4, "The cat, sat down."),
    ]
    found = stability(events)
    assert found == Stability(final_words=4, revisions=3, erased=2, erased_as_shown=4, unstable=2)
    assert found.normalised_erasure == 0.5
    assert found.unstable_partial_word_ratio == 0.5
    assert erased_at(events) == [(1, 1), (3, 1)]
    assert ages(events) == [3]


def test_a_caption_that_vanishes_counts_as_erased():
    assert stability([shown(1, "", "boo who")]).erased == 2
    assert stability([shown(1, "", "boo who"), finished(2, "")]).erased == 2
    assert Stability(erased=2).normalised_erasure == 0


def test_utterances_are_counted_apart():
    events = [shown(1, "", "one"), shown(2, "", "two", (0, 1)), shown(3, "", "three", (1, 0))]
    assert stability(events).revisions == 3  # each to nothing: none of them got a final
    assert changed_commits(events) == []


@pytest.mark.parametrize(
    ("later", "broken"),
    [
        (shown(2, "The old man"), False),
        (finished(2, "The old man and"), False),
        (shown(2, "The old", "men"), False),
        (shown(2, "The cold"), True),
        (shown(2, "The"), True),
        (finished(2, "The"), True),
        (finished(2, "the old man"), True),
    ],
)
def test_committed_text_may_only_grow(later, broken):
    found = changed_commits([shown(1, "The old", "mad"), later])
    assert bool(found) == broken
    assert all("'The old'" in sentence for sentence in found)


words = st.lists(st.sampled_from(["a", "b", "c"]), max_size=6)


@given(st.lists(words, min_size=1, max_size=6))
def test_text_that_only_grows_is_stable(texts):
    events = [shown(i, "", " ".join(text)) for i, text in enumerate(texts)]
    total = stability([*events, finished(9, " ".join(texts[-1]))])
    assert 0 <= total.unstable <= total.erased
    growing = [shown(i, "", " ".join(texts[0][:i])) for i in range(len(texts[0]))]
    steady = stability([*growing, finished(9, " ".join(texts[0]))])
    assert steady.erased == steady.unstable == 0
