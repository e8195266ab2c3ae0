"""`distil-stream mic`: show captions of the microphone in the terminal."""

import asyncio
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing, contextmanager, suppress
from typing import Annotated, Any, Protocol

from cyclopts import Parameter
from distil_stream_client import (
    ConnectionLost,
    Error,
    Final,
    Partial,
    Progress,
    ServerError,
    ServerEvent,
)
from distil_stream_client import transcribe as stream_audio

from stream.cli.screen import Screen
from stream.cli.transcribe_remote import own_server, print_error
from stream.errors import UsageError

FRAME_MS = 40
"""Milliseconds of audio in one message."""

MAX_QUEUED_S = 30
"""Most seconds of audio that are queued while the server accepts none; beyond that, the oldest
audio is dropped."""

STATUS_BY_LOAD = {
    "normal": "Listening. Ctrl-C ends.",
    "slow_partials": "Listening. The server is busy: words come less often. Ctrl-C ends.",
    "finals_only": "Listening. The server is busy: words come sentence by sentence. Ctrl-C ends.",
}
"""Text of the status line, by the `load` that the server reports."""

MISSING = """\
The microphone needs the package sounddevice: pip install 'distil-stream[mic]'
(on Debian and Ubuntu also: apt-get install libportaudio2)."""


def mic(
    *,
    server: str | None = None,
    device: str | None = None,
    room: str | None = None,
    speaker: str | None = None,
    language: str = "en",
    model: str | None = None,
    api_key: Annotated[str | None, Parameter(env_var="DISTIL_STREAM_API_KEY")] = None,
) -> int:
    """Show captions of the microphone until Ctrl-C; then print the transcript.

    Committed words are solid, words that may change are dim.

    Parameters
    ----------
    server
        Address of a running server, such as ws://127.0.0.1:8765; without it, one is started.
    device
        Number of an input device, or a part of its name; `python -m sounddevice` lists them.
    room
        Name of a room that shows the words to readers, at /rooms/NAME of the server.
    speaker
        Name of the speaker, for the readers of the room.
    language
        Language code, or `auto`.
    model
        Name of the model: `base` by default; with --server, the model of that server.
    api_key
        Key of the server.
    """
    microphone = Microphone(device)
    screen = Screen("Captions of your microphone")
    settings: dict[str, Any] = {"sample_rate": microphone.rate, "language": language}
    if room:
        settings |= {"room": room, "speakers": [speaker] if speaker else []}

    async def run() -> None:
        if server is None:
            async with own_server(model or "base") as url:
                await caption(microphone, url, {**settings, "proxy": None}, screen)
        else:
            remote = {"api_key": api_key, **({"model": model} if model else {})}
            await caption(microphone, server, {**settings, **remote}, screen)

    try:
        asyncio.run(run())
        if microphone.dropped_s:
            print_error(
                f"{microphone.dropped_s:.1f} s of audio were dropped: the server was too slow."
            )
    except KeyboardInterrupt:
        return 0
    except (ServerError, ConnectionLost) as error:
        print_error(f"{error}")
        return 1
    return 0


async def caption(
    microphone: "AudioInput", url: str, settings: dict[str, Any], screen: Screen
) -> None:
    """Show captions until Ctrl-C; then stop the microphone and wait for the last words."""

    def stop() -> None:
        microphone.stop()
        screen.set_status("Waiting for the last words. Ctrl-C stops without them.")
        screen.refresh()

    screen.set_status(STATUS_BY_LOAD["normal"])
    with screen, first_interrupt(stop):
        screen.refresh()
        async with aclosing(stream_audio(url, microphone.frames(), **settings)) as events:
            async for event in events:
                if show(event, screen):
                    screen.refresh()


