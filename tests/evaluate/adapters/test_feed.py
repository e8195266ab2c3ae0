"""The feeder cuts the audio and loses none, and its clock is that of a person who speaks."""

import asyncio

import numpy as np
import pytest

from stream.evaluate.adapters.feed import Feed
from stream.evaluate.material.recordings import Audio


def feed(n_samples, rate=8000, **options):
    return Feed(Audio(np.arange(n_samples, dtype=np.int16), rate), **options)


async def test_chunks_are_of_40_ms_and_hold_every_sample():
    fed = feed(1000, fast=True)
    chunks = [chunk async for chunk in fed.chunks()]
    assert b"".join(chunks) == np.arange(1000, dtype="<i2").tobytes()
    assert {len(chunk) for chunk in chunks[:-1]} == {640}


async def test_silence_follows():
    fed = feed(100, fast=True, trailing_silence_s=0.1)
    assert fed.n_samples == 900
    data = b"".join([chunk async for chunk in fed.chunks()])
    assert len(data) == 1800
    assert not any(data[200:])


async def test_channels_are_interleaved_and_one_clock_holds_for_all():
    samples = np.arange(2000, dtype=np.int16).reshape(1000, 2)
    fed = Feed(Audio(samples, 8000), fast=True, trailing_silence_s=0.1)
    assert (fed.channels, fed.n_samples) == (2, 1800)
    chunks = [chunk async for chunk in fed.chunks()]
    assert b"".join(chunks) == samples.astype("<i2").tobytes() + bytes(2 * 2 * 800)
    assert len(chunks[0]) == 2 * 2 * 320
    assert fed.now_s() == pytest.approx(1800 / 8000)


@pytest.mark.parametrize("shape", [(500,), (250, 2)])
async def test_the_gain_of_a_repeat_is_not_rounded_away(shape):
    samples = np.full(shape, 20_000, np.int16)
    fed = Feed(Audio(samples, 8000, gain=1 + 1e-6), fast=True)
    assert fed.encoding == "pcm_f32le"
    data = b"".join([chunk async for chunk in fed.chunks()])
    sent = np.frombuffer(data, "<f4").reshape(shape)
    assert (sent > np.float32(20_000 / 32_768)).all()
    np.testing.assert_allclose(sent, 20_000 / 32_768 * (1 + 1e-6), rtol=1e-7)
    assert feed(10, fast=True).encoding == "pcm_s16le"


async def test_without_pacing_the_clock_is_the_audio_sent():
    fed = feed(640, fast=True)
    assert fed.now_s() == 0
    assert [fed.now_s() async for _ in fed.chunks()] == pytest.approx([0.04, 0.08])


@pytest.mark.parametrize("speed", [1.0, 4.0])
async def test_no_audio_is_sent_before_its_time(speed):
    fed = feed(1600, rate=16_000, fast=False, speed=speed)
    loop = asyncio.get_running_loop()
    began_s, due_s = loop.time(), [0.04, 0.08, 0.1]
    async for _ in fed.chunks():
        # Its clock began after ours, and is read before ours.
        spoken_s = speed * (loop.time() - began_s)
        assert due_s.pop(0) - 0.001 <= fed.now_s() <= spoken_s + 0.001
    assert due_s == []
    assert fed.late_ms >= 0
