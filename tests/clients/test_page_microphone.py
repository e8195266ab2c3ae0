"""The captions page and its microphone: where there is none, and where the browser is busy."""

from playwright.async_api import expect

from stream.server.running import running_server
from tests.clients import recording
from tests.clients.browser import (
    NEEDS_CHROMIUM,
    begin,
    frames_sent,
    microphone,
    opened,
    state_is,
    stop,
)

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
    config = recording.config(host="0.0.0.0", allow_anyone=True, allow_host=("captions.example",))
    async with running_server(config, recording.FromFirstSound()) as address:
        insecure = address.replace("127.0.0.1", "captions.example")
        flags = [*microphone(noise), "--host-resolver-rules=MAP captions.example 127.0.0.1"]
        async with opened(insecure, flags) as (page, _):
            await page.get_by_role("button", name="Start captions").click()
            await expect(page.locator("#status")).to_contain_text("secure")


async def test_channels_of_opposite_polarity_do_not_cancel_at_the_microphone(scripted, inverted):
    async with opened(scripted, microphone(inverted)) as (page, complaints):
        await begin(page)
        await expect(page.locator("#transcript")).to_contain_text("five")
        await stop(page)
        assert complaints == []


LATE = """
  const { set, ...port } = Object.getOwnPropertyDescriptor(MessagePort.prototype, "onmessage");
  Object.defineProperty(MessagePort.prototype, "onmessage", {
    ...port,
    set(hear) {
      this.hear = hear;
      set.call(this, (message) => setTimeout(() => this.hear?.(message), 700));
    },
  });
"""
"""What the worklet says is heard 700 ms later."""


async def test_a_browser_too_busy_to_pause_at_once(scripted, noise):
    async with opened(scripted, microphone(noise)) as (page, complaints):
        await page.add_init_script(LATE)
        await page.reload()
        await begin(page)
        for state in ("paused", "listening"):
            await page.locator("main").press("Space")
            await state_is(page, state)
        await expect(page.locator("#transcript")).to_contain_text("five")
        await stop(page)
        assert complaints == []


async def test_a_browser_too_busy_to_pause_before_it_stops(scripted, noise):
    async with opened(scripted, microphone(noise)) as (page, _):
        await page.add_init_script(LATE)
        await page.reload()
        seconds = await page.evaluate("""async () => {
            const { Microphone } = await import("./javascript/microphone.js");
            const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
            let heard = 0;
            const onFrame = (samples) => (heard += samples.length);
            const microphone = await Microphone.open({ onFrame });
            microphone.pause();
            microphone.resume();
            await wait(300);
            await microphone.close(); // the pause is not answered yet
            const until = heard;
            await wait(1000);
            return [until, heard - until].map((samples) => samples / microphone.sampleRate);
        }""")
        assert seconds[0] > 0.25
        assert seconds[1] == 0


LOCKS = """
  let [asked, released] = [0, 0];
  const tell = () => {
    document.documentElement.dataset.locks = `${asked} asked, ${released} released`;
  };
  const request = async () => {
    asked += 1;
    await new Promise((resolve) => setTimeout(resolve, 300));
    tell();
    return { release: () => tell(released += 1) };
  };
  Object.defineProperty(navigator, "wakeLock", { value: { request } });
"""
"""Locks that keep a phone awake, counted; each is granted after 300 ms."""


async def test_a_phone_is_kept_awake_for_as_long_as_it_captions(scripted, noise):
    shown_again = "document.dispatchEvent(new Event('visibilitychange'))"
    async with opened(scripted, microphone(noise)) as (page, _):
        await page.add_init_script(LOCKS)
        await page.reload()
        await begin(page)
        await page.evaluate(shown_again)
        await stop(page)
        await page.evaluate(shown_again)
        await expect(page.locator("html")).to_have_attribute("data-locks", "2 asked, 2 released")


async def test_a_phone_may_sleep_when_captions_did_not_begin(scripted):
    flags = ["--deny-permission-prompts", "--use-fake-device-for-media-stream"]
    async with opened(scripted, flags) as (page, _):
        await page.add_init_script(LOCKS)
        await page.reload()
        await page.get_by_role("button", name="Start captions").click()
        await expect(page.locator("#status")).to_contain_text("not allowed")
        await expect(page.locator("html")).to_have_attribute("data-locks", "1 asked, 1 released")


async def test_settings_that_change_before_the_microphone_is_open(noise):
    async with (
        running_server(recording.config(), recording.Bilingual()) as address,
        opened(address, microphone(noise)) as (page, _),
    ):
        sent = frames_sent(page)
        await page.evaluate("""async () => {
          const { DistilStream } = await import("./javascript/browser.js");
          const stream = new DistilStream();
          const started = stream.start();
          stream.configure({ language: "de" });
          await started;
          stream.abandon();
        }""")
    assert sent[0]["language"] == "de"


async def test_an_address_that_is_not_valid_lets_the_microphone_go(scripted, noise):
    async with opened(scripted, microphone(noise)) as (page, _):
        ends = await page.evaluate("""async () => {
          const { DistilStream } = await import("./javascript/browser.js");
          const opening = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
          const tracks = [];
          navigator.mediaDevices.getUserMedia = async (wish) => {
            const source = await opening(wish);
            tracks.push(...source.getTracks());
            return source;
          };
          const stream = new DistilStream({ server: "ws://[nonsense" });
          const thrown = await stream.start().catch((problem) => problem.code);
          const never = new Promise((resolve) => setTimeout(resolve, 3_000, {}));
          const { code } = await Promise.race([stream.finished, never]);
          return [thrown, code, tracks.map((track) => track.readyState)];
        }""")
    assert ends == ["bad_address", "bad_address", ["ended"]]
