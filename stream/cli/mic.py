"""`distil-stream mic`: the microphone of this machine, captioned in the terminal."""

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
from stream.cli.transcribe_remote import complain, own_server
from stream.errors import UsageError

FRAME_MS = 40
"""Milliseconds of audio in one message."""

KEPT_S = 30
"""Seconds of audio that wait while the server does not take any; then the oldest are dropped."""

LISTENING = {
    "normal": "Listening. Ctrl-C ends.",
    "slow_partials": "Listening. The server is busy: words come less often. Ctrl-C ends.",
    "finals_only": "Listening. The server is busy: words come by the sentence. Ctrl-C ends.",
}
"""What the status says, by the `load` of the server."""

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
    """Caption the microphone on one screen, until Ctrl-C; then print the transcript.

    Solid words are sure, dim ones may still change.

    Parameters
    ----------
    server
        Address of a running server, such as ws://127.0.0.1:8765; without it, one is started.
    device
        Number of an input device, or a part of its name; `python -m sounddevice` lists them.
    room
        Name of a room in which others read along, at /rooms/NAME of the server.
    speaker
        Who speaks, for those who read along.
    language
        Language code, or `auto`.
    model
        Name of the model: `base` unless a server is named, which has its own.
    api_key
        Key that the named server asks for.
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
            theirs = {"api_key": api_key, **({"model": model} if model else {})}
            await caption(microphone, server, {**settings, **theirs}, screen)

    try:
        asyncio.run(run())
        if microphone.dropped_s:
            complain(f"{microphone.dropped_s:.1f} s of sound are missing: the server was too slow.")
    except KeyboardInterrupt:
        return 0
    except (ServerError, ConnectionLost) as error:
        complain(f"{error}")
        return 1
    return 0


async def caption(
    microphone: "Listening", url: str, settings: dict[str, Any], screen: Screen
) -> None:
    """Show the captions of a microphone until Ctrl-C, and then the last words of it."""

    def stop() -> None:
        microphone.stop()
        screen.say("Writing the last words. Ctrl-C leaves them out.")
        screen.refresh()

    screen.say(LISTENING["normal"])
    with screen, first_interrupt(stop):
        screen.refresh()
        async with aclosing(stream_audio(url, microphone.frames(), **settings)) as events:
            async for event in events:
                if show(event, screen):
                    screen.refresh()


@contextmanager
def first_interrupt(act: Callable[[], None]) -> Iterator[None]:
    """Let the first Ctrl-C do this; the second interrupts as usual."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        yield  # started in the background of a shell, whose Ctrl-C is meant for others
        return
    loop = asyncio.get_running_loop()

    def once() -> None:
        loop.remove_signal_handler(signal.SIGINT)
        act()

    with suppress(NotImplementedError):  # on Windows, where the first interrupts, too
        loop.add_signal_handler(signal.SIGINT, once)
    try:
        yield
    finally:
        with suppress(NotImplementedError):
            loop.remove_signal_handler(signal.SIGINT)


def show(event: ServerEvent, screen: Screen) -> bool:
    """Show an event of a stream of one channel; False where it has nothing to show."""
    match event:
        case Partial(utterance=utterance):
            screen.show(utterance, event.start, "", event.committed, event.tentative)
        case Final(utterance=utterance):
            screen.show(utterance, event.start, "", event.text)
        case Progress(load=load) if screen.status in LISTENING.values():
            screen.say(LISTENING.get(load, screen.status))
        case Error():
            screen.say(event.message)
        case _:
            return False
    return True


class Listening(Protocol):
    """Where sound comes from."""

    def frames(self) -> AsyncIterator[bytes]:
        """Yield what is heard, as 16-bit samples of one channel, until it is stopped."""

    def stop(self) -> None:
        """Listen no more."""


class Microphone:
    """An input device, at the rate that it likes best."""

    def __init__(self, device: str | None) -> None:
        """Raise `UsageError` where there is none."""
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
        self._heard = Heard()

    @property
    def dropped_s(self) -> float:
        """Seconds of sound that the server was too slow for."""
        return self._heard.dropped_s

    async def frames(self) -> AsyncIterator[bytes]:
        """Yield what it hears, as 16-bit samples of one channel, until it is stopped."""
        loop = asyncio.get_running_loop()

        def receive(data: Any, *_: object) -> None:  # on PortAudio's thread
            loop.call_soon_threadsafe(self._heard.keep, bytes(data))

        with self._sounddevice.RawInputStream(
            samplerate=self.rate,
            blocksize=self.rate * FRAME_MS // 1000,
            device=self._device,
            channels=1,
            dtype="int16",
            callback=receive,
        ):
            async for audio in self._heard.frames():
                yield audio

    def stop(self) -> None:
        """Listen no more; what was heard is still to come."""
        self._heard.stop()


class Heard:
    """What was heard and not sent yet: `KEPT_S` seconds at most, of which the oldest go first."""

    def __init__(self) -> None:
        self.dropped_s = 0.0
        self._frames: asyncio.Queue[bytes] = asyncio.Queue(KEPT_S * 1000 // FRAME_MS)
        self._stopped = False

    def keep(self, frame: bytes) -> None:
        """Take a frame of `FRAME_MS`; none is taken any more after `stop`."""
        if not self._stopped:
            self._put(frame)

    def stop(self) -> None:
        """Let `frames` end with what was heard up to now."""
        if not self._stopped:
            self._stopped = True
            self._put(b"")

    async def frames(self) -> AsyncIterator[bytes]:
        """Yield the frames, until it is stopped."""
        while frame := await self._frames.get():
            yield frame

    def _put(self, frame: bytes) -> None:
        if self._frames.full():
            self._frames.get_nowait()
            self.dropped_s += FRAME_MS / 1000
        self._frames.put_nowait(frame)
