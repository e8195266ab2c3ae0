"""The captions page for those who do not see, point or read like others."""

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import expect

from tests.clients.browser import (
    DESKTOP,
    NEEDS_CHROMIUM,
    PHONE,
    begin,
    microphone,
    opened,
    overflow,
    state_is,
    stop,
)

pytestmark = NEEDS_CHROMIUM

SCENES = ["idle", "captions", "settings", "saving"]


@pytest.mark.parametrize("device", [DESKTOP, PHONE], ids=["desktop", "phone"])
async def test_no_barrier_that_a_program_can_find(scripted, noise, device):
    async with opened(scripted, microphone(noise), **device, reduced_motion="reduce") as (page, _):
        for scene in SCENES:
            if scene == "captions":
                await begin(page)
                await expect(page.locator("#transcript")).to_contain_text("five")
            elif scene == "settings":
                await page.get_by_role("button", name="Settings").click()
            elif scene == "saving":
                await page.keyboard.press("Escape")
                await stop(page)
                await page.locator("#save summary").click()
            found = (await Axe().run(page)).response["violations"]
            serious = [
                (scene, fault["id"], node["html"], node["failureSummary"])
                for fault in found
                for node in fault["nodes"]
            ]
            assert serious == []
            assert await overflow(page) <= 0


async def test_only_committed_words_are_read_aloud(scripted, noise):
    async with opened(scripted, microphone(noise)) as (page, _):
        await begin(page)
        await page.locator("#transcript .tentative:not(:empty)").last.wait_for()
        aloud = page.locator("[aria-live=polite]")
        await expect(aloud).to_have_count(1)
        hidden = await aloud.locator(".tentative").evaluate_all(
            "guesses => guesses.every(guess => guess.ariaHidden === 'true')"
        )
        assert hidden


async def test_the_keyboard_is_enough(scripted, noise):
    async with opened(scripted, microphone(noise), **PHONE) as (page, _):
        reached = set()
        for _ in range(5):
            await page.keyboard.press("Tab")
            reached.add(await page.evaluate("document.activeElement.id || 'page'"))
        assert {"open", "open-settings", "toggle"} <= reached
        await page.locator("#open-settings").focus()
        await page.keyboard.press("Enter")
        await expect(page.locator("dialog")).to_be_visible()
        await page.keyboard.press("Escape")
        await page.locator("main").focus()
        for state in ("listening", "paused", "listening"):
            await page.keyboard.press("Space")
            await state_is(page, state)
        await page.locator("#stop").focus()
        await page.keyboard.press("Enter")
        await state_is(page, "idle")
        assert await overflow(page) <= 0


async def test_the_choices_of_a_reader_are_stored(scripted):
    async with opened(scripted, [], **DESKTOP) as (page, _):
        await page.get_by_role("button", name="Settings").click()
        await page.get_by_label("Dark").check()
        await page.get_by_label("High contrast").check()
        await page.get_by_label("Text size").fill("6")
        before = await page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
        await page.reload()
        look = await page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
        assert look == before == "rgb(0, 0, 0)"
        assert await page.locator("html").get_attribute("data-contrast") == "high"
        await page.get_by_role("button", name="Settings").click()
        await expect(page.get_by_label("Text size")).to_have_value("6")
