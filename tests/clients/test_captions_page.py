"""The captions page in a real Chromium, with a recording for a microphone."""

import asyncio
import json
import re

import pytest
from playwright.async_api import expect

from stream.config import ServerConfig
from stream.core.languages import ENGLISH_NAMES
from stream.core.load import Load
from stream.engine.model_families import load_transcriber
from stream.engine.scripted import ScriptedTranscriber, counting
from stream.server.running import running, running_server
from tests.clients import recording
from tests.clients.browser import (
    DESKTOP,
    NEEDS_CHROMIUM,
    PHONE,
    begin,
    frames_sent,
    microphone,
    opened,
    overflow,
    state_is,
    stop,
)
from tests.clients.speech import two_cities

pytestmark = NEEDS_CHROMIUM

BOTH = "#transcript p:has(.committed:not(:empty)):has(.tentative:not(:empty))"


@pytest.mark.model
@pytest.mark.parametrize("device", [DESKTOP, PHONE], ids=["desktop", "phone"])
async def test_speech_becomes_captions(tmp_path, device):
    wav = two_cities(tmp_path / "speech.wav", seconds=12)
    config = ServerConfig(port=0, model="tiny.en")
    async with (
        running(config, lambda: load_transcriber(config.model)) as server,
        opened(server.address, microphone(wav), **device) as (page, complaints),
    ):
        await begin(page)
        await expect(page.locator("#transcript .tentative").last).to_contain_text(
            re.compile("was", re.I)
        )
        said = page.locator(".committed", has_text=re.compile("best of times", re.I))
        await expect(said).to_be_visible()
        await expect(page.locator("#transcript")).to_contain_text("wisdom")
        text = (await stop(page)).lower()
        await expect(page.locator("#status")).to_have_text("Stopped.")
        assert "it was the best of times" in text
        assert "wisdom" in text
        assert await page.locator("#transcript .tentative").count() == 0
        assert await overflow(page) <= 0
        assert complaints == []


async def test_finished_utterances_are_paragraphs(scripted, noise):
    async with opened(scripted, microphone(noise)) as (page, complaints):
        await begin(page)
        await expect(page.locator("#transcript p")).to_have_count(2)
        await expect(page.locator("#transcript")).to_contain_text("eight")
        await stop(page)
        assert await page.locator("#transcript p").all_inner_texts() == list(recording.BURSTS)
        assert complaints == []


async def test_nothing_is_lost_at_the_tail(scripted, noise):
    async with opened(scripted, microphone(noise)) as (page, _):
        await begin(page)
        await page.locator("#transcript", has_text="three").wait_for()
        assert (await stop(page)).startswith("one two three")
        assert await page.locator("#transcript .tentative").count() == 0


async def test_a_paused_page_sends_no_audio_and_receives_its_finals(noise):
    # The recording goes on in the pause, and begins again at its end: what is heard after the pause
    # depends on how long a busy machine makes it, so the script has words at any time.
    flags = [flag.removesuffix("%noloop") for flag in microphone(noise)]
    async with (
        running_server(recording.config(), ScriptedTranscriber(counting())) as address,
        opened(address, flags) as (page, _),
    ):
        await page.clock.install()
        await page.reload()
        delivered = asyncio.Event()  # all that was heard: what asks for its final follows it

        def notice(frame: str | bytes) -> None:
            if isinstance(frame, str) and "finalize" in frame:
                delivered.set()

        page.on("websocket", lambda wire: wire.on("framesent", notice))
        await begin(page)
        transcript, time = page.locator("#transcript"), page.locator("#time")
        await expect(transcript).to_contain_text("three")
        await page.get_by_role("button", name="Pause").click()
        await state_is(page, "paused")
        await delivered.wait()
        await page.clock.run_for(1_000)  # the seconds on the page are a moment late
        guesses = page.locator("#transcript .tentative")
        await expect(guesses).to_have_count(0)
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
        await expect(more).to_be_visible()
        await stop(page)


async def test_changing_words_do_not_move_committed_ones(scripted, noise):
    committed = "It was the best of"
    guesses = ["", " times", " times, it was the worst of times, it was the", " thymes", ""]
    server = asyncio.get_running_loop().create_future()
    async with opened(scripted, microphone(noise), **PHONE, reduced_motion="reduce") as (page, _):
        await page.route_web_socket("**/v1/stream*", lambda socket: server.set_result(socket))
        await page.reload()
        await page.get_by_role("button", name="Start captions").click()
        socket = await asyncio.wait_for(server, 60)
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


async def test_words_show_their_times_and_confidences(scripted, noise):
    async with opened(scripted, []) as (page, _):
        await page.locator("#file").set_input_files(noise)
        await expect(page.locator("#status")).to_contain_text("is transcribed")
        word = page.locator(".committed span").nth(4)
        await expect(word).to_have_text("five")
        assert await word.get_attribute("data-time") == "0:04.0 · 90 %"
        await expect(page.locator(".unsure")).to_have_count(0)


async def test_a_busy_server_reports_that_it_is_busy(noise):
    status = "#status"
    async with (
        running(recording.config(), recording.FromFirstSound) as server,
        opened(server.address, microphone(noise)) as (page, _),
    ):
        await begin(page)
        for load, words in (
            (Load.SLOW_PARTIALS, "words come less often"),
            (Load.FINALS_ONLY, "at the end of each sentence"),
        ):
            for stream in server.state.streams:
                stream.receive_load(load)
            await expect(page.locator(status)).to_contain_text(words)
        for stream in server.state.streams:
            stream.receive_load(Load.NORMAL)
        await expect(page.locator(status)).to_have_text("Listening.")
        await stop(page)


