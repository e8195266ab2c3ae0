"""What was sent last is remembered, up to a number of bytes."""

from hypothesis import given
from hypothesis import strategies as st

from stream.server.streams.replay import Sent


@given(st.lists(st.text(max_size=9)), st.integers(0, 40), st.integers(-3, 20))
def test_remembers_the_last_frames(frames: list[str], limit: int, number: int) -> None:
    sent = Sent(limit)
    for frame in frames:
        sent.put(frame)
    assert sent.count == len(frames)
    missed = sent.after(number)
    if missed is not None:
        assert 0 <= number <= len(frames)
        assert missed == frames[number:]
    elif 0 <= number <= len(frames):
        assert sum(map(len, frames[number:])) > limit
    else:
        assert number not in range(len(frames) + 1)


def test_never_forgets_the_last() -> None:
    sent = Sent(limit_bytes=1)
    sent.put("a long frame")
    sent.put("another")
    assert sent.after(1) == ["another"]
    assert sent.after(0) is None
