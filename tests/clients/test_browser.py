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

import pysubs2
import pytest
import soundfile
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Page, WebSocket, async_playwright, expect

from stream.config import ServerConfig
from stream.core.load import Load
from stream.engine.loading import load_transcriber
from stream.engine.scripted import ScriptedTranscriber, counting
from stream.server.running import running, running_server
from tests.clients import recording
from tests.clients.breakable import breakable
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
    async with running_server(ServerConfig(port=0), recording.FromFirstSound()) as address:
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


async def begin(page: Page) -> None:
    await page.get_by_role("button", name="Start captions").click()
    await state_is(page, "listening")


async def stop(page: Page) -> str:
    """Stop, and return what stands on the page."""
    await page.get_by_role("button", name="Stop").click()
    await state_is(page, "idle")
    return await page.locator("#transcript").inner_text()


@pytest.mark.model
@pytest.mark.parametrize(("name", "device"), [("desktop", DESKTOP), ("phone", PHONE)])
async def test_speech_becomes_captions(tmp_path, name, device):
    pictures = os.environ.get("SCREENSHOTS")
    wav = two_cities(tmp_path / "speech.wav", seconds=30 if pictures else 12)
    config = ServerConfig(port=0, model="base" if pictures else "tiny.en")
    async with (
        running(config, lambda: load_transcriber(config.model)) as server,
        opened(server.address, microphone(wav), **device) as (page, complaints),
    ):
        await begin(page)
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
        text = (await stop(page)).lower()
        await expect(page.locator("#status")).to_have_text("Stopped.")
        assert "it was the best of times" in text
        assert "wisdom" in text
        assert await page.locator("#transcript .tentative").count() == 0
        assert await overflow(page) <= 0
        assert complaints == []


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
        await page.locator("#transcript", has_text=re.compile("times", re.I)).wait_for(
            timeout=PATIENCE_MS
        )
        wire.plugged = False
        wire.cut()
        await expect(page.locator("#status")).to_contain_text("is kept", timeout=PATIENCE_MS)
        await first.close()
        async with running(config, lambda: transcriber) as second:
            wire.port = second.door.port
            wire.plugged = True
            await expect(page.locator("#transcript")).to_contain_text(
                "foolishness", timeout=PATIENCE_MS, ignore_case=True
            )
            text = await stop(page)
    said = re.findall(r"[a-z]+", text.lower())
    expected = "it was the best of times it was the worst of times it was the age of wisdom"
    assert said[:18] == expected.split()
    assert said.count("best") == said.count("worst") == said.count("wisdom") == 1


@pytest.mark.parametrize("heard", ["one", "two", "four", "six"])
async def test_a_server_that_is_replaced_costs_no_word(noise, heard):
    settled = Settled()
    async with (
        running(ServerConfig(port=0), recording.transcriber) as first,
        breakable(first.address) as wire,
        opened(wire.address, microphone(noise)) as (page, _),
    ):
        page.once("websocket", settled.follow)
        await begin(page)
        await expect(page.locator("#transcript")).to_contain_text(heard, timeout=PATIENCE_MS)
        wire.plugged = False
        wire.cut()
        await expect(page.locator("#status")).to_contain_text("is kept", timeout=PATIENCE_MS)
        await first.close()
        engine = recording.Successor(lambda: settled.sample)
        async with running(ServerConfig(port=0), lambda: engine) as second:
            wire.port = second.door.port
            wire.plugged = True
            await expect(page.locator("#transcript")).to_contain_text("eight", timeout=PATIENCE_MS)
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
            await expect(transcript).to_contain_text(word, timeout=PATIENCE_MS)
            wire.cut()
        await expect(page.locator("body")).to_have_attribute("data-connection", "waiting")
        await expect(page.locator("body")).to_have_attribute("data-connection", "live")
        await expect(transcript).to_contain_text("eight", timeout=PATIENCE_MS)
        await stop(page)
        assert await page.locator("#transcript p").all_inner_texts() == list(recording.BURSTS)
    assert wire.passed >= 4


