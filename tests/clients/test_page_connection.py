"""The captions page when its connection breaks: nothing is lost or doubled, and it says so."""

import json
import re

import pytest
from playwright.async_api import WebSocket, expect

from stream.config import ServerConfig
from stream.engine.loading import load_transcriber
from stream.server.running import running, running_server
from tests.clients import recording
from tests.clients.breakable import breakable
from tests.clients.browser import NEEDS_CHROMIUM, begin, microphone, opened, state_is, stop
from tests.clients.speech import two_cities

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
        await expect(page.locator("#status")).to_contain_text("is kept")
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
async def test_a_server_that_is_replaced_costs_no_word(noise, heard):
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
        await expect(page.locator("#status")).to_contain_text("is kept")
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


async def test_the_tape_gives_back_what_it_took(scripted):
    async with opened(scripted, []) as (page, _):
        right = await page.evaluate("""async () => {
          const { Tape } = await import("/tape.js");
          const tape = new Tape();
          for (const size of [3, 1, 7, 2]) {
            tape.append(Int16Array.from({ length: size }, (_, i) => tape.end + i));
          }
          let right = tape.end === 13;
          for (const forgotten of [0, 3, 5, 11]) {
            tape.forgetBefore(forgotten);
            right &&= tape.start <= forgotten;
            for (let from = forgotten; from <= 13; from++) {
              for (let most = 0; most < 15; most++) {
                const read = [...tape.read(from, most)];
                right &&= read.length === Math.min(most, 13 - from);
                right &&= read.every((sample, i) => sample === from + i);
              }
            }
          }
          return right;
        }""")
    assert right


async def test_a_server_that_goes_away_and_stays_away(noise):
    async with (
        running(recording.config(), recording.FromFirstSound) as server,
        opened(server.address, microphone(noise)) as (page, _),
    ):
        status = page.locator("#status")
        await begin(page)
        await page.locator("#transcript", has_text="two").wait_for()
        await server.drain()
        await expect(status).to_contain_text("is kept")
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
