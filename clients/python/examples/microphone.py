# /// script
# requires-python = ">=3.11"
# dependencies = ["distil-stream-client", "sounddevice>=0.5"]
# [tool.uv.sources]
# distil-stream-client = { path = ".." }
# ///
"""Shows captions of your microphone: `microphone.py [SERVER]`, until Ctrl-C.

On Debian and Ubuntu sounddevice needs `apt-get install libportaudio2`.
"""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from shutil import get_terminal_size
from typing import Any

import sounddevice
from distil_stream_client import Final, Partial, transcribe


async def microphone(rate: int) -> AsyncIterator[bytes]:
    """Yield 40 ms of 16-bit samples at a time."""
    loop = asyncio.get_running_loop()
    recorded: asyncio.Queue[bytes] = asyncio.Queue()

    def receive(data: Any, *_: Any) -> None:
        loop.call_soon_threadsafe(recorded.put_nowait, bytes(data))

    with sounddevice.RawInputStream(rate, rate // 25, channels=1, dtype="int16", callback=receive):
        while True:
            yield await recorded.get()


async def main(server: str) -> None:
    """Print each utterance as it grows, and a new line when it is over."""
    rate = int(sounddevice.query_devices(kind="input")["default_samplerate"])
    async for event in transcribe(server, microphone(rate), sample_rate=rate):
        match event:
            case Partial():
                # Only as much of the end as fits: a line that wraps cannot be overwritten.
                room = get_terminal_size().columns - 1
                tentative = event.tentative[-room:]
                committed = event.committed[max(0, len(event.committed + tentative) - room) :]
                print(f"\r\033[K{committed}\033[2m{tentative}\033[0m", end="", flush=True)
            case Final():
                print(f"\r\033[K{event.text}", end="\n" if event.text else "", flush=True)


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8765"))
