"""A draft is read along: what follows a difference is proposed again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.engine.decoding.draft import FIRST, GUESSED, DraftCursor

tokens = st.lists(st.integers(0, 20), max_size=60)


def say(draft: list[int], truth: list[int]) -> int:
    """Let a model that says the truth verify a draft; return how many passes it takes."""
    reference, said, passes = DraftCursor(draft), 0, 0
    while said < len(truth):
        proposed = reference.proposal(len(truth) - said - 1)
        assert len(proposed) <= len(truth) - said - 1
        accepted = 0
        while accepted < len(proposed) and proposed[accepted] == truth[said + accepted]:
            accepted += 1
        said += accepted + 1
        passes += 1
        reference.advance(len(proposed), accepted, truth[said - 1])
    return passes


def test_an_accepted_draft_takes_one_pass():
    assert say(list(range(50)), list(range(50))) == 1


def test_another_first_token_costs_a_few_passes():
    draft, truth = list(range(60)), [99, *range(1, 60)]
    # 1 and GUESSED + 1, then twice as many each time.
    assert say(draft, truth) <= 6


def test_an_omitted_or_inserted_token_is_skipped():
    whole = list(range(60))
    assert say(whole, whole[3:]) <= 5
    assert say(whole[3:], whole) <= 9
    assert say(whole, [*whole[:30], 99, *whole[30:]]) <= 7
    assert say(whole, [*whole[:30], *whole[32:]]) <= 5


def test_a_wrong_assistant_proposes_little():
    reference = DraftCursor(list(range(100, 160)))
    reference.advance(60, 0, 1)
    assert len(reference.proposal(60)) == GUESSED
    reference.advance(GUESSED, 0, 2)
    assert reference.proposal(60) == []
    reference.advance(0, 0, 104)
    assert reference.proposal(60) == list(range(105, 105 + FIRST))


@pytest.mark.slow
@given(tokens, tokens)
def test_no_draft_takes_more_passes_than_none(draft, truth):
    assert say(draft, truth) <= len(truth)
