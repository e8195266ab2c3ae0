"""Audio in pieces of one size, with silence in its gaps."""

from hypothesis import given
from hypothesis import strategies as st

from stream.core.audio import Gap
from stream.media.pieces import pieces

SOUNDS = st.lists(
    st.one_of(
        st.binary(max_size=50).map(lambda data: data[: len(data) // 2 * 2]),
        st.integers(0, 60).map(Gap),
    )
)


@given(SOUNDS, st.integers(1, 20).map(lambda n: 2 * n))
def test_all_of_it_in_order(sounds: list[bytes | Gap], size: int) -> None:
    found = list(pieces(sounds, size, b"\x01\x02"))
    expected = b"".join(s if isinstance(s, bytes) else b"\x01\x02" * s.samples for s in sounds)
    assert b"".join(found) == expected
    assert all(len(piece) == size for piece in found[:-1])
    assert all(found)


def test_a_long_gap_is_never_in_memory() -> None:
    sent = pieces([Gap(16_000 * 3600 * 1000)], 3200, bytes(2))
    assert next(sent) == bytes(3200)
