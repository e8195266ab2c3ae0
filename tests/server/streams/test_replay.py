"""The replay buffer holds the last frames, up to a number of bytes."""

from hypothesis import given
from hypothesis import strategies as st

from stream.server.streams.replay import ReplayBuffer


@given(st.lists(st.text(max_size=9)), st.integers(0, 40), st.integers(-3, 20))
def test_remembers_the_last_frames(frames: list[str], limit: int, number: int) -> None:
    buffer = ReplayBuffer(limit)
    for frame in frames:
        buffer.append(frame)
    assert buffer.count == len(frames)
    missed = buffer.after(number)
    if missed is not None:
        assert 0 <= number <= len(frames)
        assert missed == frames[number:]
    elif 0 <= number <= len(frames):
        assert sum(map(len, frames[number:])) > limit
    else:
        assert number not in range(len(frames) + 1)


def test_the_last_value_is_kept() -> None:
    buffer = ReplayBuffer(limit_bytes=1)
    buffer.append("a long frame")
    buffer.append("another")
    assert buffer.after(1) == ["another"]
    assert buffer.after(0) is None