async def test_finished_utterances_are_paragraphs(scripted, noise):
    async with opened(scripted, microphone(noise)) as (page, complaints):
        await begin(page)
        await expect(page.locator("#transcript p")).to_have_count(2, timeout=PATIENCE_MS)
        await expect(page.locator("#transcript")).to_contain_text("eight", timeout=PATIENCE_MS)
        await stop(page)
        assert await page.locator("#transcript p").all_inner_texts() == list(recording.BURSTS)
        assert complaints == []


async def test_nothing_is_lost_at_the_tail(scripted, noise):
    async with opened(scripted, microphone(noise)) as (page, _):
        await begin(page)
        await page.locator("#transcript", has_text="three").wait_for(timeout=PATIENCE_MS)
        assert (await stop(page)).startswith("one two three")
        assert await page.locator("#transcript .tentative").count() == 0


async def test_a_pause_hears_nothing_and_brings_what_was_said(noise):
    # The recording goes on in the pause, and begins again at its end: what is heard after the pause
    # depends on how long a busy machine makes it, so the script has words at any time.
    flags = [flag.removesuffix("%noloop") for flag in microphone(noise)]
    async with (
        running_server(ServerConfig(port=0), ScriptedTranscriber(counting())) as address,
        opened(address, flags) as (page, _),
    ):
        await page.clock.install()
        await page.reload()
        await begin(page)
        transcript, time = page.locator("#transcript"), page.locator("#time")
        await expect(transcript).to_contain_text("three", timeout=PATIENCE_MS)
        await page.get_by_role("button", name="Pause").click()
        await state_is(page, "paused")
        guesses = page.locator("#transcript .tentative")
        await expect(guesses).to_have_count(0, timeout=PATIENCE_MS)
        said, heard = await transcript.inner_text(), await time.inner_text()
        paragraphs = await page.locator("#transcript p").count()
        assert "three" in said
        await page.clock.run_for(120_000)
        assert await page.locator("body").get_attribute("data-connection") == "live"
        assert await time.inner_text() == heard
        assert await transcript.inner_text() == said
        await page.get_by_role("button", name="Go on").click()
        await state_is(page, "listening")
        more = page.locator("#transcript p").nth(paragraphs)
        await expect(more).to_be_visible(timeout=PATIENCE_MS)
        await stop(page)


async def test_a_connection_that_is_half_open_is_taken_for_lost(scripted, noise):
    async with (
        breakable(scripted) as wire,
        opened(wire.address, microphone(noise)) as (page, _),
    ):
        await begin(page)
        transcript, body = page.locator("#transcript"), page.locator("body")
        await expect(transcript).to_contain_text("one", timeout=PATIENCE_MS)
        wire.hold()
        await expect(body).to_have_attribute("data-connection", "waiting", timeout=PATIENCE_MS)
        wire.let_through()
        await expect(body).to_have_attribute("data-connection", "live", timeout=PATIENCE_MS)
        await expect(transcript).to_contain_text("eight", timeout=PATIENCE_MS)
        await stop(page)
        assert await page.locator("#transcript p").all_inner_texts() == list(recording.BURSTS)


async def test_a_busy_server_says_so(noise):
    status = "#status"
    async with (
        running(ServerConfig(port=0), recording.transcriber) as server,
        opened(server.address, microphone(noise)) as (page, _),
    ):
        await begin(page)
        for load, words in (
            (Load.SLOW_PARTIALS, "words come less often"),
            (Load.FINALS_ONLY, "when a sentence is over"),
        ):
            for stream in server.state.streams:
                stream.receive_load(load)
            await expect(page.locator(status)).to_contain_text(words, timeout=PATIENCE_MS)
        for stream in server.state.streams:
            stream.receive_load(Load.NORMAL)
        await expect(page.locator(status)).to_have_text("Listening.", timeout=PATIENCE_MS)
        await stop(page)


