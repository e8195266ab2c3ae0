"""The usual server hears what is said, and its adapter says so."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pytest

from stream.bench.rivals.usual_server import serving
from stream.core.vad import webrtc_vad
from stream.evaluate.adapters.usual import stream_feed
from stream.evaluate.material.recordings import Audio, Recording, to_int16
from stream.evaluate.measures.record import Finished, Shown, SpeechBegan, SpeechOver
from stream.evaluate.playback import Pace, play
from tests.clients import recording


@dataclass
class Segment:
    start: float
    text: str


class Whisper:
    """Says how many seconds it hears, in segments of five."""

    def __init__(self):
        self.heard_s = []

    def transcribe(self, samples, **options):
        seconds = len(samples) / 16_000
        self.heard_s.append(seconds)
        starts = np.arange(0, seconds, 5)
        return [Segment(float(start), f" from {start:.0f}") for start in starts], None


async def played(samples, whisper):
    audio = Audio(to_int16(samples), 16_000)
    async with serving(whisper, webrtc_vad) as url:
        pace = Pace(fast=True, trailing_silence_s=1.0)
        return await play(
            Recording("a", "read", "made", None, lambda: audio), stream_feed, url, pace
        )


async def test_every_utterance_is_finished_once():
    whisper = Whisper()
    found = await played(recording.samples(), whisper)
    assert found.failure == ""
    events = [stamped.event for stamped in found.events]
    kinds = {kind: [e for e in events if isinstance(e, kind)] for kind in map(type, events)}
    assert len(kinds[SpeechBegan]) == len(kinds[SpeechOver]) == len(kinds[Finished]) == 2
    assert all(final.by_silence for final in kinds[Finished])
    assert found.text == "from 0 from 0"
    assert 0.1 < kinds[SpeechBegan][0].time_s < 0.6
    assert 2.3 < kinds[SpeechOver][0].time_s < 2.7


@pytest.mark.slow
async def test_a_long_utterance_gives_up_its_finished_segments():
    whisper = Whisper()
    found = await played(recording.voice(16_000, 60.0).astype(np.float32), whisper)
    assert found.failure == ""
    finals = [s.event for s in found.events if isinstance(s.event, Finished)]
    shown = [s.event for s in found.events if isinstance(s.event, Shown)]
    assert len(finals) == 1
    for earlier, later in pairwise(shown):
        assert later.committed[: len(earlier.committed)] == earlier.committed
