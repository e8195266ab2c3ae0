"""Wait for a running server, stream real speech to it, and read the words that come back.

Usage: python tests/smoke.py http://127.0.0.1:8765/
"""

import asyncio
import sys
import urllib.request
from collections.abc import AsyncIterator
from importlib.metadata import distribution

import distil_stream_client
import soundfile
from distil_stream_client import Final

OPENING = "it was the best of times, it was the worst of times"
RATE = 48_000
SECONDS = 12


async def main(address: str) -> None:
    await asyncio.wait_for(ready(address), timeout=300)
    page = await asyncio.to_thread(urllib.request.urlopen, address)
    assert b"<html" in page.read(), "the captions page is not there"
    text = await transcribe(address)
    print(text)
    assert OPENING in text.lower(), f"expected {OPENING!r}"


async def ready(address: str) -> None:
    """Ask until the model is loaded; the server is being installed and started meanwhile."""
    while True:
        try:
            await asyncio.to_thread(urllib.request.urlopen, f"{address}readyz")
            return
        except OSError:
            await asyncio.sleep(0.5)


async def transcribe(address: str) -> str:
    events = distil_stream_client.transcribe(address, recording(), sample_rate=RATE)
    return " ".join([event.text async for event in events if isinstance(event, Final)])


async def recording() -> AsyncIterator[bytes]:
    """Yield the opening of A Tale of Two Cities in frames of 40 ms."""
    path = distribution("moonshine-voice").locate_file("moonshine_voice/assets/two_cities.wav")
    with soundfile.SoundFile(path) as audio:
        assert audio.samplerate == RATE
        for _ in range(SECONDS * 25):
            yield audio.read(RATE // 25, dtype="int16").tobytes()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
