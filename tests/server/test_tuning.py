"""A server with a tuning of its own goes by it in its streams, its uploads and its engine."""

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from stream.core.audio import SAMPLE_RATE
from stream.core.settings import SessionTuning
from stream.core.windows import Hypothesis, Window, WindowKind
from stream.engine.partials import PartialsByAssistant
from stream.engine.scripted import ScriptedTranscriber
from tests.server.http.test_openai import recording, talking_to
from tests.server.serving import client, pcm, receive, send_audio, serving


class Recording(ScriptedTranscriber):
    """Finds no words, so that windows grow to the limit, and stores the windows."""

    def __init__(self) -> None:
        super().__init__(())
        self.windows: list[Window] = []

    def transcribe(self, windows: Sequence[Window]) -> list[Hypothesis]:
        self.windows += windows
        return super().transcribe(windows)


async def test_the_engine_uses_the_window_limit_of_its_server(
    speech: NDArray[np.float32],
) -> None:
    model, assistant = Recording(), Recording()
    limit_s = 6.0
    tuning = SessionTuning(max_window_s=limit_s, max_partial_s=limit_s, overlap_s=1.0)
    engine = PartialsByAssistant(model, assistant)
    samples = speech[: 20 * SAMPLE_RATE]
    async with serving(engine, tuning=tuning, partials="assistant", vad="webrtc") as server:
        async with client(server, "endpointing_ms=5000") as websocket:
            await send_audio(websocket, pcm(samples))
            await websocket.send('{"type": "end"}')
            await receive(websocket)
        streamed = len(model.windows)
        async with talking_to(server) as openai:
            await openai.audio.transcriptions.create(model="whisper-1", file=recording(samples))
    full = [len(w.samples) >= limit_s * SAMPLE_RATE for w in model.windows[:streamed]]
    partial = [w.kind is WindowKind.PARTIAL for w in model.windows[:streamed]]
    assert any(partial)
    assert all(f or not p for f, p in zip(full, partial, strict=True))
    assert all(len(w.samples) < limit_s * SAMPLE_RATE for w in assistant.windows)
    uploaded = model.windows[streamed:]
    assert uploaded
    assert {window.kind for window in uploaded} == {WindowKind.FILE}
    assert WindowKind.FILE not in {window.kind for window in assistant.windows}


@pytest.mark.parametrize(("onset_ms", "found"), [(90, True), (60_000, False)])
async def test_speech_begins_at_the_same_sample_in_streams_and_uploads(
    speech: NDArray[np.float32], onset_ms: int, found: bool
) -> None:
    samples = speech[: 10 * SAMPLE_RATE]
    async with serving(tuning=SessionTuning(onset_ms=onset_ms), vad="webrtc") as server:
        async with client(server) as websocket:
            await send_audio(websocket, pcm(samples))
            await websocket.send('{"type": "end"}')
            messages = await receive(websocket)
        async with talking_to(server) as openai:
            answer = await openai.audio.transcriptions.create(
                model="whisper-1", file=recording(samples)
            )
    assert ("final" in {message["type"] for message in messages}) == found
    assert bool(answer.text) == found
