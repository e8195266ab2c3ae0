"""Transcribes an uploaded recording with the engine of the server.

A thread decodes the file and runs the VAD, at most one batch of windows ahead of the engine, so
that the memory does not depend on the length of the recording. The scheduler of the engine takes
these windows only if no live stream has one (`WindowKind.FILE`).
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import aclosing, suppress
from itertools import count
from typing import BinaryIO

from starlette.requests import ClientDisconnect, Request

from stream.core.audio import SAMPLE_RATE, Gap
from stream.core.windows import Hypothesis
from stream.engine.engine import Engine
from stream.media.recording import open_recording
from stream.protocols.interface import Service
from stream.recordings.algorithm_by_name import new_algorithm
from stream.recordings.long_form_algorithm import LongFormAlgorithm, WindowOrigin
from stream.recordings.options import FileOptions
from stream.recordings.results import Segment

SECONDS_AT_ONCE = 5.0
"""Seconds of audio that are decoded before the event loop gets control again."""

log = logging.getLogger(__name__)


class Upload:
    """An upload: iterate over `segments` once; then `duration_s` and `problems` are complete."""

    def __init__(
        self,
        file: BinaryIO,
        name: str,
        session: str,
        engine: Engine,
        service: Service,
        options: FileOptions,
        charge: Callable[[float], None],
    ) -> None:
        """Prepare to transcribe; speech is detected as in the streams of the service.

        `charge` is called with the seconds of audio of each step; what it raises ends the upload.
        """
        self._charge = charge
        self._charged_s = 0.0
        self.duration_s = 0.0
        """Seconds of audio decoded so far."""
        self.problems: list[str] = []
        """One sentence for each part that was damaged or could not be transcribed."""
        self._file = file
        self._name = name
        self._session = session
        self._engine = engine
        self._algorithm: LongFormAlgorithm = new_algorithm(
            options, WindowOrigin(session, 0, count()), service.detector, service.tuning
        )
        self._hypotheses: asyncio.Queue[Hypothesis] = asyncio.Queue()
        self._pending = 0

    async def segments(self) -> AsyncGenerator[Segment, None]:
        """Yield the segments in order of time, each as soon as it is complete.

        Raises:
            MediaError: the file has no audio that can be decoded.
        """
        loop = asyncio.get_running_loop()
        reading = self._read()
        step: asyncio.Future[bool] | None = None
        found, complete = 0, False
        try:
            more = True
            while more or self._pending:
                if more and self._pending < self._engine.max_batch:
                    step = asyncio.ensure_future(asyncio.to_thread(next, reading, False))
                    more = await asyncio.shield(step)
                    decoded_s = self.duration_s
                    self._charge(decoded_s - self._charged_s)
                    self._charged_s = decoded_s
                    self._submit(loop)
                else:
                    self._algorithm.receive_hypothesis(await self._hypotheses.get())
                    self._pending -= 1
                while not self._hypotheses.empty():
                    self._algorithm.receive_hypothesis(self._hypotheses.get_nowait())
                    self._pending -= 1
                for segment in self._algorithm.segments():
                    found += 1
                    yield segment
            complete = True
        finally:
            self.problems += self._algorithm.problems
            self._engine.forget(self._session)
            if step is not None:
                close_after(step, reading)
            self._report(found, complete)

    def _report(self, found: int, complete: bool) -> None:
        """Log the outcome; the words and the name of the file are never logged."""
        log.info(
            "an upload %s: %.1f s of audio, %d segments, %d problems",
            "was transcribed" if complete else "was stopped",
            self.duration_s,
            found,
            len(self.problems),
            extra={
                "session": self._session,
                "audio_s": round(self.duration_s, 1),
                "segments": found,
                "problems": len(self.problems),
            },
        )

    def _read(self) -> Generator[bool, None, None]:
        """Decode the recording, and pass the samples to the algorithm. Runs on a thread.

        Yields True after every `SECONDS_AT_ONCE` of audio; it ends after the last sample.
        """
        since_s = 0.0
        with open_recording(self._file, self._name) as recording:
            for sound in recording.blocks():
                if isinstance(sound, Gap):
                    self._algorithm.receive_gap(sound.samples)
                    self.duration_s += sound.samples / SAMPLE_RATE
                    continue
                self._algorithm.receive_samples(sound[0])
                self.duration_s += sound.shape[1] / SAMPLE_RATE
                since_s += sound.shape[1] / SAMPLE_RATE
                if since_s >= SECONDS_AT_ONCE:
                    since_s = 0.0
                    yield True
            self._algorithm.receive_end()
            self.problems += filter(None, [recording.damage])

    def _submit(self, loop: asyncio.AbstractEventLoop) -> None:
        """Submit the windows that are due to the engine."""

        def deliver(hypothesis: Hypothesis) -> None:
            loop.call_soon_threadsafe(self._hypotheses.put_nowait, hypothesis)

        for window in self._algorithm.windows_to_transcribe():
            self._pending += 1
            self._engine.submit(window, deliver, live=False)


async def segments_unless_gone(upload: Upload, request: Request) -> list[Segment]:
    """Return all segments of an upload. Raises `ClientDisconnect` if its client disconnects."""
    transcribing = asyncio.create_task(all_segments(upload))
    disconnecting = asyncio.create_task(wait_for_disconnect(request))
    await asyncio.wait([transcribing, disconnecting], return_when=asyncio.FIRST_COMPLETED)
    disconnecting.cancel()
    if not transcribing.done():
        transcribing.cancel()
        with suppress(asyncio.CancelledError):
            await transcribing
        raise ClientDisconnect
    return transcribing.result()


async def all_segments(upload: Upload) -> list[Segment]:
    """Return all segments of an upload."""
    async with aclosing(upload.segments()) as segments:
        return [segment async for segment in segments]


async def wait_for_disconnect(request: Request) -> None:
    """Return when the client has disconnected."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


def close_after(step: asyncio.Future[bool], reading: Generator[bool, None, None]) -> None:
    """Close the generator when its current step, which runs on a thread, has ended."""

    def close(step: asyncio.Future[bool]) -> None:
        if not step.cancelled():
            step.exception()  # marks it as retrieved: nothing waits for this step any more
        reading.close()

    step.add_done_callback(close)