@contextmanager
def first_interrupt(act: Callable[[], None]) -> Iterator[None]:
    """Call `act` on the first Ctrl-C within the block; the second interrupts as usual."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        yield  # this command runs in the background of a shell: Ctrl-C is for another program
        return
    loop = asyncio.get_running_loop()

    def once() -> None:
        loop.remove_signal_handler(signal.SIGINT)
        act()

    with suppress(NotImplementedError):  # on Windows, where the first Ctrl-C also interrupts
        loop.add_signal_handler(signal.SIGINT, once)
    try:
        yield
    finally:
        with suppress(NotImplementedError):
            loop.remove_signal_handler(signal.SIGINT)


def show(event: ServerEvent, screen: Screen) -> bool:
    """Show an event of a stream with one channel; return whether the screen changed."""
    match event:
        case Partial(utterance=utterance):
            screen.show(utterance, event.start, "", event.committed, event.tentative)
        case Final(utterance=utterance):
            screen.show(utterance, event.start, "", event.text)
        case Progress(load=load) if screen.status in STATUS_BY_LOAD.values():
            screen.set_status(STATUS_BY_LOAD.get(load, screen.status))
        case Error():
            screen.set_status(event.message)
        case _:
            return False
    return True


class AudioInput(Protocol):
    """A source of audio."""

    def frames(self) -> AsyncIterator[bytes]:
        """Yield 16-bit samples of one channel until `stop` is called."""

    def stop(self) -> None:
        """Stop recording."""


class Microphone:
    """An input device, recorded at its default rate (48 kHz at most)."""

    def __init__(self, device: str | None) -> None:
        """Find the device by number or part of its name; None for the default device.

        Raises:
            UsageError: there is no such device, or sounddevice is not installed.
        """
        try:
            import sounddevice
        except (ImportError, OSError):  # the package, or the library that it needs
            raise UsageError(MISSING) from None
        self._device: int | str | None = int(device) if device and device.isdigit() else device
        self._sounddevice = sounddevice
        try:
            found = sounddevice.query_devices(self._device, "input")
        except (ValueError, sounddevice.PortAudioError) as error:
            if device is None:
                raise UsageError("No microphone was found. Plug one in and try again.") from None
            raise UsageError(f"There is no such microphone: {error}") from None
        self.rate = min(int(found["default_samplerate"]), 48_000)
        self._queue = FrameQueue()

    @property
    def dropped_s(self) -> float:
        """Seconds of audio that were dropped because the server was too slow."""
        return self._queue.dropped_s

    async def frames(self) -> AsyncIterator[bytes]:
        """Record, and yield 16-bit samples of one channel until `stop` is called."""
        loop = asyncio.get_running_loop()

        def receive(data: Any, *_: object) -> None:  # on PortAudio's thread
            loop.call_soon_threadsafe(self._queue.add, bytes(data))

        with self._sounddevice.RawInputStream(
            samplerate=self.rate,
            blocksize=self.rate * FRAME_MS // 1000,
            device=self._device,
            channels=1,
            dtype="int16",
            callback=receive,
        ):
            async for audio in self._queue.frames():
                yield audio

    def stop(self) -> None:
        """Stop recording; `frames` still yields the queued frames."""
        self._queue.stop()


class FrameQueue:
    """Queues at most `MAX_QUEUED_S` seconds of recorded frames; then it drops the oldest frame."""

    def __init__(self) -> None:
        self.dropped_s = 0.0
        self._frames: asyncio.Queue[bytes] = asyncio.Queue(MAX_QUEUED_S * 1000 // FRAME_MS)
        self._stopped = False

    def add(self, frame: bytes) -> None:
        """Queue a frame of `FRAME_MS`; does nothing after `stop`."""
        if not self._stopped:
            self._put(frame)

    def stop(self) -> None:
        """Let `frames` end when it has yielded the queued frames; later frames are ignored."""
        if not self._stopped:
            self._stopped = True
            self._put(b"")

    async def frames(self) -> AsyncIterator[bytes]:
        """Yield the frames in order until `stop` is called."""
        while frame := await self._frames.get():
            yield frame

    def _put(self, frame: bytes) -> None:
        if self._frames.full():
            self._frames.get_nowait()
            self.dropped_s += FRAME_MS / 1000
        self._frames.put_nowait(frame)
