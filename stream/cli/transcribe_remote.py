"""`distil-stream transcribe` through a server: recordings as streams.

It is a client like any other: what it shows is what a stream of that sound would have shown.
"""

import asyncio
import sys
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

from distil_stream_client import (
    ConnectionLost,
    Error,
    Final,
    Options,
    Partial,
    ServerError,
    ServerEvent,
)
from distil_stream_client import transcribe as stream_audio
from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from stream.media.recording import MediaError, Recording, open_recording

FRAME_MS = 100
"""Milliseconds of audio in one message."""
SAMPLE_RATES = (8_000, 48_000)
"""The least and the most that a stream may have, in hertz."""


async def transcribe_files(
    files: Sequence[Path], url: str, settings: Mapping[str, Any], fast: bool
) -> bool:
    """Transcribe one file after the other, - for standard input; True when all went well."""
    console = Console()
    well = True
    for path in files:
        label = f"{path.name}: " if len(files) > 1 else ""
        source = sys.stdin.buffer if str(path) == "-" else path
        try:
            with open_recording(source, f"{path}") as recording:
                well &= await transcribe_recording(recording, label, console, url, settings, fast)
        except (ServerError, ConnectionLost) as error:
            complain(f"{path}: {error}")
            well = False
        except MediaError as error:
            complain(f"{error}")
            well = False
    return well


async def transcribe_recording(
    recording: Recording,
    label: str,
    console: Console,
    url: str,
    settings: Mapping[str, Any],
    fast: bool,
) -> bool:
    """Transcribe one file; True when the server had nothing to complain of."""
    captions = Captions(console, label, recording.channels)
    rate = min(max(recording.sample_rate, SAMPLE_RATES[0]), SAMPLE_RATES[1])
    format_of_file: Options = {"sample_rate": rate, "channels": recording.channels}
    well = True
    audio = stream_audio(url, frames(recording, rate, fast), **settings, **format_of_file)
    with captions.live:
        async with aclosing(audio) as events:
            async for event in events:
                captions.show(event)
                well &= not isinstance(event, Error)
    return well


async def frames(recording: Recording, rate: int, fast: bool) -> AsyncIterator[bytes]:
    """16-bit samples, channels interleaved, `FRAME_MS` at a time: at their own pace or `fast`."""
    clock = asyncio.get_running_loop().time
    began, sent_s = clock(), 0.0
    for data in pieces(recording, rate, 2 * recording.channels * (rate * FRAME_MS // 1000)):
        yield data
        sent_s += len(data) / (2 * recording.channels * rate)
        await asyncio.sleep(0 if fast else began + sent_s - clock())


def pieces(recording: Recording, rate: int, size: int) -> Iterator[bytes]:
    """The same in pieces of `size` bytes, of which the last may be shorter."""
    waiting = bytearray()
    for frame in recording.frames("s16", rate):
        waiting += frame.to_ndarray().tobytes()
        while len(waiting) >= size:
            yield bytes(waiting[:size])
            del waiting[:size]
    if waiting:
        yield bytes(waiting)


class Captions:
    """Finals line by line; on a terminal also, below them, what is being said now."""

    def __init__(self, console: Console, label: str, channels: int) -> None:
        self.console = console
        self.label = label
        self.channels = channels
        self.open: dict[tuple[int, int], Text] = {}
        """What each utterance that is not over sounds like, by channel and number."""
        self.live = Live(
            console=console,
            auto_refresh=False,
            transient=True,
            redirect_stderr=sys.stderr.isatty(),
        )

    def show(self, event: ServerEvent) -> None:
        """Print what the event says, if it says something to a reader."""
        match event:
            case Partial():
                text = Text.assemble(event.committed, (event.tentative, "dim"))
                self._now_said(event.channel, event.utterance, text)
            case Final():
                self._now_said(event.channel, event.utterance, Text())
                if event.text:
                    self.line(self.speaker(event.channel) + event.text)
                for word in event.words:
                    self.line(
                        f"{word.start:10.2f}{word.end:10.2f}{word.confidence:7.2f}  {word.word}"
                    )
            case Error():
                complain(f"{self.label}{event.message}")

    def _now_said(self, channel: int, utterance: int, text: Text) -> None:
        """Show what an utterance sounds like now; nothing, once it is over."""
        if text:
            self.open[channel, utterance] = Text(self.speaker(channel)).append(text)
        else:
            self.open.pop((channel, utterance), None)
        self.live.update(Group(*self.open.values()), refresh=True)

    def line(self, text: str) -> None:
        """Print one line, however long, as it is."""
        self.console.print(text, markup=False, highlight=False, emoji=False, soft_wrap=True)

    def speaker(self, channel: int) -> str:
        """What comes before the words: the file if there are many, the channel if there are."""
        return self.label + (f"[{channel}] " if self.channels > 1 else "")


@asynccontextmanager
async def own_server(model: str) -> AsyncIterator[str]:
    """Run a server for this command alone, on a free port; yields its address."""
    from stream.config import ServerConfig
    from stream.engine.registry import load_transcriber
    from stream.server.running import running

    config = ServerConfig(port=0, model=model)
    async with running(config, partial(load_transcriber, model)) as server:
        yield server.address


def complain(sentence: str) -> None:
    """Say what is wrong, apart from the transcript."""
    print(sentence, file=sys.stderr)
