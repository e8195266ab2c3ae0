"""A server with the usual design for Whisper, with which `bench load` compares ours.

It has one faster-whisper model in int8 behind a lock. Each stream requests a transcript of its
current utterance, padded to 30 s and decoded from scratch, after each second of new audio and when
the utterance is over. If an utterance is longer than 20 s, its finished segments are committed and
removed from the window. Speech is detected by the same VAD as in our server, so that only the
engines differ.

Run as `python -m stream.bench.rivals.usual_server MODEL`; it prints its address.
"""

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import numpy as np
from numpy.typing import NDArray
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from stream.core.audio import SAMPLE_RATE
from stream.core.endpointing import Endpoint, Endpointer, Onset
from stream.core.resample import Resampler
from stream.core.rolling_buffer import RollingBuffer
from stream.core.settings import SessionTuning
from stream.core.vad import MakeDetector, VoiceDetector
from stream.engine.voice_detectors import choose_detector

if TYPE_CHECKING:
    from faster_whisper import WhisperModel

HOP = SAMPLE_RATE
"""Samples of new audio after which the next transcript is due."""
TRIM = 20 * SAMPLE_RATE
"""Samples; the finished segments are removed from a longer window."""
TAIL = SAMPLE_RATE // 4
"""Samples of silence after an utterance that are transcribed with it."""


@dataclass(frozen=True, slots=True)
class Segment:
    """A part of a transcript."""

    start: int
    """Sample within the window."""
    text: str


class LockedModel:
    """One model for all streams; a lock allows one transcription at a time."""

    def __init__(self, whisper: "WhisperModel") -> None:
        self._whisper = whisper
        self._lock = asyncio.Lock()

    async def transcribe(self, samples: NDArray[np.float32]) -> list[Segment]:
        """Wait until the model is free, and transcribe samples, (n_samples,) at 16 kHz."""
        async with self._lock:
            return await asyncio.to_thread(self._transcribe, samples)

    def _transcribe(self, samples: NDArray[np.float32]) -> list[Segment]:
        segments, _ = self._whisper.transcribe(
            samples, language="en", beam_size=1, condition_on_previous_text=False
        )
        return [Segment(round(s.start * SAMPLE_RATE), s.text) for s in segments]


@dataclass(slots=True)
class Utterance:
    """One utterance of a stream."""

    number: int
    start: int
    """Sample of the stream where the window begins."""
    transcribed: int
    """Sample up to which the utterance was transcribed."""
    end: int | None = None
    by_silence: bool = False
    committed: str = ""
    """Text of the segments that were removed from the window."""


class Stream:
    """Serves the stream of one client: its audio, its utterances and their transcripts."""

    def __init__(
        self, websocket: ServerConnection, model: LockedModel, detector: VoiceDetector
    ) -> None:
        assert websocket.request
        query = parse_qs(urlsplit(websocket.request.path).query)
        tuning = SessionTuning()
        self._websocket = websocket
        self._model = model
        self._detector = detector
        self._endpointer = Endpointer(
            pre_roll_ms=tuning.pre_roll_ms,
            onset_ms=tuning.onset_ms,
            endpointing_ms=int(query["endpointing_ms"][0]),
            frame_samples=self._detector.frame_samples,
        )
        self._resampler = Resampler(int(query["sample_rate"][0]))
        self._audio = RollingBuffer()
        self._now = 0
        self._count = 0
        self._utterances: list[Utterance] = []
        self._over = False
        self._changed = asyncio.Event()

    async def run(self) -> None:
        """Serve the client until its audio has ended and all finals are sent."""
        transcribing = asyncio.create_task(self._transcribe())
        try:
            async for message in self._websocket:
                if isinstance(message, str):  # the end
                    self._end()
                    break
                samples = np.frombuffer(message, "<i2").astype(np.float32)
                await self._receive(self._resampler.feed(samples * np.float32(1 / 32_768)))
            await transcribing
        except ConnectionClosed:
            transcribing.cancel()

    async def _receive(self, samples: NDArray[np.float32]) -> None:
        self._audio.append(samples)
        frame_samples = self._detector.frame_samples
        while self._now + frame_samples <= self._audio.end_sample:
            frame = self._audio.read(self._now, self._now + frame_samples)
            self._now += frame_samples
            match self._endpointer.feed(self._detector.is_speech(frame)):
                case Onset(start_sample=start):
                    self._count += 1
                    self._utterances.append(Utterance(self._count, start, start))
                    await self._send("speech_started", utterance=self._count, time=start)
                case Endpoint(speech_end_sample=end):
                    self._close(min(end + TAIL, self._now), by_silence=True)
                    await self._send("speech_ended", utterance=self._count, time=end)
        self._changed.set()

    def _close(self, end: int, *, by_silence: bool) -> None:
        self._utterances[-1].end = end
        self._utterances[-1].by_silence = by_silence

    def _end(self) -> None:
        if self._endpointer.force_end() is not None:
            self._close(self._now, by_silence=False)
        self._over = True
        self._changed.set()

    async def _transcribe(self) -> None:
        while self._utterances or not self._over:
            if self._utterances and (self._utterances[0].end is not None):
                await self._finish(self._utterances.pop(0))
            elif self._utterances and self._now - self._utterances[0].transcribed >= HOP:
                await self._partial(self._utterances[0])
            else:
                needed = self._utterances[0].start if self._utterances else self._now
                self._audio.discard_before(max(0, needed - 2 * SAMPLE_RATE))
                await self._changed.wait()
                self._changed.clear()
        await self._send("ended")

    async def _finish(self, utterance: Utterance) -> None:
        assert utterance.end is not None
        segments = await self._model.transcribe(self._audio.read(utterance.start, utterance.end))
        await self._send(
            "final",
            utterance=utterance.number,
            text=(utterance.committed + joined(segments)).strip(),
            by_silence=utterance.by_silence,
        )

    async def _partial(self, utterance: Utterance) -> None:
        end = utterance.transcribed = self._now
        segments = await self._model.transcribe(self._audio.read(utterance.start, end))
        if end - utterance.start > TRIM and len(segments) > 1:
            utterance.committed += joined(segments[:-1])
            utterance.start += segments[-1].start
            segments = segments[-1:]
        await self._send(
            "partial",
            utterance=utterance.number,
            committed=utterance.committed.strip(),
            tentative=joined(segments).strip(),
        )

    async def _send(self, type: str, **fields: object) -> None:
        await self._websocket.send(json.dumps({"type": type, **fields}))


def joined(segments: Sequence[Segment]) -> str:
    """Return the joined text of segments."""
    return "".join(segment.text for segment in segments)


@asynccontextmanager
async def serving(whisper: "WhisperModel", detector: MakeDetector) -> AsyncIterator[str]:
    """Run a server with this model, and yield its address."""
    model = LockedModel(whisper)

    async def answer(websocket: ServerConnection) -> None:
        await Stream(websocket, model, detector(SAMPLE_RATE)).run()

    async with serve(answer, "127.0.0.1", 0, compression=None, ping_timeout=None) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        yield f"http://127.0.0.1:{port}/"


async def main(name: str) -> None:
    """Serve until the process receives SIGTERM."""
    from stream.evaluate.adapters.faster_whisper import load_whisper

    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    async with serving(load_whisper(name), choose_detector("silero")) as address:
        print(address, flush=True)
        await stopped.wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
