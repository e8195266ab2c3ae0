"""Record the captions page while real speech is captioned, as an animated WebP.

    distil-stream serve --when-busy wait &
    python -m tests.capture docs/images/page.webp

The page transcribes the opening of "A Tale of Two Cities". Needs Chromium.
"""

import argparse
import asyncio
import io
import tempfile
import time
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
from playwright.async_api import Page

from tests.clients.browser import begin, chromium, microphone, open_page, stop
from tests.clients.speech import two_cities

VIEW = {"viewport": {"width": 800, "height": 500}, "color_scheme": "light"}
EVERY_S = 0.25
"""From one picture to the next."""
LAST_S = 3.0
"""How long the last picture stays."""

Shot = tuple[float, bytes]
"""Seconds since the first picture, and a PNG."""


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("file", type=Path)
    parser.add_argument("--server", default="http://127.0.0.1:8765/")
    parser.add_argument("--seconds", type=float, default=17, help="how much speech")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        wav = two_cities(Path(folder) / "speech.wav", seconds=given.seconds)
        async with chromium(microphone(wav)) as browser:
            page, complaints = await open_page(browser, given.server, **VIEW)
            shots = await record(page, given.seconds)
            print(await stop(page))
            assert not complaints, complaints
    write_animation(given.file, shots)
    print(f"{given.file}: {len(shots)} pictures, {given.file.stat().st_size / 1e6:.2f} MB")


async def record(page: Page, seconds: float) -> list[Shot]:
    """Start captions and take pictures; those that show nothing new are left out."""
    await begin(page)
    began, shots = time.monotonic(), list[Shot]()
    while (now := time.monotonic() - began) < seconds + 1:
        picture = await page.screenshot()
        if not shots or picture != shots[-1][1]:
            shots.append((now, picture))
        await asyncio.sleep(max(0, EVERY_S - (time.monotonic() - began - now)))
    return shots


def write_animation(file: Path, shots: Sequence[Shot]) -> None:
    """Write pictures as an animated WebP that repeats for ever."""
    with av.open(str(file), "w", format="webp", options={"loop": "0"}) as output:
        stream = output.add_stream("libwebp_anim", rate=Fraction(1000))
        stream.width, stream.height = VIEW["viewport"]["width"], VIEW["viewport"]["height"]
        stream.pix_fmt = "yuv420p"
        stream.options = {"quality": "80", "compression_level": "6"}
        last = (shots[-1][0] + LAST_S, shots[-1][1])
        for at_s, picture in [*shots, last]:
            with av.open(io.BytesIO(picture), format="png_pipe") as png:
                frame = next(png.decode(video=0)).reformat(format="yuv420p")
            frame.pts, frame.time_base = round(at_s * 1000), Fraction(1, 1000)
            output.mux(stream.encode(frame))
        output.mux(stream.encode())


if __name__ == "__main__":
    asyncio.run(main())
