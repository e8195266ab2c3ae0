"""Recordings are played in order and in time, and broken promises are noticed."""

import asyncio
import json
from contextlib import asynccontextmanager

import numpy as np
import pytest
from distil_stream_client import Ended, Final, Partial
from websockets.asyncio.server import serve

from stream.evaluate.playback import Promises, microphone, play_all
from stream.evaluate.recordings import Audio, Recording


def partial(seq, committed, tentative=""):
    return Partial(
        seq=seq, channel=0, utterance=0, revision=seq, start=0, end=1,
        committed=committed, tentative=tentative,
    )  # fmt: skip


def final(seq, text):
    return Final(seq=seq, channel=0, utterance=0, start=0, end=1, text=text)


def broken(*events, sent=0):
    promises = Promises()
    for event in events:
        promises.check(event, sent)
    return promises.violations


def test_committed_words_that_grow_are_well():
    events = [
        partial(1, ""),
        partial(2, "The old", "men"),
        partial(3, "The old man"),
        final(4, " The old man and"),
    ]
    assert broken(*events) == []


@pytest.mark.parametrize(
    "later", [partial(2, "The cold"), partial(2, "The"), final(2, "The"), final(2, "the old man")]
)
def test_committed_words_that_change_or_vanish_are_not(later):
    (violation,) = broken(partial(1, "The old"), later)
    assert "'The old'" in violation


def test_words_after_the_committed_ones_are_free():
    assert broken(partial(1, "The", "cold"), final(2, "The old man")) == []


def test_a_gap_in_the_numbers_is_noticed():
    assert broken(partial(1, ""), partial(3, "")) == ["message 3 follows message 1"]


@pytest.mark.parametrize(
    ("received", "settled", "well"), [(9, 9, True), (9, 8, False), (8, 8, False)]
)
def test_every_sample_is_accounted_for(received, settled, well):
    assert (broken(Ended(seq=1, received=received, settled=settled), sent=9) == []) == well


async def test_a_microphone_cuts_the_audio_and_loses_none():
    data = bytes(range(256)) * 10
    chunks = [chunk async for chunk in microphone(data, 8000, fast=True)]
    assert b"".join(chunks) == data
    assert {len(chunk) for chunk in chunks[:-1]} == {640}


async def test_a_microphone_speaks_no_faster_than_a_person():
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    count = 0
    async for _ in microphone(bytes(2 * 1600), 16_000, fast=False):
        count += 1
        assert loop.time() - began_s >= 0.04 * count - 0.021  # the last chunk is half as long
    assert count == 3


@asynccontextmanager
async def parrot():
    """A server that says how many samples it heard, or hangs up on less than ten."""
    at_once = most = 0

    async def talk(websocket):
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        ready = {"type": "ready", "seq": 1, "protocol": 1, "session": "s", "model": "m"}
        ready |= {"received": 0}
        heard = 0
        async for message in websocket:
            if isinstance(message, bytes):
                heard += len(message) // 2
                continue
            match json.loads(message)["type"]:
                case "start":
                    await websocket.send(json.dumps(ready))
                case "end" if heard < 10:
                    await websocket.close(1011, "too little")
                case "end":
                    said = {"type": "final", "seq": 2, "channel": 0, "utterance": 0}
                    said |= {"start": 0, "end": 1, "text": f"{heard} samples"}
                    said |= {"latency": {"endpoint_ms": 500, "total_ms": 700}}
                    ended = {"type": "ended", "seq": 3, "received": heard, "settled": heard}
                    await websocket.send(json.dumps(said))
                    await websocket.send(json.dumps(ended))
                    await websocket.close()
        at_once -= 1

    async with serve(talk, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        yield f"ws://127.0.0.1:{port}", lambda: most


def recording(n_samples):
    audio = Audio(np.zeros(n_samples, np.int16), 16_000)
    return Recording(str(n_samples), "read", "made", "", lambda: audio)


async def test_results_come_in_order_and_so_many_at_a_time():
    names = []
    async with parrot() as (url, most):
        played = await play_all(
            [recording(n) for n in (50_000, 10, 2000, 30)],
            url,
            streams=2,
            fast=True,
            on_played=lambda one: names.append(one.recording.name),
        )
        assert most() == 2
    assert [one.text for one in played] == [f"{n} samples" for n in (50_000, 10, 2000, 30)]
    assert sorted(names) == ["10", "2000", "30", "50000"]
    assert all(not one.violations and not one.failure for one in played)
    assert [latency.total_ms for latency in played[0].ended_by_silence] == [700]


async def test_trailing_silence_is_played_and_no_part_of_the_recording():
    async with parrot() as (url, _):
        (played,) = await play_all(
            [recording(1600)], url, streams=1, fast=True, trailing_silence_s=0.1
        )
    assert played.text == "3200 samples"
    assert played.seconds == 0.1


async def test_a_stream_that_is_cut_off_is_a_failure_of_that_recording_only():
    async with parrot() as (url, _):
        bad, good = await play_all([recording(5), recording(50)], url, streams=2, fast=True)
    assert "too little" in bad.failure
    assert good.text == "50 samples"