async def test_a_file_is_transcribed(scripted, noise):
    async with opened(scripted, []) as (page, complaints):
        await page.locator("#file").set_input_files(noise)
        await expect(page.locator("#status")).to_have_text(
            "noise.wav is transcribed.", timeout=PATIENCE_MS
        )
        assert await page.locator("#transcript p").all_inner_texts() == list(recording.BURSTS)
        await expect(page.locator("#time")).to_have_text("00:07")
        await page.locator("#file").set_input_files(Path(__file__))
        await expect(page.locator("#status")).to_contain_text("not a sound")
        assert complaints == []


async def test_what_is_saved_can_be_read(scripted, noise, tmp_path):
    async with opened(scripted, []) as (page, _):
        await page.locator("#file").set_input_files(noise)
        await expect(page.locator("#status")).to_contain_text("is transcribed")
        saved = {}
        for kind in ("Text", "Subtitles (SRT)", "Subtitles (WebVTT)", "JSON"):
            await page.locator("#save summary").click()
            async with page.expect_download() as download:
                await page.get_by_role("button", name=kind, exact=True).click()
            saved[kind] = (await download.value).suggested_filename
            await (await download.value).save_as(tmp_path / saved[kind])
    text = (tmp_path / saved["Text"]).read_text()
    assert text.split() == " ".join(recording.BURSTS).split()
    for kind in ("Subtitles (SRT)", "Subtitles (WebVTT)"):
        subtitles = pysubs2.load(str(tmp_path / saved[kind]))
        assert [line.text for line in subtitles] == list(recording.BURSTS)
        for line, (start, end) in zip(subtitles, recording.BURSTS.values(), strict=True):
            assert line.start == pytest.approx(start * 1000, abs=60)
            assert line.end == pytest.approx(end * 1000, abs=60)
    content = json.loads((tmp_path / saved["JSON"]).read_text())
    assert content["model"] == "scripted"
    assert [u["text"] for u in content["utterances"]] == list(recording.BURSTS)
    assert content["utterances"][0]["words"][1]["word"] == "two"


async def test_subtitles_fit_two_lines_of_42_characters(scripted):
    words = [f"word{i}" * (1 + i % 3) for i in range(200)]
    utterance = {
        "start": 0, "end": 100, "text": " ".join(words),
        "words": [
            {"word": word, "start": i / 2, "end": i / 2 + 0.4} for i, word in enumerate(words)
        ],
    }  # fmt: skip
    async with opened(scripted, []) as (page, _):
        cues = await page.evaluate(
            "async (utterance) => (await import('/formats.js')).cues([utterance])", utterance
        )
    assert " ".join(cue["text"] for cue in cues).split() == words
    for cue in cues:
        assert len(cue["text"].split("\n")) <= 2
        assert max(map(len, cue["text"].split("\n"))) <= 42
        assert cue["end"] - cue["start"] <= 6


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


SCENES = ["idle", "captions", "settings", "saving"]


@pytest.mark.parametrize("device", [DESKTOP, PHONE], ids=["desktop", "phone"])
async def test_no_barrier_that_a_program_can_find(scripted, noise, device):
    async with opened(scripted, microphone(noise), **device, reduced_motion="reduce") as (page, _):
        for scene in SCENES:
            if scene == "captions":
                await begin(page)
                await expect(page.locator("#transcript")).to_contain_text(
                    "five", timeout=PATIENCE_MS
                )
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


async def test_only_sure_words_are_read_aloud(scripted, noise):
    async with opened(scripted, microphone(noise)) as (page, _):
        await begin(page)
        await page.locator("#transcript .tentative:not(:empty)").last.wait_for(timeout=PATIENCE_MS)
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


async def test_what_a_reader_chooses_is_remembered(scripted):
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


async def test_the_server_fills_the_lists(scripted):
    async with opened(scripted, []) as (page, _):
        await page.get_by_role("button", name="Settings").click()
        assert await page.get_by_label("Language").inner_text() == "English"
        assert await page.get_by_label("Model").inner_text() == "scripted"


