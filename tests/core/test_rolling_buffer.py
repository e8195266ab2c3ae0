"""The buffer is a window on one long row of samples."""

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from stream.core.rolling_buffer import INITIAL_CAPACITY, RollingBuffer


class OneLongRow(RuleBasedStateMachine):
    """Against a list that never forgets."""

    def __init__(self):
        super().__init__()
        self.buffer = RollingBuffer()
        self.everything = np.zeros(0, np.float32)

    @rule(size=st.one_of(st.integers(0, 1000), st.integers(0, 3 * INITIAL_CAPACITY)))
    def append(self, size):
        begin = len(self.everything) + 1
        samples = np.arange(begin, begin + size, dtype=np.float32)
        self.buffer.append(samples)
        self.everything = np.concatenate([self.everything, samples])

    @rule(size=st.one_of(st.integers(0, 10), st.integers(0, 100_000)))
    def skip(self, size):
        self.buffer.skip(size)
        self.everything = np.concatenate([self.everything, np.zeros(size, np.float32)])

    @rule(place=st.floats(0, 1))
    def discard(self, place):
        before = self.buffer.start_sample
        sample = round(place * self.buffer.end_sample)
        self.buffer.discard_before(sample)
        assert self.buffer.start_sample == max(before, sample)

    @rule(first=st.floats(0, 1), second=st.floats(0, 1))
    def read(self, first, second):
        held = self.buffer.end_sample - self.buffer.start_sample
        start, end = sorted(self.buffer.start_sample + round(x * held) for x in (first, second))
        np.testing.assert_array_equal(self.buffer.read(start, end), self.everything[start:end])
        assert self.buffer.stored(start, end) == np.count_nonzero(self.everything[start:end])

    @invariant()
    def the_end_is_what_was_appended(self):
        assert self.buffer.end_sample == len(self.everything)


TestOneLongRow = OneLongRow.TestCase
TestOneLongRow.settings = settings(deadline=None, max_examples=50)


def test_a_gap_takes_no_memory():
    buffer = RollingBuffer()
    buffer.append(np.ones(10, np.float32))
    for _ in range(1000):
        buffer.skip(16_000 * 3600)
        buffer.append(np.ones(10, np.float32))
        buffer.discard_before(buffer.end_sample - 20)
    assert len(buffer._data) == INITIAL_CAPACITY
    assert buffer.end_sample == 10 + 1000 * (16_000 * 3600 + 10)
    assert (
        buffer.read(buffer.end_sample - 20, buffer.end_sample).tolist() == [0.0] * 10 + [1.0] * 10
    )


def test_a_read_is_a_copy():
    buffer = RollingBuffer()
    buffer.append(np.ones(10, np.float32))
    buffer.read(0, 10)[:] = 5
    assert buffer.read(0, 10).tolist() == [1.0] * 10


def test_a_checkpoint_with_another_hash_is_refused():
    buffer = RollingBuffer()
    buffer.append(np.zeros(100, np.float32))
    buffer.discard_before(40)
    for start, end in ((39, 50), (90, 101), (60, 50)):
        with pytest.raises(ValueError, match=r"\[40, 100\)"):
            buffer.read(start, end)
    with pytest.raises(ValueError, match="101"):
        buffer.discard_before(101)


def test_an_hour_that_is_discarded_on_arrival_uses_constant_memory():
    buffer = RollingBuffer()
    chunk = np.zeros(320, np.float32)
    for _ in range(20_000):
        buffer.append(chunk)
        buffer.discard_before(max(buffer.end_sample - 16_000, 0))
    assert len(buffer._data) == INITIAL_CAPACITY
