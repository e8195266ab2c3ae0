"""Recordings are played in order, so many at a time, and a failure is one recording's own."""

import asyncio

import numpy as np

from stream.evaluate.material.recordings import Audio, Recording
from stream.evaluate.measures.record import Broken, Finished, Shown, StreamError
from stream.evaluate.playback import Pace, play_all


class Parrot:
    """A system that says how many bytes it heard; it breaks at less than twenty."""

    def __init__(self):
        self.at_once = self.most = 0
        self.endpointing_ms = None

    async def __call__(self, url, feed, endpointing_ms):
        self.endpointing_ms = endpointing_ms
        self.at_once += 1
        self.most = max(self.most, self.at_once)
        heard = 0
        async for chunk in feed.chunks():
            heard += len(chunk)
            await asyncio.sleep(0)
        self.at_once -= 1
        if heard < 20:
            raise StreamError("too little")
        yield Shown((0, 0), ("many",))
        yield Broken("message 3 follows message 1")
        yield Finished((0, 0), f"{heard} bytes")


def recording(n_samples):
    audio = Audio(np.zeros(n_samples, np.int16), 16_000)
    return Recording(str(n_samples), "read", "made", "", lambda: audio)


async def test_results_come_in_order_and_so_many_at_a_time():
    parrot, names = Parrot(), []
    played = await play_all(
        [recording(n) for n in (50_000, 10, 2000, 30)],
        parrot,
        "ws://nowhere",
        Pace(streams=2, fast=True, endpointing_ms=300),
        on_played=lambda one: names.append(one.recording.name),
    )
    assert parrot.most == 2
    assert parrot.endpointing_ms == 300
    assert [one.text for one in played] == [f"{2 * n} bytes" for n in (50_000, 10, 2000, 30)]
    assert sorted(names) == ["10", "2000", "30", "50000"]
    assert [stamped.at_s for stamped in played[2].events] == [0.125] * 3


async def test_violations_of_the_protocol_and_of_commits_are_counted():
    (played,) = await play_all([recording(10)], Parrot(), "", Pace(fast=True))
    assert played.violations == [
        "message 3 follows message 1",
        "committed 'many' became '20 bytes'",
    ]


async def test_trailing_silence_is_played_but_not_scored():
    pace = Pace(fast=True, trailing_silence_s=0.1)
    (played,) = await play_all([recording(1600)], Parrot(), "", pace)
    assert played.text == "6400 bytes"
    assert played.seconds == 0.1


async def test_a_stream_that_breaks_is_a_failure_of_that_recording_only():
    bad, good = await play_all(
        [recording(5), recording(50)], Parrot(), "", Pace(streams=2, fast=True)
    )
    assert bad.failure == "too little"
    assert good.text == "100 bytes"
