"""What the scheduler and the ladder make of streams as they come, in audio time."""

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.core.audio import SAMPLE_RATE
from stream.core.windows import Window, WindowKind
from stream.server.load_ladder import LoadLadder
from tests.engine.test_scheduler import alike, utterance
from tests.server.simulation import Simulation, Speaker

seconds = st.floats(0.5, 20.0).map(lambda s: round(s, 1))
talks = st.lists(st.tuples(seconds, st.floats(0.3, 3.0)), min_size=1, max_size=4).map(tuple)
speakers = st.lists(st.tuples(st.floats(0, 10), talks), min_size=1, max_size=12).map(
    lambda found: [Speaker(f"s{i}", comes_s, talk) for i, (comes_s, talk) in enumerate(found)]
)
engines = st.tuples(st.floats(0.01, 0.3), st.floats(0.005, 0.1))


def cost(fixed_s: float, each_s: float):
    """Of a batch: the longest window counts for all, and a fuller batch is cheaper a window."""

    def cost_s(batch: Sequence[Window]) -> float:
        longest_s = max(len(window.samples) for window in batch) / SAMPLE_RATE
        return fixed_s + each_s * longest_s * len(batch) ** 0.7

    return cost_s


def finals(windows: Sequence[Window]) -> list[Window]:
    return [window for window in windows if window.kind is WindowKind.FINAL]


@pytest.mark.slow
@given(speakers, engines, st.integers(1, 8))
@settings(max_examples=60, deadline=None)
def test_every_batch_is_as_it_should_be(speakers, engine, max_batch):
    for moment in Simulation(speakers, cost(*engine), max_batch).run().taken:
        batch, left = moment.batch, [w for w in moment.waiting if w not in moment.batch]
        assert 0 < len(batch) <= max_batch
        assert all(alike(window, batch[0]) for window in batch)
        if finals(moment.waiting):
            assert batch[0].kind is WindowKind.FINAL
        if finals(batch) != batch:
            assert not finals(left), "no partial before a final that waits"
        partials = [utterance(w) for w in moment.waiting if w.kind is WindowKind.PARTIAL]
        assert max(Counter(partials).values(), default=1) == 1, "the newest alone waits"
        if len(batch) < max_batch and not finals(left):
            assert not any(alike(window, batch[0]) for window in left), "no place stays empty"


@pytest.mark.slow
@given(speakers, engines, st.integers(1, 8))
@settings(max_examples=60, deadline=None)
def test_every_final_is_accepted_and_no_stream_overtakes_a_waiting_one(speakers, engine, max_batch):
    simulation = Simulation(speakers, cost(*engine), max_batch).run()
    taken = [w.session for moment in simulation.taken for w in finals(moment.batch)]
    assert Counter(taken) == {s.name: len(s.talk) for s in speakers}
    led: dict[int, set[str]] = {}
    for moment in simulation.taken:
        leader = moment.batch[0]
        for window in finals(moment.waiting):
            if window not in moment.batch and leader.kind is WindowKind.FINAL:
                before = led.setdefault(window.id, set())
                assert leader.session not in before, "nobody goes twice before one who waits"
                before.add(leader.session)


def test_new_streams_do_not_overtake_a_waiting_one():
    """Short calls come faster than they are served; a long one still gets its turn."""
    long_call = Speaker("long", 0.0, ((1.0, 0.5),) * 5)
    calls = [Speaker(f"call {i}", i * 0.25, ((1.0, 0.5),)) for i in range(100)]
    simulation = Simulation([long_call, *calls], lambda batch: 0.5, max_batch=1).run()
    answered = [m.batch[0].session for m in simulation.taken if finals(m.batch)]
    turns = [i for i, name in enumerate(answered) if name == "long"]
    waiting_then = [len(finals(m.waiting)) for m in simulation.taken if finals(m.batch)]
    for earlier, later in pairwise(turns):
        assert later - earlier <= max(waiting_then[: later + 1])


@pytest.mark.slow
@given(speakers, st.integers(1, 8))
@settings(max_examples=30, deadline=None)
def test_partials_take_turns(speakers, max_batch):
    """While no final comes, the oldest partial leads."""
    for moment in Simulation(speakers, cost(0.1, 0.02), max_batch).run().taken:
        if moment.batch[0].kind is WindowKind.PARTIAL:
            first = {w.session: w for w in reversed(moment.waiting)}
            assert moment.batch[0] is first[moment.waiting[0].session]


@pytest.mark.slow
@given(st.integers(0, 2**20), engines, st.integers(1, 8))
@settings(max_examples=20, deadline=None)
def test_the_lag_of_those_who_were_let_in_is_bounded(seed, engine, max_batch):
    """More and more people come; the door closes before those inside are kept waiting."""
    crowd = [
        Speaker(f"s{i}", 2.0 * i, tuple((2.0 + (seed + 7 * i + 3 * k) % 9, 0.7) for k in range(8)))
        for i in range(60)
    ]
    ladder = LoadLadder()
    simulation = Simulation(crowd, cost(*engine), max_batch, ladder).run()
    assert len(simulation.refused) < len(crowd)
    # With the door open to everybody it is 50 s at worst, and grows with the crowd.
    assert max(simulation.waits_s[WindowKind.FINAL]) < 12


@pytest.mark.parametrize("streams", [2, 40])
def test_a_server_with_capacity_stays_at_the_lowest_step_and_a_full_one_returns(streams):
    crowd = [Speaker(f"s{i}", 1.0 * i, ((5.0, 1.0),) * 6) for i in range(streams)]
    late = Speaker("late", 400.0, ((3.0, 1.0),))
    ladder = LoadLadder()
    simulation = Simulation([*crowd, late], cost(0.05, 0.03), ladder=ladder).run()
    assert (max(simulation.steps) > 0) == (streams == 40)
    assert "late" not in simulation.refused
    assert simulation.steps[-1] == 0
