"""Transcribes an uploaded recording with the engine of the server.

A process of its own decodes the file (`stream.media.remote`), and a thread runs the VAD, at most
one batch of windows ahead of the engine, so that the memory does not depend on the length of the
recording. The scheduler of the engine takes these windows only if no live stream has one
(`WindowKind.FILE`).
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, suppress
from itertools import count
from typing import BinaryIO

from starlette.requests import ClientDisconnect, Request

from stream.core.audio import SAMPLE_RATE, Gap, Sound
from stream.core.windows import Hypothesis
from stream.engine.engine import Engine
from stream.media.decoding_processes import DecodingProcesses
from stream.media.remote import recording_sounds
from stream.protocols.interface import Service
from stream.recordings.algorithm_by_name import new_algorithm
from stream.recordings.long_form_algorithm import LongFormAlgorithm, WindowOrigin
from stream.recordings.options import FileOptions
from stream.recordings.results import Segment

SECONDS_AT_ONCE = 5.0
"""Seconds of audio that are passed to a thread at once."""

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
        decoders: DecodingProcesses,
    ) -> None:
        """Prepare to transcribe a file, which has a file descriptor.

        Speech is detected as in the streams of the service. `charge` is called with the seconds of
        audio of each step; what it raises ends the upload.
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
        self._decoders = decoders
        self._pending = 0

    async def segments(self) -> AsyncGenerator[Segment, None]:
        """Yield the segments in order of time, each as soon as it is complete.

        Raises:
            MediaError: the file has no audio that can be decoded.
        """
        loop = asyncio.get_running_loop()
        found, complete = 0, False
        try:
            async with aclosing(self._batches()) as batches:
                more = True
                while more or self._pending:
                    if more and self._pending < self._engine.max_batch:
                        batch = await anext(batches, None)
                        more = batch is not None
                        decoded_s = self.duration_s
                        self._charge(decoded_s - self._charged_s)
                        self._charged_s = decoded_s
                        await self._receive(batch)
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

    async def _batches(self) -> AsyncGenerator[list[Sound], None]:
        """Decode the recording; yield its samples and gaps, `SECONDS_AT_ONCE` or more at once."""
        batch: list[Sound] = []
        batch_s = 0.0
        decoded = recording_sounds(self._decoders, self._file, self._name, self.problems.append)
        async with aclosing(decoded) as sounds:
            async for sound in sounds:
                length = sound.samples if isinstance(sound, Gap) else sound.shape[1]
                self.duration_s += length / SAMPLE_RATE
                batch.append(sound)
                batch_s += length / SAMPLE_RATE
                if batch_s >= SECONDS_AT_ONCE:
                    yield batch
                    batch, batch_s = [], 0.0
        yield batch

    async def _receive(self, batch: list[Sound] | None) -> None:
        """Pass samples and gaps to the algorithm on a thread; None is the end of the audio."""

        def receive() -> None:
            for sound in batch or ():
                if isinstance(sound, Gap):
                    self._algorithm.receive_gap(sound.samples)
                else:
                    self._algorithm.receive_samples(sound[0])
            if batch is None:
                self._algorithm.receive_end()

        # The thread goes on if this task is cancelled, and nothing else uses the algorithm then.
        await asyncio.shield(asyncio.to_thread(receive))

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