async def test_stopping_before_anything_began(scripted, noise):
    async with opened(scripted, microphone(noise)) as (page, complaints):
        await page.evaluate(
            "for (const id of ['toggle', 'stop']) document.getElementById(id).click()"
        )
        await state_is(page, "idle")
        await expect(page.locator("#status")).to_have_text("Stopped.")
        await begin(page)
        assert complaints == []


async def test_a_double_click_counts_as_one_click(scripted, noise):
    async with opened(scripted, microphone(noise)) as (page, _):
        await page.locator("#toggle").dblclick()
        await state_is(page, "listening")
        await expect(page.locator("#transcript")).to_contain_text("two")
        await page.locator("#stop").dblclick()
        await state_is(page, "idle")
        await expect(page.locator("#status")).to_have_text("Stopped.")


async def test_a_language_that_is_asked_for_while_the_model_loads(noise):
    async with (
        running_server(recording.config(), recording.Bilingual()) as address,
        opened(address, microphone(noise)) as (page, _),
    ):
        sent = frames_sent(page)
        await page.route("**/v1/info", lambda route: route.fulfill(status=503), times=1)
        await page.goto(f"{address}?language=de")
        await begin(page)
        assert sent[0]["language"] == "de"
        language = page.locator("select[name=language]")
        await expect(language.locator("option")).to_have_count(3)
        await expect(language).to_have_value("de")
        await stop(page)


async def test_the_server_fills_the_lists(scripted):
    async with opened(scripted, []) as (page, _):
        await page.get_by_role("button", name="Settings").click()
        assert await page.get_by_label("Language").inner_text() == "English"
        assert await page.get_by_label("Model").inner_text() == "scripted"


async def test_every_language_has_a_name(scripted):
    languages = sorted(ENGLISH_NAMES)
    async with opened(scripted, []) as (page, _):
        info = {"model": "base", "models": ["base"], "languages": languages}
        await page.route("**/v1/info", lambda route: route.fulfill(json=info))
        await page.reload()
        await page.get_by_role("button", name="Settings").click()
        options = page.get_by_label("Language").locator("option")
        await expect(options).to_have_count(len(languages) + 1)
        names = await options.all_inner_texts()
        assert names[0] == "Detect automatically"
        assert not {name for name in names if name in languages}


async def test_a_server_that_wants_a_key_says_how_to_show_it(noise):
    config = recording.config(api_key="secret")
    async with (
        running_server(config, recording.FromFirstSound()) as address,
        opened(address, microphone(noise)) as (page, _),
    ):
        await page.get_by_role("button", name="Start captions").click()
        await expect(page.locator("#status")).to_contain_text("needs a key")
        await page.get_by_label("Key").fill("wrong")
        await page.get_by_role("button", name="Use this key").click()
        await page.get_by_label("Key").fill("secret")
        asked = []
        page.on("request", lambda request: asked.append(request.url))
        page.on("websocket", lambda socket: asked.append(socket.url))
        await page.get_by_role("button", name="Use this key").click()
        await expect(page.locator("body")).to_have_attribute("data-state", "listening")
        await stop(page)
        for old_address in (f"{address}#key=secret", f"{address}?language=en&token=secret"):
            await page.goto("about:blank")
            await page.goto(old_address)
            await begin(page)
            await stop(page)
            assert "secret" not in page.url
        assert sum(url.startswith("ws") for url in asked) == 3
        assert not [url for url in asked if "secret" in url and url != old_address]


async def test_it_makes_no_other_request(scripted, noise):
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


async def test_the_example_for_other_pages(scripted, noise):
    async with opened(f"{scripted}example.html", microphone(noise)) as (page, complaints):
        await page.get_by_role("button").click()
        await expect(page.locator("#words")).to_have_text("one two three four ")
        assert complaints == []


async def test_committed_text_without_spaces_grows_by_what_is_new(scripted):
    """A screen reader reads what is added; spans that were there stay."""
    said = "今天天气很好，我们去公园。"
    words = [
        {"word": word, "start": i, "end": i + 0.5, "confidence": 0.4 if word == "很" else 0.9}
        for i, word in enumerate(
            ["今", "天", "天", "气", "很", "好，", "我", "们", "去", "公", "园。"]
        )
    ]
    async with opened(scripted, []) as (page, _):
        seen = await page.evaluate(
            """async ({ said, words }) => {
              const { Captions } = await import("/captions.js");
              const transcript = document.querySelector("#transcript");
              const captions = new Captions(transcript.parentElement, transcript);
              const commit = (count) =>
                captions.partial({
                  utterance: 1, committed: said.slice(0, count), tentative: "去", words,
                });
              commit(7);
              const first = transcript.querySelector(".committed span");
              commit(9);
              captions.final({ utterance: 1, text: said, words });
              const spans = [...transcript.querySelectorAll(".committed span")];
              return {
                text: transcript.textContent,
                same: first === spans[0],
                times: spans.map((span) => span.dataset.time),
                unsure: transcript.querySelector(".unsure").textContent,
              };
            }""",
            {"said": said, "words": words},
        )
    assert (seen["text"], seen["same"]) == (said, True)
    assert len(seen["times"]) > 3
    assert all(seen["times"])
    assert seen["unsure"].startswith("很")


@pytest.mark.parametrize("language", ["EN", "en-US", "en_GB"])
async def test_a_language_of_the_address_as_systems_write_it(scripted, language):
    async with opened(f"{scripted}?language={language}", []) as (page, _):
        await expect(page.locator("#model-name")).to_have_text("scripted")
        assert await page.locator("[name=language]").input_value() == "en"
