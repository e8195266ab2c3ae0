"""Limits of keys: streams and uploads at once, audio within an hour."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.server.keys.key_file import Key
from stream.server.keys.usage import HOUR_S, STEP_S, AudioOfAnHour, OverLimit, Usage


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_streams_and_uploads_at_once() -> None:
    usage, key = Usage(), Key(name="desk", max_streams=2, max_uploads=0)
    usage.check_stream(key)
    usage.streams["desk"] = 2
    with pytest.raises(OverLimit, match="2 streams") as over:
        usage.check_stream(key)
    assert over.value.retry_after_s > 0
    usage.check_stream(Key(name="other", max_streams=2))
    usage.check_stream(Key(name="desk"))
    with pytest.raises(OverLimit, match="0 recordings"):
        usage.check_upload(key)


def test_audio_of_an_hour() -> None:
    clock = Clock()
    usage, key = Usage(clock), Key(name="desk", audio_s_an_hour=100)
    usage.add_audio(key, 60)
    clock.now += 1800
    with pytest.raises(OverLimit, match="100 seconds") as over:
        usage.add_audio(key, 40)
    assert HOUR_S / 2 <= over.value.retry_after_s <= HOUR_S / 2 + STEP_S
    with pytest.raises(OverLimit):
        usage.check_stream(key)
    with pytest.raises(OverLimit):
        usage.check_upload(key)
    clock.now += over.value.retry_after_s
    usage.check_stream(key)
    usage.add_audio(Key(name="free"), 1e9)


@given(st.lists(st.tuples(st.floats(0, 600), st.floats(0.1, 300)), max_size=60), st.floats(1, 1000))
def test_what_is_counted_is_the_last_hour(talk: list[tuple[float, float]], limit: float) -> None:
    used, now, log = AudioOfAnHour(), 0.0, []
    for wait, audio in talk:
        now += wait
        used.add(audio, now)
        log.append((now, audio))
        within = sum(audio for at, audio in log if now - at < HOUR_S)
        older = sum(audio for at, audio in log if now - at < HOUR_S + STEP_S)
        assert within - 1e-6 <= used.total_s(now) <= older + 1e-6
    if used.total_s(now) >= limit:
        wait_s = used.below_in_s(limit, now)
        assert 0 < wait_s <= HOUR_S + STEP_S + 1
        assert used.total_s(now + wait_s) < limit + 1e-6
