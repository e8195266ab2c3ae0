"""Wait for a running server, stream speech to it, and check the words that it recognises.

Then run the commands of README and docs that need a recording.

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
COMMANDS = re.compile(r"^\.venv/bin/distil-stream (?:transcribe|call|models).*$", re.M)


async def main(address: str) -> None:
    await asyncio.wait_for(ready(address), timeout=300)
    page = await asyncio.to_thread(urllib.request.urlopen, address)
    assert b"<html" in page.read(), "the captions page is not there"
    text = await transcribe(address)
    print(text)
    assert OPENING in text.lower(), f"expected {OPENING!r}"
    with tempfile.TemporaryDirectory() as folder:
        await run_documented_commands(Path(folder))


async def ready(address: str) -> None:
    """Poll until the model is loaded; the server may still be being installed."""
    while True:
        try:
            await asyncio.to_thread(urllib.request.urlopen, f"{address}readyz")
            return
        except OSError:
            await asyncio.sleep(0.5)


async def transcribe(address: str) -> str:
    """Stream the recording; return the text of all finals."""
    events = distil_stream_client.transcribe(address, recording(), sample_rate=RATE)
    return " ".join([event.text async for event in events if isinstance(event, Final)])


def written_files(folder: Path) -> str:
    """Return the content of the files that commands have written."""
    return "".join(file.read_text() for file in folder.glob("subtitles/*"))


def path_of_recording() -> Path:
    """Return the path of a recording of the opening of A Tale of Two Cities, in a test package."""
    wheel = distribution("moonshine-voice")
    return Path(str(wheel.locate_file("moonshine_voice/assets/two_cities.wav")))


async def recording() -> AsyncIterator[bytes]:
    """Yield the opening of A Tale of Two Cities in frames of 40 ms."""
    with soundfile.SoundFile(path_of_recording()) as audio:
        assert audio.samplerate == RATE
        for _ in range(SECONDS * 25):
            yield audio.read(RATE // 25, dtype="int16").tobytes()


async def run_documented_commands(folder: Path) -> None:
    """Run the documented commands in a folder with the recordings that they use."""
    (folder / ".venv").symlink_to(ROOT / ".venv")
    samples, rate = soundfile.read(path_of_recording(), frames=SECONDS * RATE, dtype="int16")
    soundfile.write(folder / "talk.wav", samples, rate)
    soundfile.write(folder / "call.wav", numpy.stack([samples, 0 * samples], axis=1), rate)
    for document in DOCUMENTS:
        for command in COMMANDS.findall((ROOT / document).read_text()):
            print(f"{document}: {command}", flush=True)
            shell = await asyncio.create_subprocess_shell(
                command, cwd=folder, stdout=asyncio.subprocess.PIPE
            )
            output, _ = await asyncio.wait_for(shell.communicate(), timeout=300)
            assert shell.returncode == 0, f"exit status {shell.returncode}"
            words = "base" if command.endswith("models") else "best of times"
            assert words in f"{output.decode()}{written_files(folder)}".lower(), output.decode()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
