"""A real Chromium with a recording for a microphone, and what a person does on the captions page.

On a busy machine everything takes its time, so whatever is expected is waited for patiently.
"""

import json
import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, Page, async_playwright, expect

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")

NEEDS_CHROMIUM = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt-get install chromium"),
]

QUIET = [
    "--no-sandbox",  # which root may not use
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

PATIENCE_MS = 120_000
"""For what takes its time on a machine that is busy with something else."""

expect.set_options(timeout=PATIENCE_MS)

DESKTOP = {"viewport": {"width": 1120, "height": 700}, "color_scheme": "light"}
PHONE = {
    "viewport": {"width": 360, "height": 720},
    "color_scheme": "dark",
    "device_scale_factor": 2,
}


def microphone(wav: Path) -> list[str]:
    """Flags that make Chromium hear a file, once, and allow every page to."""
    return [
        "--use-fake-ui-for-media-stream",
        "--use-fake-device-for-media-stream",
        f"--use-file-for-fake-audio-capture={wav}%noloop",
    ]


@asynccontextmanager
async def chromium(flags: Sequence[str] = ()) -> AsyncIterator[Browser]:
    """A browser; in the end it is closed."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=CHROMIUM, args=[*QUIET, *flags], timeout=PATIENCE_MS
        )
        yield browser
        await browser.close()


async def open_page(browser: Browser, address: str, **context: Any) -> tuple[Page, list[str]]:
    """Open a page; returns it, and the list of what its console will complain of."""
    page = await browser.new_page(**context)
    page.set_default_timeout(PATIENCE_MS)
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    await page.goto(address)
    return page, complaints


@asynccontextmanager
async def opened(
    address: str, flags: Sequence[str], **context: Any
) -> AsyncIterator[tuple[Page, list[str]]]:
    """A page in a browser of its own, and the list of what its console complained of."""
    async with chromium(flags) as browser:
        yield await open_page(browser, address, **context)


def frames_sent(page: Page) -> list[Any]:
    """What the page sends to the server from now on: audio, and read messages; the list grows."""
    sent: list[Any] = []

    def note(frame: str | bytes) -> None:
        sent.append(json.loads(frame) if isinstance(frame, str) else frame)

    page.on("websocket", lambda socket: socket.on("framesent", note))
    return sent


async def state_is(page: Page, state: str) -> None:
    await expect(page.locator("body")).to_have_attribute("data-state", state)


async def overflow(page: Page) -> int:
    """Pixels by which the page is wider than its window."""
    return await page.evaluate("document.documentElement.scrollWidth - window.innerWidth")


async def begin(page: Page) -> None:
    await page.get_by_role("button", name="Start captions").click()
    await state_is(page, "listening")


async def stop(page: Page) -> str:
    """Stop, and return what stands on the page."""
    await page.get_by_role("button", name="Stop").click()
    await state_is(page, "idle")
    return await page.locator("#transcript").inner_text()
