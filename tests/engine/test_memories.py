"""What is kept between windows, for how long, and for which window."""

from dataclasses import replace

import numpy as np
import torch

from stream.core.windows import WindowKind
from stream.engine.memories import EncoderMemories, default_budget
from stream.engine.network.encoder_memory import EncoderMemory
from tests.engine.windows import a_window

REFRESH = 50


def begin(start_sample: int) -> EncoderMemory:
    return EncoderMemory(start_sample, 500, (), torch.float32)


def filled(memory: EncoderMemory | None, n: int) -> EncoderMemory:
    assert memory is not None
    memory.settle(n, [torch.zeros(n, 8)], torch.zeros(n, 4))
    return memory


BYTES = 12 * 4
"""Of a position."""


def window(n: int, **options):
    return a_window(n_samples=320 * n, **options)


def kept(memories: EncoderMemories, n: int = 100, **options) -> None:
    """Transcribe a partial of n positions that settles half of them."""
    first = window(n, **options)
    memories.put(first, filled(memories.take(first, REFRESH), n // 2))


def test_the_next_window_from_the_same_sample_continues():
    memories = EncoderMemories(1 << 20, begin)
    kept(memories)
    assert memories.n_bytes == 50 * BYTES
    found = memories.take(window(150), REFRESH)
    assert found is not None
    assert found.n_settled == 50
    assert (memories.hits, memories.misses) == (1, 1)
    assert memories.n_bytes == 0  # no second thread can take it


def test_other_windows_begin_anew():
    memories = EncoderMemories(1 << 20, begin)
    for other in (
        window(150, start_sample=320),
        window(150, session="another"),
        window(150, channel=1),
        window(60),  # hardly longer than what is settled
        replace(window(150), samples=np.ones(150 * 320, np.float32)),
    ):
        kept(memories)
        found = memories.take(other, REFRESH)
        assert found is not None
        assert found.n_settled == 0
        assert found.start_sample == other.start_sample
        memories.forget("s")
    assert memories.hits == 0


def test_a_final_from_elsewhere_leaves_the_memory_to_the_partials():
    memories = EncoderMemories(1 << 20, begin)
    kept(memories)
    assert memories.take(window(150, final=True, start_sample=640), REFRESH) is None
    found = memories.take(window(150), REFRESH)
    assert found is not None
    assert found.n_settled == 50


def test_the_longest_unused_goes_first():
    memories = EncoderMemories(120 * BYTES, begin)
    for session in ("a", "b"):
        kept(memories, session=session)
    again = window(150, session="a")
    memories.put(again, filled(memories.take(again, REFRESH), 60))
    kept(memories, session="c")
    assert memories.n_bytes <= 120 * BYTES
    found = memories.take(window(150, session="b"), REFRESH)
    assert found is not None
    assert found.n_settled == 0
    found = memories.take(window(150, session="a"), REFRESH)
    assert found is not None
    assert found.n_settled == 60


def test_a_session_that_ended_is_forgotten():
    memories = EncoderMemories(1 << 20, begin)
    kept(memories)
    kept(memories, session="t")
    memories.forget("s")
    assert memories.n_bytes == 50 * BYTES


def test_nothing_is_kept_without_a_budget_or_of_a_recording():
    assert EncoderMemories(0, begin).take(window(100), REFRESH) is None
    memories = EncoderMemories(1 << 20, begin)
    assert memories.take(window(100, kind=WindowKind.FILE), REFRESH) is None
    assert memories.misses == 0


def test_the_default_budget_is_a_gigabyte_at_most():
    assert 0 < default_budget() <= 1 << 30
