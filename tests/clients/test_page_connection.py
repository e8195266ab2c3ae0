"""The captions page when its connection breaks: nothing is lost or doubled, and it says so."""

import asyncio
import json
import re
import threading
import time

import pytest
from playwright.async_api import WebSocket, WebSocketRoute, expect

from stream.config import ServerConfig
from stream.engine.model_families import load_transcriber
from stream.server.app import Server
from stream.server.running import running, running_server
from tests.clients import recording
from tests.clients.breakable import breakable
from tests.clients.browser import (
    NEEDS_CHROMIUM,
    begin,
    frames_sent,
    microphone,
    opened,
    state_is,
    stop,
)
from tests.clients.speech import two_cities
from tests.server.serving import GatedTranscriber

pytestmark = NEEDS_CHROMIUM


@pytest.mark.model
async def test_a_server_that_is_killed_and_replaced_loses_nothing(tmp_path):
    wav = two_cities(tmp_path / "speech.wav", seconds=12)
    config = ServerConfig(port=0, model="tiny.en")
    transcriber = load_transcriber(config.model)
    async with (
        running(config, lambda: transcriber) as first,
        breakable(first.address) as wire,
        opened(wire.address, microphone(wav)) as (page, _),
    ):
        await begin(page)
        await page.locator("#transcript", has_text=re.compile("times", re.I)).wait_for()
        wire.plugged = False
        wire.cut()
        await expect(page.locator("#status")).to_contain_text("What you say is recorded")
        await first.close()
        async with running(config, lambda: transcriber) as second:
            wire.port = second.door.port
            wire.plugged = True
            await expect(page.locator("#transcript")).to_contain_text(
                "foolishness", ignore_case=True
            )
            text = await stop(page)
    said = re.findall(r"[a-z]+", text.lower())
    expected = "it was the best of times it was the worst of times it was the age of wisdom"
    assert said[:18] == expected.split()
    assert said.count("best") == said.count("worst") == said.count("wisdom") == 1


@pytest.mark.parametrize("heard", ["one", "two", "four", "six"])
async def test_no_word_is_lost_when_the_server_is_replaced(noise, heard):
    settled, hearing = Settled(), recording.FromFirstSound()
    async with (
        running(recording.config(), lambda: hearing) as first,
        breakable(first.address) as wire,
        opened(wire.address, microphone(noise)) as (page, _),
    ):
        page.once("websocket", settled.follow)
        await begin(page)
        await expect(page.locator("#transcript")).to_contain_text(heard)
        wire.plugged = False
        wire.cut()
        await expect(page.locator("#status")).to_contain_text("What you say is recorded")
        await first.close()
        engine = recording.Successor(lambda: settled.sample - hearing.late_samples)
        async with running(recording.config(), lambda: engine) as second:
            wire.port = second.door.port
            wire.plugged = True
            await expect(page.locator("#transcript")).to_contain_text("eight")
            await stop(page)
        assert await page.locator("#transcript p").all_inner_texts() == list(recording.BURSTS)


class Settled:
    """How far the page's first stream is settled, in samples at 16 kHz."""

    def __init__(self) -> None:
        self.sample = 0
        self.rate = 0

    def follow(self, socket: WebSocket) -> None:
        socket.on("framesent", self.note)
        socket.on("framereceived", self.note)

    def note(self, frame: str | bytes) -> None:
        message = json.loads(frame) if isinstance(frame, str) else {"type": "audio"}
        if message["type"] == "start":
            self.rate = message["sample_rate"]
        elif message["type"] == "progress":
            self.sample = message["settled"] * 16_000 // self.rate


async def test_a_connection_that_breaks_costs_no_word(scripted, noise):
    async with (
        breakable(scripted) as wire,
        opened(wire.address, microphone(noise)) as (page, _),
    ):
        await begin(page)
        transcript = page.locator("#transcript")
        for word in ("two", "four", "six"):
            await expect(transcript).to_contain_text(word)
            wire.cut()
        await expect(page.locator("body")).to_have_attribute("data-connection", "waiting")
        await expect(page.locator("body")).to_have_attribute("data-connection", "live")
        await expect(transcript).to_contain_text("eight")
        await stop(page)
        assert await page.locator("#transcript p").all_inner_texts() == list(recording.BURSTS)
    assert wire.passed >= 4


async def test_a_connection_that_is_half_open_is_taken_for_lost(scripted, noise):
    async with (
        breakable(scripted) as wire,
        opened(wire.address, microphone(noise)) as (page, _),
    ):
        await begin(page)
        transcript, body = page.locator("#transcript"), page.locator("body")
        await expect(transcript).to_contain_text("one")
        wire.hold()
        await expect(body).to_have_attribute("data-connection", "waiting")
        wire.let_through()
        await expect(body).to_have_attribute("data-connection", "live")
        await expect(transcript).to_contain_text("eight")
        await stop(page)
        assert await page.locator("#transcript p").all_inner_texts() == list(recording.BURSTS)


async def test_a_server_that_is_slow_to_answer_is_sent_nothing_twice(noise):
    """It is asked anew whether it is there, by another socket, and then given more time."""
    engine = GatedTranscriber()
    async with (
        running_server(recording.config(), engine) as address,
        opened(address, []) as (page, _),
    ):
        await page.clock.install()
        await page.reload()
        sent = frames_sent(page)
        await page.locator("#file").set_input_files(noise)
        await expect(page.locator("#status")).to_contain_text("Transcribing")
        async with page.expect_websocket():
            await page.clock.run_for(18_000)
        await expect(page.locator("body")).to_have_attribute("data-connection", "live")
        await page.clock.run_for(18_000)
        engine.gate.set()
        await expect(page.locator("#status")).to_have_text("noise.wav is transcribed.")
    audio = [frame for frame in sent if isinstance(frame, bytes)]
    starts = [frame for frame in sent if frame not in audio and frame["type"] == "start"]
    assert ["resume" in start for start in starts] == [False, True]
    assert sum(map(len, audio)) == recording.SECONDS * starts[0]["sample_rate"] * 2