async def test_it_asks_nobody_else(scripted, noise):
    asked = []
    async with opened(scripted, microphone(noise)) as (page, complaints):
        page.on("request", lambda request: asked.append(request.url))
        page.on("websocket", lambda socket: asked.append(socket.url))
        await page.reload()
        await begin(page)
        await stop(page)
        assert complaints == []
    host = scripted.removeprefix("http")
    assert asked
    assert all(url.split("://")[1].startswith(host.split("://")[1]) for url in asked)


async def test_words_show_their_times_and_doubts(scripted, noise):
    async with opened(scripted, []) as (page, _):
        await page.locator("#file").set_input_files(noise)
        await expect(page.locator("#status")).to_contain_text("is transcribed")
        word = page.locator(".committed span").nth(4)
        await expect(word).to_have_text("five")
        assert await word.get_attribute("data-time") == "0:04.0 · 90 %"
        await expect(page.locator(".unsure")).to_have_count(0)


async def test_the_example_for_other_pages(scripted, noise):
    async with opened(f"{scripted}example.html", microphone(noise)) as (page, complaints):
        await page.get_by_role("button").click()
        await expect(page.locator("#words")).to_have_text(
            "one two three four ", timeout=PATIENCE_MS
        )
        assert complaints == []


async def test_stopping_before_anything_began(scripted, noise):
    async with opened(scripted, microphone(noise)) as (page, complaints):
        await page.evaluate(
            "for (const id of ['toggle', 'stop']) document.getElementById(id).click()"
        )
        await state_is(page, "idle")
        await expect(page.locator("#status")).to_have_text("Stopped.")
        await begin(page)
        assert complaints == []


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
    config = ServerConfig(port=0, host="0.0.0.0")
    async with running_server(config, recording.transcriber()) as address:
        insecure = address.replace("127.0.0.1", "captions.example")
        flags = [*microphone(noise), "--host-resolver-rules=MAP captions.example 127.0.0.1"]
        async with opened(insecure, flags) as (page, _):
            await page.get_by_role("button", name="Start captions").click()
            await expect(page.locator("#status")).to_contain_text("secure")


async def test_a_full_server(noise):
    config = ServerConfig(port=0, max_sessions=1)
    async with (
        running_server(config, recording.transcriber()) as address,
        opened(address, microphone(noise)) as (first, _),
        opened(address, microphone(noise)) as (second, _),
    ):
        await begin(first)
        await second.get_by_role("button", name="Start captions").click()
        await expect(second.locator("#status")).to_contain_text("busy", timeout=PATIENCE_MS)


async def test_a_server_that_goes_away_and_stays_away(noise):
    async with (
        running(ServerConfig(port=0), recording.transcriber) as server,
        opened(server.address, microphone(noise)) as (page, _),
    ):
        status = page.locator("#status")
        await begin(page)
        await page.locator("#transcript", has_text="two").wait_for(timeout=PATIENCE_MS)
        await server.drain()
        await expect(status).to_contain_text("is kept", timeout=PATIENCE_MS)
        await page.get_by_role("button", name="Stop").click()
        await page.get_by_role("button", name="End now").click()
        await state_is(page, "idle")
        await expect(page.locator("#transcript")).to_contain_text("one two")
        await page.get_by_role("button", name="Start captions").click()
        await expect(status).to_contain_text("not ready", timeout=PATIENCE_MS)
        await server.close()
        await page.get_by_role("button", name="Start captions").click()
        await expect(status).to_contain_text("cannot be reached", timeout=PATIENCE_MS)


async def test_words_that_may_change_do_not_move_those_that_will_not(scripted, noise):
    committed = "It was the best of"
    guesses = ["", " times", " times, it was the worst of times, it was the", " thymes", ""]
    server = asyncio.get_running_loop().create_future()
    async with opened(scripted, microphone(noise), **PHONE, reduced_motion="reduce") as (page, _):
        await page.route_web_socket("**/v1/stream", lambda socket: server.set_result(socket))
        await page.reload()
        await page.get_by_role("button", name="Start captions").click()
        socket = await server
        socket.send('{"type":"ready","model":"none","received":0}')
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
