"""The captions page where there is no microphone to be had: it says why."""

from playwright.async_api import expect

from stream.server.running import running_server
from tests.clients import recording
from tests.clients.browser import NEEDS_CHROMIUM, microphone, opened, state_is

pytestmark = NEEDS_CHROMIUM


async def test_a_microphone_that_is_not_allowed(scripted):
    flags = ["--deny-permission-prompts", "--use-fake-device-for-media-stream"]
    async with opened(scripted, flags) as (page, _):
        await page.get_by_role("button", name="Start captions").click()
        await expect(page.locator("#status")).to_contain_text("not allowed")
        await state_is(page, "idle")


async def test_a_machine_without_microphone(scripted):
    async with opened(scripted, ["--use-fake-ui-for-media-stream"]) as (page, _):
        await page.get_by_role("button", name="Start captions").click()
        await expect(page.locator("#status")).to_contain_text("No microphone")


async def test_a_page_that_is_not_secure(noise):
    config = recording.config(host="0.0.0.0")
    async with running_server(config, recording.FromFirstSound()) as address:
        insecure = address.replace("127.0.0.1", "captions.example")
        flags = [*microphone(noise), "--host-resolver-rules=MAP captions.example 127.0.0.1"]
        async with opened(insecure, flags) as (page, _):
            await page.get_by_role("button", name="Start captions").click()
            await expect(page.locator("#status")).to_contain_text("secure")