async def test_a_server_that_takes_small_frames_only(noise):
    config = recording.config(max_frame_bytes=4096)
    async with (
        running_server(config, recording.transcriber()) as address,
        opened(address, []) as (page, _),
    ):
        await page.locator("#file").set_input_files(noise)
        await expect(page.locator("#status")).to_have_text("noise.wav is transcribed.")


async def test_a_stream_that_always_breaks_is_not_opened_without_a_wait(scripted, noise):
    opened_at: list[float] = []

    async def answer(socket: WebSocketRoute) -> None:
        opened_at.append(time.monotonic())
        socket.send('{"type":"ready","model":"none","received":0,"resume_token":"t"}')
        await socket.close(code=1011)

    async with opened(scripted, []) as (page, _):
        await page.route_web_socket("**/v1/stream*", answer)
        await page.reload()
        await page.locator("#file").set_input_files(noise)
        while len(opened_at) < 4:
            await page.wait_for_timeout(50)
    assert opened_at[2] - opened_at[1] > 0.3
    assert opened_at[3] - opened_at[2] > 0.6


async def test_the_buffer_for_a_slow_server_is_limited(noise):
    engine = GatedTranscriber()
    async with (
        running_server(recording.config(), engine) as address,
        opened(address, microphone(noise)) as (page, _),
    ):
        paused = await page.evaluate("""async () => {
          const { DistilStream } = await import("./javascript/browser.js");
          let say;
          const full = new Promise((resolve) => (say = resolve));
          const stream = new DistilStream({
            keepS: 1,
            onState: (state) => state === "full" && say(true),
          });
          await stream.start();
          await Promise.race([full, new Promise((resolve) => setTimeout(resolve, 6_000))]);
          return stream.live && stream.paused;
        }""")
        engine.gate.set()
        assert paused


async def test_a_server_that_comes_back_with_another_model(noise):
    class Another(recording.FromFirstSound):
        name = "another"

    async with (
        running(recording.config(), recording.FromFirstSound) as first,
        breakable(first.address) as wire,
        opened(wire.address, microphone(noise)) as (page, _),
    ):
        await expect(page.locator("#model-name")).to_have_text("scripted")
        wire.cut()
        await first.close()
        async with running(recording.config(), Another) as second:
            wire.port = second.door.port
            await begin(page)
            await expect(page.locator("#model-name")).to_have_text("another")
            await stop(page)


async def test_audio_during_a_pause_is_not_reported_as_stored(scripted, noise):
    async with (
        breakable(scripted) as wire,
        opened(wire.address, microphone(noise)) as (page, _),
    ):
        await begin(page)
        await page.get_by_role("button", name="Pause").click()
        await state_is(page, "paused")
        wire.plugged = False
        wire.cut()
        await expect(page.locator("#status")).to_contain_text("What was recorded is kept.")


async def test_a_server_that_goes_away_and_stays_away(noise):
    async with (
        running(recording.config(), recording.FromFirstSound) as server,
        opened(server.address, microphone(noise)) as (page, _),
    ):
        status = page.locator("#status")
        await begin(page)
        await page.locator("#transcript", has_text="two").wait_for()
        await server.drain()
        await expect(status).to_contain_text("What you say is recorded")
        await page.get_by_role("button", name="Stop").click()
        await page.get_by_role("button", name="End now").click()
        await state_is(page, "idle")
        await expect(page.locator("#transcript")).to_contain_text("one two")
        await page.get_by_role("button", name="Start captions").click()
        await expect(status).to_contain_text("not ready")
        await server.close()
        await page.get_by_role("button", name="Start captions").click()
        await expect(status).to_contain_text("cannot be reached")


async def test_a_full_server(noise):
    config = recording.config(max_sessions=1)
    async with (
        running_server(config, recording.FromFirstSound()) as address,
        opened(address, microphone(noise)) as (first, _),
        opened(address, microphone(noise)) as (second, _),
    ):
        await begin(first)
        await second.get_by_role("button", name="Start captions").click()
        await expect(second.locator("#status")).to_contain_text("busy")


OPEN = """async (path) => {
  const { Driver } = await import("/javascript/driver.js");
  const driver = new Driver(new URL(path, location.href), {}, {}, { onEvent() {} });
  driver.open();
  return (await driver.finished)?.code;
}"""


async def test_cookies_of_the_site_do_not_matter(scripted, noise):
    async with opened(scripted, microphone(noise)) as (page, complaints):
        for number in range(3):
            await page.evaluate(f"document.cookie = 'c{number}=' + 'x'.repeat(3_500)")
        await begin(page)
        await expect(page.locator("#transcript")).to_contain_text("one two")
        assert complaints == []


async def test_a_websocket_that_does_not_open_is_not_called_busy(scripted):
    async with opened(scripted, []) as (page, _):
        assert await page.evaluate(OPEN, "/v1/nothing") == "no_websocket"
        assert await page.evaluate(OPEN, "/v1/stream?prompt=" + "x" * 600_000) == "too_large"


async def test_a_websocket_that_lacks_the_key_or_waits_for_the_model(noise):
    loaded = threading.Event()

    def load():
        assert loaded.wait(60)
        return recording.FromFirstSound()

    server = Server(recording.config())
    await server.listen()
    starting = asyncio.create_task(server.start_engine(load))
    async with opened(server.address, []) as (page, _):
        assert await page.evaluate(OPEN, "/v1/stream") == "not_ready"
        loaded.set()
        await starting
    await server.close()
