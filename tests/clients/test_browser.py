"""The captions page in a real Chromium, with a recording for a microphone.

`SCREENSHOTS=docs/images pytest tests/clients/test_browser.py` renews the pictures of the docs.
"""

import asyncio
import json
import os
import re
import shutil
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import soundfile
from playwright.async_api import Page, async_playwright, expect

from stream.config import ServerConfig
from stream.engine.loading import load_transcriber
from stream.server.app import running, running_server
from tests.clients import recording
from tests.clients.speech import two_cities

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")

pytestmark = [
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
"""For what a model says on a machine that is busy with something else."""

DESKTOP = {"viewport": {"width": 1120, "height": 700}, "color_scheme": "light"}
PHONE = {
    "viewport": {"width": 360, "height": 720},
    "color_scheme": "dark",
    "device_scale_factor": 2,
}
BOTH = "#transcript p:has(.committed:not(:empty)):has(.tentative:not(:empty))"
"""An utterance of which some words are sure and others are not."""


def microphone(wav: Path) -> list[str]:
    """Flags that make Chromium hear a file, once, and allow every page to."""
    return [
        "--use-fake-ui-for-media-stream",
        "--use-fake-device-for-media-stream",
        f"--use-file-for-fake-audio-capture={wav}%noloop",
    ]


@asynccontextmanager
async def opened(address: str, flags: list[str], **context):
    """The page, and the list of what its console complained of."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=CHROMIUM, args=[*QUIET, *flags], timeout=PATIENCE_MS
        )
        page = await browser.new_page(**context)
        complaints: list[str] = []
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        await page.goto(address)
        yield page, complaints
        await browser.close()


@pytest.fixture
async def scripted():
    async with running_server(ServerConfig(port=0), recording.transcriber()) as address:
        yield address


@pytest.fixture
def noise(tmp_path) -> Path:
    """What the scripted engine knows the words of."""
    soundfile.write(tmp_path / "noise.wav", recording.samples(48_000), 48_000, subtype="PCM_16")
    return tmp_path / "noise.wav"


async def state_is(page: Page, state: str) -> None:
    await expect(page.locator("body")).to_have_attribute("data-state", state, timeout=PATIENCE_MS)


async def overflow(page: Page) -> int:
    """Pixels by which the page is wider than its window."""
    return await page.evaluate("document.documentElement.scrollWidth - window.innerWidth")


@pytest.mark.model
@pytest.mark.parametrize(("name", "device"), [("desktop", DESKTOP), ("phone", PHONE)])
async def test_speech_becomes_captions(tmp_path, name, device):
    pictures = os.environ.get("SCREENSHOTS")
    wav = two_cities(tmp_path / "speech.wav", seconds=30 if pictures else 12)
    config = ServerConfig(port=0, model="tiny.en")
    async with (
        running(config, lambda: load_transcriber(config.model)) as server,
        opened(server.address, microphone(wav), **device) as (page, complaints),
    ):
        await page.get_by_role("button", name="Start captions").click()
        await expect(page.locator("#transcript .tentative").last).to_contain_text(
            re.compile("was", re.I), timeout=PATIENCE_MS
        )
        said = page.locator(".committed", has_text=re.compile("best of times", re.I))
        await expect(said).to_be_visible(timeout=PATIENCE_MS)
        await expect(page.locator("#transcript")).to_contain_text("wisdom", timeout=PATIENCE_MS)
        if pictures:  # A slow machine may never show the two at once.
            await page.locator("#transcript", has_text="light").wait_for(timeout=PATIENCE_MS)
            await page.locator(BOTH).wait_for(timeout=PATIENCE_MS)
        await page.screenshot(path=Path(pictures or tmp_path) / f"page-{name}.png")
        await page.get_by_role("button", name="Stop").click()
        await state_is(page, "idle")
        await expect(page.locator("#status")).to_have_text("Stopped.")
        text = await page.locator("#transcript").inner_text()
        assert "it was the best of times" in text.lower()
        assert "wisdom" in text.lower()
        assert await page.locator("#transcript .tentative").count() == 0
        assert await overflow(page) <= 0
        assert complaints == []


async def test_finished_utterances_are_paragraphs(scripted, noise):
    async with opened(scripted, microphone(noise)) as (page, complaints):
        await page.get_by_role("button").click()
        await expect(page.locator("#transcript p")).to_have_count(2, timeout=PATIENCE_MS)
        await expect(page.locator("#transcript")).to_contain_text("eight", timeout=PATIENCE_MS)
        await page.get_by_role("button", name="Stop").click()
        await state_is(page, "idle")
        assert await page.locator("#transcript p").all_inner_texts() == list(recording.BURSTS)
        assert complaints == []


async def test_nothing_is_lost_at_the_tail(scripted, noise):
    async with opened(scripted, microphone(noise)) as (page, _):
        await page.get_by_role("button").click()
        heard = page.locator("#transcript", has_text="three")
        await heard.wait_for(timeout=PATIENCE_MS)
        await page.get_by_role("button", name="Stop").click()
        await state_is(page, "idle")
        text = await page.locator("#transcript").inner_text()
        assert text.startswith("one two three")
        assert await page.locator("#transcript .tentative").count() == 0


async def test_only_sure_words_are_read_aloud(scripted, noise):
    async with opened(scripted, microphone(noise)) as (page, _):
        await page.get_by_role("button").click()
        await page.locator("#transcript .tentative:not(:empty)").last.wait_for(timeout=PATIENCE_MS)
        aloud = page.locator("[aria-live=polite]")
        await expect(aloud).to_have_count(1)
        hidden = await aloud.locator(".tentative").evaluate_all(
            "guesses => guesses.every(guess => guess.ariaHidden === 'true')"
        )
        assert hidden


async def test_the_keyboard_is_enough(scripted, noise):
    async with opened(scripted, microphone(noise), **PHONE) as (page, _):
        await page.get_by_role("button").focus()
        await page.keyboard.press("Space")
        await state_is(page, "listening")
        await page.keyboard.press("Enter")
        await state_is(page, "idle")
        assert await overflow(page) <= 0


async def test_stopping_before_anything_began(scripted, noise):
    async with opened(scripted, microphone(noise)) as (page, complaints):
        await page.evaluate("for (const _ of [1, 2]) document.querySelector('#toggle').click()")
        await state_is(page, "idle")
        await expect(page.locator("#status")).to_have_text("Stopped.")
        await page.get_by_role("button").click()
        await state_is(page, "listening")
        assert complaints == []


async def test_a_microphone_that_is_not_allowed(scripted):
    flags = ["--deny-permission-prompts", "--use-fake-device-for-media-stream"]
    async with opened(scripted, flags) as (page, _):
        await page.get_by_role("button").click()
        await expect(page.locator("#status")).to_contain_text("not allowed")
        await state_is(page, "idle")


async def test_a_machine_without_microphone(scripted):
    async with opened(scripted, ["--use-fake-ui-for-media-stream"]) as (page, _):
        await page.get_by_role("button").click()
        await expect(page.locator("#status")).to_contain_text("No microphone")


async def test_a_page_that_is_not_secure(noise):
    config = ServerConfig(port=0, host="0.0.0.0")
    async with running_server(config, recording.transcriber()) as address:
        insecure = address.replace("127.0.0.1", "captions.example")
        flags = [*microphone(noise), "--host-resolver-rules=MAP captions.example 127.0.0.1"]
        async with opened(insecure, flags) as (page, _):
            await page.get_by_role("button").click()
            await expect(page.locator("#status")).to_contain_text("secure")


async def test_a_full_server(noise):
    config = ServerConfig(port=0, max_sessions=1)
    async with (
        running_server(config, recording.transcriber()) as address,
        opened(address, microphone(noise)) as (first, _),
        opened(address, microphone(noise)) as (second, _),
    ):
        await first.get_by_role("button").click()
        await state_is(first, "listening")
        await second.get_by_role("button").click()
        await expect(second.locator("#status")).to_contain_text("busy", timeout=PATIENCE_MS)


async def test_a_server_that_goes_away_and_stays_away(noise):
    async with (
        running(ServerConfig(port=0), recording.transcriber) as server,
        opened(server.address, microphone(noise)) as (page, _),
    ):
        status = page.locator("#status")
        await page.get_by_role("button").click()
        await page.locator("#transcript", has_text="two").wait_for(timeout=PATIENCE_MS)
        await server.drain()
        await state_is(page, "idle")
        await expect(status).to_contain_text("shut down")
        await expect(page.locator("#transcript")).to_contain_text("one two")
        await page.get_by_role("button").click()
        await expect(status).to_contain_text("not ready", timeout=PATIENCE_MS)
        await server.close()
        await page.get_by_role("button").click()
        await expect(status).to_contain_text("cannot be reached", timeout=PATIENCE_MS)


async def test_words_that_may_change_do_not_move_those_that_will_not(scripted, noise):
    committed = "It was the best of"
    guesses = ["", " times", " times, it was the worst of times, it was the", " thymes", ""]
    server = asyncio.get_running_loop().create_future()
    async with opened(scripted, microphone(noise), **PHONE, reduced_motion="reduce") as (page, _):
        await page.route_web_socket("**/v1/stream", lambda socket: server.set_result(socket))
        await page.reload()
        await page.get_by_role("button").click()
        socket = await server
        socket.send('{"type":"ready","model":"none"}')
        await state_is(page, "listening")
        tops = []
        for guess in guesses:
            partial = {"channel": 0, "utterance": 1, "committed": committed, "tentative": guess}
            socket.send(json.dumps({"type": "partial", **partial}))
            await expect(page.locator("#transcript .tentative")).to_have_text(guess)
            tops.append((await page.locator(".committed").bounding_box())["y"])
    assert tops[0] == tops[1]
    assert tops[2] < tops[1], "a new line comes in at the bottom"
    assert tops[2:] == [tops[2]] * 3, "and does not go away again"
