"""Arrival times: never before the audio was there, at most a grain after, and few of them."""

from hypothesis import given
from hypothesis import strategies as st

from stream.protocols.arrival_times import GRAIN_S, ArrivalTimes


@given(st.lists(st.floats(0.0001, 0.5), min_size=1, max_size=200), st.floats(0, 1))
def test_arrival_times_are_recorded(steps: list[float], where: float) -> None:
    """Audio arrives in real time, so its own end is its time of arrival."""
    arrivals = ArrivalTimes()
    end = 0.0
    ends = []
    for step in steps:
        end += step
        ends.append(end)
        arrivals.add(end, now=end)
    asked = where * end
    told = arrivals.time_of(asked)
    true = min((e for e in ends if e >= asked), default=end)
    assert told is not None
    assert true <= told <= true + GRAIN_S + 1e-9
    assert len(arrivals) <= end / GRAIN_S * 2 + 2


def test_a_new_estimate_is_empty() -> None:
    assert ArrivalTimes().time_of(1.0) is None


def test_forgets() -> None:
    arrivals = ArrivalTimes()
    for second in range(1000):
        arrivals.add(float(second), now=float(second))
        arrivals.forget_before(second - 5.0)
    assert len(arrivals) < 300
    assert arrivals.time_of(998.5) == 999.0
