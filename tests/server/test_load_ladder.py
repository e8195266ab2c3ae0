"""The ladder is climbed by what is measured, a rung at a time, and always left again."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.core.load import Load
from stream.server.load_ladder import CLIMB_S, HALF_LIFE_S, LADDER, REST_S, FadingPeak, LoadLadder

TICK_S = 0.05

waits = st.one_of(st.just(0.0), st.floats(0, 10))
moments = st.lists(st.tuples(st.floats(0.01, 3.0), waits, st.booleans()), max_size=60)


def pass_time(ladder: LoadLadder, now: float, seconds: float) -> float:
    """Let time pass in ticks."""
    for _ in range(round(seconds / TICK_S)):
        now += TICK_S
        ladder.update(now)
    return now


@pytest.mark.slow
@given(moments)
def test_the_ladder_always_returns_by_itself(history) -> None:
    ladder, now = LoadLadder(), 0.0
    for step_s, waited_s, final in history:
        now += step_s
        ladder.note_wait(waited_s, final, now)
        ladder.update(now)
    # From the longest wait of all, 10 s, to half of the least limit takes six half lives.
    pass_time(ladder, now, 7 * HALF_LIFE_S + len(LADDER) * (REST_S + 2 * TICK_S))
    assert ladder.step == 0


@pytest.mark.slow
@given(moments)
def test_the_ladder_moves_one_step_at_a_time(history) -> None:
    ladder, now = LoadLadder(), 0.0
    steps, climbed_at = [0], float("-inf")
    for step_s, waited_s, final in history:
        now += step_s
        ladder.note_wait(waited_s, final, now)
        changed = ladder.update(now)
        assert changed == (ladder.step != steps[-1])
        if ladder.step > steps[-1]:
            assert now - climbed_at >= CLIMB_S
            climbed_at = now
        steps.append(ladder.step)
    assert all(abs(b - a) <= 1 for a, b in pairwise(steps))


@given(moments)
def test_late_partials_make_partials_slower_and_no_more(history) -> None:
    ladder, now = LoadLadder(), 0.0
    for step_s, waited_s, _ in history:
        now += step_s
        ladder.note_wait(waited_s, False, now)
        ladder.update(now)
        assert ladder.rung.load in (Load.NORMAL, Load.SLOW_PARTIALS)


@given(moments)
def test_short_waits_change_nothing(history) -> None:
    ladder, now = LoadLadder(), 0.0
    for step_s, waited_s, final in history:
        now += step_s
        ladder.note_wait(min(waited_s, LADDER[1].final_s), final, now)
        assert not ladder.update(now)


def test_late_finals_lead_to_the_highest_step_and_only_there_streams_are_refused() -> None:
    ladder, now = LoadLadder(), 100.0
    seen = [ladder.rung]
    while ladder.rung.admits:
        ladder.note_wait(2.0, True, now)
        if ladder.update(now):
            seen.append(ladder.rung)
        now += TICK_S
    assert seen == list(LADDER)
    assert now - 100.0 < len(LADDER) * CLIMB_S


def test_a_step_is_kept_while_waits_exceed_half_of_its_threshold() -> None:
    ladder, now = LoadLadder(), 0.0
    ladder.note_wait(1.0, False, now)
    assert ladder.update(now)
    for _ in range(100):
        now += 0.5
        ladder.note_wait(0.3, False, now)
        assert not ladder.update(now)
    pass_time(ladder, now, HALF_LIFE_S + REST_S)
    assert ladder.rung.load is Load.NORMAL


def test_the_table_climbs() -> None:
    for below, above in pairwise(LADDER):
        assert below.final_s < above.final_s
        assert below.window_s <= above.window_s or above.window_s == float("inf")
        assert below.admits or not above.admits


def test_a_peak_fades() -> None:
    peak = FadingPeak()
    peak.note(4.0, 10.0)
    assert peak.at(10.0 + HALF_LIFE_S) == pytest.approx(2.0)
    peak.note(1.0, 10.0 + HALF_LIFE_S)
    assert peak.at(10.0 + 2 * HALF_LIFE_S) == pytest.approx(1.0)
    peak.note(3.0, 10.0 + 2 * HALF_LIFE_S)
    assert peak.at(10.0 + 2 * HALF_LIFE_S) == 3.0
