"""`distil-stream call`: stream a recorded call as a telephone line, and print the dialogue.

The audio has the format that a call centre's switch sends: 8 kHz, G.711, one channel for each
party, and a packet every 20 ms. Turns are printed in order of their start.
"""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import aclosing
from dataclasses import asdict
from itertools import chain, zip_longest
from pathlib import Path
from typing import Annotated, Any, Literal

import av
from av.audio.codeccontext import AudioCodecContext
from cyclopts import Parameter
from distil_stream_client import ConnectionLost, Error, Final, Partial, ServerError, ServerEvent
from distil_stream_client import transcribe as stream_audio
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from stream.cli.dialogue import Dialogue
from stream.cli.transcribe_remote import own_server, print_error
from stream.core.audio import Gap
from stream.errors import UsageError
from stream.media.pieces import pieces
from stream.media.recording import open_recording

RATE = 8_000
"""Sample rate of a telephone line, in hertz."""

PACKET = RATE * 20 // 1000
"""Samples per channel in a packet of 20 ms."""

SILENCE = {"mulaw": b"\xff", "alaw": b"\xd5"}
"""The byte of a silent sample, by encoding."""

COLOURS = ("cyan", "yellow", "magenta", "green")
"""Colours of the speakers, by channel."""


def call(
    files: Annotated[list[Path], Parameter(negative=())],
    /,
    *,
    server: str | None = None,
    speakers: str = "Agent,Customer",
    room: str | None = None,
    encoding: Literal["mulaw", "alaw"] = "mulaw",
    language: str = "en",
    model: str | None = None,
    endpointing_ms: int = 500,
    json: Annotated[bool, Parameter(negative=())] = False,
    fast: Annotated[bool, Parameter(negative=())] = False,
    api_key: Annotated[str | None, Parameter(env_var="DISTIL_STREAM_API_KEY")] = None,
) -> int:
    """Stream a recorded call to a server as a telephone line, and print the dialogue.

    Parameters
    ----------
    files
        One recording with a channel for each party, or one recording for each party; any format.
    server
        Address of a running server, such as ws://127.0.0.1:8765; without it, one is started for
        this call.
    speakers
        Names of the speakers, one for each channel or file, separated by commas.
    room
        Name of a room that shows the words to readers, at /rooms/NAME of the server.
    encoding
        Encoding of the line: `mulaw` in America and Japan, `alaw` elsewhere.
    language
        Language code, or `auto`.
    model
        Name of the model: `base` by default; with --server, the model of that server.
    endpointing_ms
        Silence that ends an utterance, in milliseconds.
    json
        Print a JSON object for each utterance, with the times of its words.
    fast
        Send the audio as fast as the server accepts it, not in real time.
    api_key
        Key of the server.
    """
    line = PhoneLine(files, encoding)
    labels = [label.strip() for label in speakers.split(",")][: line.channels]
    labels += [f"Speaker {n + 1}" for n in range(len(labels), line.channels)]
    settings: dict[str, Any] = {
        "encoding": encoding,
        "sample_rate": RATE,
        "channels": line.channels,
        "language": language,
        "endpointing_ms": endpointing_ms,
        "words": json,
        **({"room": room, "speakers": labels} if room else {}),
    }
    view = JsonLines(labels) if json else Turns(Console(), labels)

    async def run() -> bool:
        if server is None:
            async with own_server(model or "base") as url:
                return await play(line, url, {**settings, "proxy": None}, fast, view)
        remote = {"api_key": api_key, **({"model": model} if model else {})}
        return await play(line, server, {**settings, **remote}, fast, view)

    try:
        return 0 if asyncio.run(run()) else 1
    except (ServerError, ConnectionLost) as error:
        print_error(f"{error}")
        return 1


async def play(
    line: "PhoneLine", url: str, settings: dict[str, Any], fast: bool, view: "Turns | JsonLines"
) -> bool:
    """Stream the call to its end, and show the dialogue; return False if the server reported an
    error.
    """
    dialogue = Dialogue()
    succeeded = True
    with view:
        try:
            async with aclosing(stream_audio(url, line.frames(fast), **settings)) as events:
                async for event in events:
                    for final in dialogue.receive(event):
                        view.turn(final)
                    view.now(event)
                    if isinstance(event, Error):
                        print_error(event.message)
                        succeeded = False
        finally:
            for final in dialogue.rest():
                view.turn(final)
    return succeeded


