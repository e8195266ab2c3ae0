"""What our server says becomes events; what it owes is held against it."""

import numpy as np
import pytest
from distil_stream_client import (
    Ended,
    Final,
    Latency,
    Partial,
    Progress,
    SpeechEnded,
    SpeechStarted,
    Word,
)

from stream.config import ServerConfig
from stream.engine.scripted import ScriptedTranscriber, counting
from stream.evaluate.adapters import OFFLINE, STREAMING, streaming_adapter
from stream.evaluate.adapters.feed import Feed
from stream.evaluate.adapters.native import SequenceCheck, event_of, stream_feed
from stream.evaluate.material.recordings import Audio, Recording, to_int16
from stream.evaluate.measures.record import (
    Finished,
    Shown,
    SpeechBegan,
    SpeechOver,
    StreamError,
    TimedWord,
)
from stream.evaluate.playback import Pace, play_all
from stream.server.running import running_server


def broken(*messages, sent=0):
    checks = SequenceCheck()
    return [found.promise for message in messages for found in checks.check(message, sent)]


def progress(seq):
    return Progress(seq=seq, received=0, settled=0)


def test_a_gap_in_the_sequence_numbers_is_detected():
    assert broken(progress(1), progress(2)) == []
    assert broken(progress(1), progress(3)) == ["message 3 follows message 1"]


@pytest.mark.parametrize(
    ("received", "settled", "well"), [(9, 9, True), (9, 8, False), (8, 8, False)]
)
def test_every_sample_is_accounted_for(received, settled, well):
    assert (broken(Ended(seq=1, received=received, settled=settled), sent=9) == []) == well


def partial(committed, tentative):
    return Partial(
        channel=0, utterance=2, revision=1, start=0, end=1,
        committed=committed, tentative=tentative,
    )  # fmt: skip


def final(endpoint_ms):
    return Final(
        channel=0, utterance=2, start=0, end=1, text="hi",
        words=(Word("hi", 0.1, 0.4, 0.9),),
        latency=Latency(endpoint_ms=endpoint_ms, total_ms=700),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("message", "event"),
    [
        (SpeechStarted(channel=0, utterance=2, time=1.5), SpeechBegan((0, 2), 1.5)),
        (SpeechEnded(channel=0, utterance=2, time=2.5), SpeechOver((0, 2), 2.5)),
        (partial("a b", " c"), Shown((0, 2), ("a", "b"), ("c",))),
        (progress(1), None),
    ],
)
def test_events(message, event):
    assert event_of(message, 500) == event


@pytest.mark.parametrize(("endpoint_ms", "by_silence"), [(500, True), (499, False), (0, False)])
def test_finals(endpoint_ms, by_silence):
    event = event_of(final(endpoint_ms), 500)
    assert isinstance(event, Finished)
    assert (event.text, event.by_silence) == ("hi", by_silence)
    assert event.words == (TimedWord("hi", 0.1, 0.4, 0.9),)
    assert event.server_ms["beyond endpoint"] == 700 - endpoint_ms


async def test_against_our_server(speech):
    audio = Audio(to_int16(speech[: 4 * 16_000]), 16_000)
    recording = Recording("cities", "read", "made", None, lambda: audio)
    config = ServerConfig(port=0)
    async with running_server(config, ScriptedTranscriber(counting())) as url:
        (played,) = await play_all([recording], streaming_adapter("native"), url, Pace(fast=True))
    assert played.failure == ""
    assert played.violations == []
    assert played.text
    assert [word.text for word in played.words] == played.text.split()


async def test_nobody_there():
    feed = Feed(Audio(np.zeros(1, np.int16), 16_000), fast=True)
    with pytest.raises(StreamError, match="No server"):
        async for _ in stream_feed("ws://127.0.0.1:9", feed, 500):
            pass


def test_every_row_is_a_system():
    for row in (*STREAMING.values(), *OFFLINE.values()):
        module, _, name = row.partition(":")
        assert module.startswith("stream.evaluate.adapters.")
        assert name in ("stream_feed", "load")
    assert streaming_adapter("native") is stream_feed
