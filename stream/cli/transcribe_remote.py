"""`distil-stream transcribe` through a server: stream recordings and print the words.

It uses the Python client, so the words are those of a live stream with the same audio.
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

from stream.core.audio import Gap
from stream.media.pieces import pieces
from stream.media.recording import MediaError, Recording, open_recording

FRAME_MS = 100
"""Milliseconds of audio in one message."""
SAMPLE_RATES = (8_000, 48_000)
"""Lowest and highest sample rate of a stream, in hertz."""


async def transcribe_files(
    files: Sequence[Path], url: str, settings: Mapping[str, Any], fast: bool
) -> bool:
    """Transcribe files one after the other, - for standard input; return False if one failed."""
    console = Console()
    succeeded = True
    for path in files:
        label = f"{path.name}: " if len(files) > 1 else ""
        source = sys.stdin.buffer if str(path) == "-" else path
        try:
            with open_recording(source, f"{path}") as recording:
                succeeded &= await transcribe_recording(
                    recording, label, console, url, settings, fast
                )
        except (ServerError, ConnectionLost) as error:
            print_error(f"{path}: {error}")
            succeeded = False
        except MediaError as error:
            print_error(f"{error}")
            succeeded = False
    return succeeded


async def transcribe_recording(
    recording: Recording,
    label: str,
    console: Console,
    url: str,
    settings: Mapping[str, Any],
    fast: bool,
) -> bool:
    """Transcribe one file; return False if the server reported an error."""
    captions = Captions(console, label, recording.channels)
    rate = min(max(recording.sample_rate, SAMPLE_RATES[0]), SAMPLE_RATES[1])
    format_of_file: Options = {"sample_rate": rate, "channels": recording.channels}
    succeeded = True
    audio = stream_audio(url, frames(recording, rate, fast), **settings, **format_of_file)
    with captions.live:
        async with aclosing(audio) as events:
            async for event in events:
                captions.show(event)
                succeeded &= not isinstance(event, Error)
    return succeeded


async def frames(recording: Recording, rate: int, fast: bool) -> AsyncIterator[bytes]:
    """Yield frames of `FRAME_MS`, 16-bit samples with interleaved channels.

    They are yielded in real time, or without a delay if `fast`.
    """
    clock = asyncio.get_running_loop().time
    began, sent_s = clock(), 0.0
    silent_sample = bytes(2 * recording.channels)
    size = len(silent_sample) * (rate * FRAME_MS // 1000)
    # The server counts samples, so gaps are sent as silence.
    for data in pieces(samples_of(recording, rate), size, silent_sample):
        yield data
        sent_s += len(data) / (len(silent_sample) * rate)
        await asyncio.sleep(0 if fast else began + sent_s - clock())


def samples_of(recording: Recording, rate: int) -> Iterator[bytes | Gap]:
    """Yield 16-bit samples with interleaved channels, and the gaps between them."""
    for frame in recording.frames("s16", rate):
        yield frame if isinstance(frame, Gap) else frame.to_ndarray().tobytes()


class Captions:
    """Prints finals line by line; on a terminal, shows the partials below them."""

    def __init__(self, console: Console, label: str, channels: int) -> None:
        self.console = console
        self.label = label
        self.channels = channels
        self.open: dict[tuple[int, int], Text] = {}
        """Partials of the utterances that are not over, by channel and number."""
        self.live = Live(
            console=console,
            auto_refresh=False,
            transient=True,
            redirect_stderr=sys.stderr.isatty(),
        )

    def show(self, event: ServerEvent) -> None:
        """Print or show an event: a partial, a final or an error."""
        match event:
            case Partial():
                text = Text.assemble(event.committed, (event.tentative, "dim"))
                self._show_open(event.channel, event.utterance, text)
            case Final():
                self._show_open(event.channel, event.utterance, Text())
                if event.text:
                    self.line(self.speaker(event.channel) + event.text)
                for word in event.words:
                    self.line(
                        f"{word.start:10.2f}{word.end:10.2f}{word.confidence:7.2f}  {word.word}"
                    )
            case Error():
                print_error(f"{self.label}{event.message}")

    def _show_open(self, channel: int, utterance: int, text: Text) -> None:
        """Set the partial of an utterance; an empty text removes it."""
        if text:
            self.open[channel, utterance] = Text(self.speaker(channel)).append(text)
        else:
            self.open.pop((channel, utterance), None)
        self.live.update(Group(*self.open.values()), refresh=True)

    def line(self, text: str) -> None:
        """Print one line without markup or wrapping."""
        self.console.print(text, markup=False, highlight=False, emoji=False, soft_wrap=True)

    def speaker(self, channel: int) -> str:
        """Return the prefix of a line: the file and the channel, each only if there are several."""
        return self.label + (f"[{channel}] " if self.channels > 1 else "")


@asynccontextmanager
async def own_server(model: str) -> AsyncIterator[str]:
    """Run a server in this process, on a free port, until the block ends; yield its address."""
    from stream.config import ServerConfig
    from stream.engine.model_families import load_transcriber
    from stream.server.running import running

    config = ServerConfig(port=0, model=model)
    async with running(config, partial(load_transcriber, model)) as server:
        yield server.address


def print_error(sentence: str) -> None:
    """Print a message to stderr."""
    print(sentence, file=sys.stderr)
