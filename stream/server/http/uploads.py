"""A recording through the engine of a server, behind everybody who is speaking.

The file is read and judged on a thread, a few windows ahead of the engine and no more, so that a
recording of three hours costs no more memory than one of a minute. The engine's scheduler takes
its windows when no live stream has one (`WindowKind.FILE`).
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Generator
from itertools import count
from typing import BinaryIO

from stream.core.audio import SAMPLE_RATE
from stream.core.windows import Hypothesis
from stream.engine.engine import Engine
from stream.media.recording import open_recording
from stream.protocols.interface import Service
from stream.recordings.algorithm import Form, Place
from stream.recordings.algorithms import new_form
from stream.recordings.options import FileOptions
from stream.recordings.results import Segment

SECONDS_AT_ONCE = 5.0
"""Audio that is read before the event loop looks at its other work."""

log = logging.getLogger(__name__)


class Upload:
    """One recording; iterate over `segments`, once, then ask what it was."""

    def __init__(
        self,
        file: BinaryIO,
        name: str,
        session: str,
        engine: Engine,
        service: Service,
        options: FileOptions,
    ) -> None:
        """Take a recording; the service says how speech is detected in it, as in every stream."""
        self.duration_s = 0.0
        """Seconds of audio heard so far."""
        self.problems: list[str] = []
        """What was damaged or could not be transcribed, a sentence each."""
        self._file = file
        self._name = name
        self._session = session
        self._engine = engine
        place = Place(session, 0, count())
        self._form: Form = new_form(options, place, service.detector, service.tuning)
        self._answers: asyncio.Queue[Hypothesis] = asyncio.Queue()
        self._owed = 0

    async def segments(self) -> AsyncGenerator[Segment, None]:
        """Yield the segments in order, each as soon as it is certain.

        Raises:
            MediaError: there is no sound in the file.
        """
        loop = asyncio.get_running_loop()
        reading = self._read()
        step: asyncio.Future[bool] | None = None
        found, complete = 0, False
        try:
            more = True
            while more or self._owed:
                if more and self._owed < self._engine.max_batch:
                    step = asyncio.ensure_future(asyncio.to_thread(next, reading, False))
                    more = await asyncio.shield(step)
                    self._submit(loop)
                else:
                    self._form.receive_hypothesis(await self._answers.get())
                    self._owed -= 1
                while not self._answers.empty():
                    self._form.receive_hypothesis(self._answers.get_nowait())
                    self._owed -= 1
                for segment in self._form.segments():
                    found += 1
                    yield segment
            complete = True
        finally:
            self.problems += self._form.problems
            self._engine.forget(self._session)
            if step is not None:
                close_after(step, reading)
            self._report(found, complete)

    def _report(self, found: int, complete: bool) -> None:
        """Log what became of it; what is said is never logged, nor what the file is called."""
        log.info(
            "an upload %s: %.1f s of audio, %d segments, %d problems",
            "transcribed" if complete else "broken off",
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
        """Hear the recording, on a thread, and yield True now and then."""
        since_s = 0.0
        with open_recording(self._file, self._name) as recording:
            for block in recording.blocks():
                self._form.receive_samples(block[0])
                self.duration_s += block.shape[1] / SAMPLE_RATE
                since_s += block.shape[1] / SAMPLE_RATE
                if since_s >= SECONDS_AT_ONCE:
                    since_s = 0.0
                    yield True
            self._form.receive_end()
            self.problems += filter(None, [recording.damage])

    def _submit(self, loop: asyncio.AbstractEventLoop) -> None:
        def deliver(hypothesis: Hypothesis) -> None:
            loop.call_soon_threadsafe(self._answers.put_nowait, hypothesis)

        for window in self._form.windows_to_transcribe():
            self._owed += 1
            self._engine.submit(window, deliver, live=False)


def close_after(step: asyncio.Future[bool], reading: Generator[bool, None, None]) -> None:
    """Close what is being read, but not under the thread that may still read it."""

    def close(step: asyncio.Future[bool]) -> None:
        if not step.cancelled():
            step.exception()  # whoever waited for it is gone, or has seen it
        reading.close()

    step.add_done_callback(close)