class PhoneLine:
    """A recorded call as G.711 bytes with interleaved channels."""

    def __init__(self, files: Sequence[Path], encoding: str) -> None:
        """Open the files. Raises `UsageError` if their channels do not form a call of at most 8."""
        self.encoding = encoding
        counts = [channels_of(path) for path in files]
        if len(files) > 1 and set(counts) != {1}:
            raise UsageError("Each of several files must have one channel.")
        if sum(counts) > 8:
            raise UsageError(f"There are {sum(counts)} channels; a stream has at most 8.")
        self.channels = sum(counts)
        self._tracks = list(zip(files, counts, strict=True))

    async def frames(self, fast: bool) -> AsyncIterator[bytes]:
        """Yield a packet every 20 ms, or without a delay if `fast`."""
        now = asyncio.get_running_loop().time
        began = now()
        for number, packet in enumerate(self._packets()):
            await asyncio.sleep(0 if fast else began + number * PACKET / RATE - now())
            yield packet

    def _packets(self) -> Iterator[bytes]:
        """Yield packets with the channels interleaved; a shorter file is padded with silence."""
        tracks = [
            packets(path, self.encoding, channels, PACKET * channels)
            for path, channels in self._tracks
        ]
        if len(tracks) == 1:
            yield from tracks[0]
            return
        silence = SILENCE[self.encoding]
        for of_channels in zip_longest(*tracks, fillvalue=b""):
            longest = max(map(len, of_channels))
            padded = [packet.ljust(longest, silence) for packet in of_channels]
            yield bytes(chain.from_iterable(zip(*padded, strict=True)))


def channels_of(path: Path) -> int:
    """Return the number of channels of a file. Raises `UsageError` if it has no audio."""
    with open_recording(path) as recording:
        return recording.channels


def packets(path: Path, encoding: str, channels: int, size: int) -> Iterator[bytes]:
    """Encode a file as G.711 at 8 kHz; yields pieces of `size` bytes, the last can be shorter."""
    return pieces(encoded(path, encoding), size, SILENCE[encoding] * channels)


def encoded(path: Path, encoding: str) -> Iterator[bytes | Gap]:
    """Encode a file as G.711 at 8 kHz with interleaved channels; yields its gaps, too."""
    codec = av.CodecContext.create(f"pcm_{encoding}", "w")
    assert isinstance(codec, AudioCodecContext)
    codec.sample_rate, codec.format = RATE, "s16"
    with open_recording(path) as recording:
        for frame in recording.frames("s16", RATE):
            if isinstance(frame, Gap):
                yield frame
                continue
            if not codec.is_open:
                codec.layout = frame.layout
            yield b"".join(bytes(packet) for packet in codec.encode(frame))


class Turns:
    """Prints the dialogue on a terminal: complete turns, and the partials below them."""

    def __init__(self, console: Console, speakers: Sequence[str]) -> None:
        self.console = console
        self.speakers = speakers
        self._width = max(map(len, speakers))
        self._open: dict[tuple[int, int], Text] = {}
        self._live = Live(
            console=console, auto_refresh=False, transient=True, redirect_stderr=sys.stderr.isatty()
        )

    def __enter__(self) -> None:
        self._live.start()

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def turn(self, final: Final) -> None:
        """Print a complete turn; if the output is not a terminal, as one plain line."""
        if final.text and not self.console.is_terminal:
            name = self.speakers[final.channel].ljust(self._width)
            print(f"{clock(final.start)}  {name}  {final.text}", flush=True)
        elif final.text:
            self.console.print(self._row(final.channel, final.start, Text(final.text)))

    def now(self, event: ServerEvent) -> None:
        """Update the partials below the turns."""
        match event:
            case Partial(channel=channel, utterance=utterance):
                text = Text.assemble(event.committed, (event.tentative, "dim"))
                self._open[channel, utterance] = text
            case Final(channel=channel, utterance=utterance):
                self._open.pop((channel, utterance), None)
            case _:
                return
        rows = [self._row(channel, None, text) for (channel, _), text in self._open.items()]
        self._live.update(Group(*rows), refresh=True)

    def _row(self, channel: int, start: float | None, text: Text) -> Table:
        """Return a row with the start time, the speaker and the text."""
        row = Table.grid(padding=(0, 2, 0, 0), expand=False)
        row.add_column(width=5, style="dim")
        row.add_column(width=self._width, style=COLOURS[channel % len(COLOURS)])
        row.add_column(overflow="fold")
        row.add_row("" if start is None else clock(start), self.speakers[channel], text)
        return row


def clock(seconds: float) -> str:
    """Format seconds as MM:SS."""
    return f"{int(seconds) // 60:02}:{int(seconds) % 60:02}"


class JsonLines:
    """Prints the dialogue as one JSON object for each turn."""

    def __init__(self, speakers: Sequence[str]) -> None:
        self.speakers = speakers

    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None: ...

    def turn(self, final: Final) -> None:
        """Print a complete turn."""
        if final.text:
            turn = {
                "speaker": self.speakers[final.channel],
                "channel": final.channel,
                "start": final.start,
                "end": final.end,
                "text": final.text,
                "confidence": final.confidence,
                "language": final.language,
                "words": [asdict(word) for word in final.words],
            }
            print(json.dumps(turn, ensure_ascii=False), flush=True)

    def now(self, event: ServerEvent) -> None:
        """Ignore partials."""
