"""Take the pictures of the docs: a running server, real speech, a real browser, a real terminal.

    distil-stream serve --when-busy wait &
    python -m tests.pictures call.wav docs/images

`call.wav` has a channel for each of two parties and is a minute long at least; the page hears the
opening of "A Tale of Two Cities". Needs Chromium and tmux.
"""

import argparse
import asyncio
import io
import re
import shlex
import tempfile
from pathlib import Path

from playwright.async_api import Browser, Page, expect
from rich.console import Console
from rich.text import Text

from tests.clients.browser import begin, chromium, microphone, open_page, stop
from tests.clients.speech import two_cities

DESKTOP = {"viewport": {"width": 1120, "height": 700}}
PHONE = {"viewport": {"width": 360, "height": 720}, "device_scale_factor": 2}
WIDE = {"viewport": {"width": 1280, "height": 720}}
LIGHT, DARK = {"color_scheme": "light"}, {"color_scheme": "dark"}

BOTH = "#transcript p:has(.committed:not(:empty)):has(.tentative:not(:empty))"
"""An utterance of which some words are sure and others are not."""

VIEWS = {
    "room-desktop": ("", {**DESKTOP, **LIGHT}),
    "room-dark": ("", {**DESKTOP, **DARK}),
    "room-phone": ("", {**PHONE, **LIGHT}),
    "room-phone-dark": ("", {**PHONE, **DARK}),
    "room-screen": ("?view=screen", WIDE),
    "room-overlay": ("?view=overlay&lines=2", WIDE),
}
COLUMNS, ROWS = 84, 22


async def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    asked.add_argument("call", type=Path)
    asked.add_argument("folder", type=Path)
    asked.add_argument("--server", default="http://127.0.0.1:8765/")
    asked.add_argument("--after-s", type=float, default=50, help="how much of the call is heard")
    given = asked.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    await page_pictures(given.server, given.folder)
    await call_pictures(given.server, given.call.resolve(), given.folder, given.after_s)


async def page_pictures(server: str, folder: Path) -> None:
    """The captions page: a desktop in the light, a telephone in the dark, and the other way."""
    with tempfile.TemporaryDirectory() as place:
        wav = two_cities(Path(place) / "speech.wav", seconds=30)
        for name, device, other in (
            ("page-desktop", {**DESKTOP, **LIGHT}, "dark"),
            ("page-phone", {**PHONE, **DARK}, "light"),
        ):
            async with chromium(microphone(wav)) as browser:
                page, _ = await open_page(browser, server, **device)
                await page.screenshot(path=folder / f"{name}-welcome.png")
                await begin(page)
                await page.locator("#transcript", has_text="light").wait_for()
                await page.locator(BOTH).wait_for()
                await page.screenshot(path=folder / f"{name}.png")
                await page.emulate_media(color_scheme=other)
                await page.screenshot(path=folder / f"{name}-{other}.png")
                await page.get_by_role("button", name="Settings").click()
                await page.screenshot(path=folder / f"{name}-settings.png")
                await page.keyboard.press("Escape")
                await stop(page)


async def call_pictures(server: str, call: Path, folder: Path, after_s: float) -> None:
    """A call in the terminal, and the room that it is, in all its views."""
    typed = f"distil-stream call {call.name} --server {server}"
    calling = Terminal("pictures-call", f"{typed} --room repairs", call.parent)
    watching = Terminal("pictures-watch", f"distil-stream watch repairs --server {server}")
    await calling.open()
    await watching.open()
    try:
        async with chromium() as browser:
            pages = {
                name: (await open_page(browser, f"{server}rooms/repairs{view}", **device))[0]
                for name, (view, device) in VIEWS.items()
            }
            first = pages["room-desktop"]
            await asyncio.sleep(after_s)
            await expect(first.locator("#lines .tentative:not(:empty)").first).to_be_visible()
            for name, page in pages.items():
                await page.screenshot(path=folder / f"{name}.png", omit_background=True)
            listing, _ = await open_page(browser, f"{server}rooms", **DESKTOP, **LIGHT)
            await listing.get_by_role("link", name="repairs").wait_for()
            await listing.screenshot(path=folder / "rooms.png")
            shown = await calling.shown()
            await drawn(browser, f"$ {typed}\n{shown}", "distil-stream call", folder)
            await drawn(browser, await watching.shown(), "distil-stream watch", folder)
    finally:
        await calling.close()
        await watching.close()


class Terminal:
    """A terminal with a command in it."""

    def __init__(self, name: str, command: str, folder: Path = Path()) -> None:
        self.name, self.command, self.folder = name, command, folder

    async def open(self) -> None:
        size = f"-x {COLUMNS} -y {ROWS}"
        command = shlex.quote(f"exec {self.command}")
        where = shlex.quote(str(self.folder))
        await tmux(f"new-session -d -s {self.name} {size} -c {where} {command}")

    async def shown(self) -> str:
        """What stands on the screen, with its colours."""
        text = await tmux(f"capture-pane -e -p -t {self.name}")
        return text.rstrip("\n")

    async def close(self) -> None:
        await tmux(f"kill-session -t {self.name}", failing=True)


async def tmux(arguments: str, failing: bool = False) -> str:
    running = await asyncio.create_subprocess_shell(
        f"tmux -L pictures {arguments}", stdout=asyncio.subprocess.PIPE
    )
    said, _ = await running.communicate()
    assert running.returncode == 0 or failing, arguments
    return said.decode()


async def drawn(browser: Browser, shown: str, title: str, folder: Path) -> None:
    """Draw what stood in a terminal."""
    console = Console(record=True, width=COLUMNS, file=io.StringIO())
    console.print(Text.from_ansi(shown))
    svg = console.export_svg(title=title)
    svg = re.sub(r"@font-face \{.*?\}", "", svg, flags=re.S)  # no font of another site
    page: Page = await browser.new_page(device_scale_factor=1)
    await page.set_content(f"<style>body {{ margin: 0 }} svg {{ width: 1000px }}</style>{svg}")
    name = title.removeprefix("distil-stream ")
    await page.locator("svg").screenshot(path=folder / f"{name}-terminal.png", omit_background=True)


if __name__ == "__main__":
    asyncio.run(main())
