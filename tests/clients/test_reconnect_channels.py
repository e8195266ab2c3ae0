"""Several channels and a server that is replaced: each party's words come once, and are its own."""

import asyncio
from collections.abc import Callable

import numpy as np
import pytest
from distil_stream_client import Final, ServerEvent, connect
from distil_stream_client.client import Stream

from stream.core.audio import SAMPLE_RATE
from stream.core.windows import Window, Word
from stream.engine.scripted import ScriptedTranscriber
from stream.server.app import Server
from stream.server.running import RESTARTING, running
from tests.clients import recording
from tests.clients.breakable import breakable
from tests.server.serving import until

WAIT_S = 20
SPEECH = {0: [(0.5, 14.0)], 1: [(2.0, 4.0), (6.5, 11.0)]}
"""Who speaks when, in seconds: the first without a pause, for longer than an utterance may last."""
SECONDS = 16
FRAME_BYTES = 4
"""Of a sample of both channels."""


def said_by(channel: int) -> list[Word]:
    """A word every half second, each another."""
    script = []
    for start, end in SPEECH[channel]:
        for at in np.arange(start, end, 0.5):
            text, first = f" {'ab'[channel]}{len(script)}", round(at * SAMPLE_RATE)
            token = 100 * channel + len(script)
            script.append(Word(text, first, first + SAMPLE_RATE // 2 - 800, 0.9, (token,)))
    return script


class Parties(ScriptedTranscriber):
    """Hears each channel's script from a place on."""

    def __init__(self, begin_sample: Callable[[], int] = lambda: 0) -> None:
        super().__init__(())
        self.begin_sample = begin_sample

    def _words_in(self, window: Window) -> tuple[Word, ...]:
        self.words = recording.moved(-self.begin_sample(), said_by(window.channel))
        return super()._words_in(window)


def both_channels() -> bytes:
    """pcm_s16le, channels interleaved."""
    samples = np.zeros((SECONDS * SAMPLE_RATE, len(SPEECH)), np.float32)
    for channel, spans in SPEECH.items():
        for start, end in spans:
            sound = recording.voice(SAMPLE_RATE, end - start)
            samples[round(start * SAMPLE_RATE) :, channel][: len(sound)] = sound
    return (samples * 32767).astype("<i2").tobytes()


@pytest.mark.slow
@pytest.mark.parametrize("how", ["killed", "restarting", "going away"])
@pytest.mark.parametrize("words", [True, False])
@pytest.mark.parametrize("cut_s", [5.4, 9.6, 11.6])
async def test_no_word_is_lost_or_doubled(how: str, words: bool, cut_s: float) -> None:
    """Also where an utterance was split for its length, and the rest of it was not settled."""
    audio, at = both_channels(), round(cut_s * SAMPLE_RATE) * FRAME_BYTES
    settings = {"words": words, "channels": 2, "max_utterance_s": 5}
    async with (
        running(recording.config(), Parties) as first,
        breakable(first.address) as wire,
        connect(wire.address, **settings) as stream,
        asyncio.timeout(2 * WAIT_S),
    ):
        reading = asyncio.create_task(all_events(stream))
        await stream.send_audio(audio[:at])
        await all_is_heard(first, at // FRAME_BYTES)
        await (await stream.websocket.ping())  # which comes back behind all that was said
        wire.plugged = False
        if how == "killed":
            wire.cut()
        elif how == "going away":
            await first.drain()
        await first.close(RESTARTING)
        engine = Parties(lambda: stream.protocol.continuity.timeline.base)
        async with running(recording.config(), lambda: engine) as second:
            wire.port = second.door.port
            wire.plugged = True
            await stream.send_audio(audio[at:])
            await stream.end()
            events = await reading
    finals = [event for event in events if isinstance(event, Final)]
    for channel in SPEECH:
        said = " ".join(f.text for f in finals if f.channel == channel and f.text)
        assert said == "".join(word.text for word in said_by(channel)).strip()
    assert [event.seq for event in events] == list(range(2, len(events) + 2))
    assert sum(final.channel == 0 for final in finals) >= 3, "the long utterance was split"


async def all_is_heard(server: Server, samples: int) -> None:
    """Wait until the server has taken so many samples, and transcribed what it could of them."""
    (connection,) = server.state.streams
    session, engine = connection.protocol.session, server.state.engine
    await until(lambda: session.held == samples)
    await until(lambda: engine.queued + engine.in_flight == 0)


async def all_events(stream: Stream) -> list[ServerEvent]:
    """Read to the end."""
    return [event async for event in stream]
