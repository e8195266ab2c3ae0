"""Recordings into the captions page, and transcripts out of it."""

import json
from base64 import b64encode
from pathlib import Path

import pysubs2
import pytest
from playwright.async_api import expect

from stream.engine.scripted import ScriptedTranscriber
from stream.server.running import running_server
from tests.clients import recording
from tests.clients.browser import NEEDS_CHROMIUM, opened

pytestmark = NEEDS_CHROMIUM


async def test_a_file_is_transcribed(scripted, noise):
    async with opened(scripted, []) as (page, complaints):
        await page.locator("#file").set_input_files(noise)
        await expect(page.locator("#status")).to_have_text("noise.wav is transcribed.")
        assert await page.locator("#transcript p").all_inner_texts() == list(recording.BURSTS)
        await expect(page.locator("#time")).to_have_text("00:07")
        await page.locator("#file").set_input_files(Path(__file__))
        await expect(page.locator("#status")).to_contain_text("cannot play this file")
        assert complaints == []


async def test_channels_of_opposite_polarity_do_not_cancel_in_a_file(scripted, inverted):
    async with opened(scripted, []) as (page, complaints):
        await page.locator("#file").set_input_files(inverted)
        await expect(page.locator("#status")).to_have_text("inverted.wav is transcribed.")
        assert await page.locator("#transcript p").all_inner_texts() == list(recording.BURSTS)
        assert complaints == []


DRAG = """([text, name]) => {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const dataTransfer = new DataTransfer();
  dataTransfer.items.add(new File([bytes], name));
  window.drag = (kind) => document.querySelector("main").dispatchEvent(
    new DragEvent(kind, { dataTransfer, bubbles: true, cancelable: true }));
}"""


async def test_a_file_that_is_dropped_is_transcribed(scripted, noise):
    async with opened(scripted, []) as (page, complaints):
        await page.evaluate(DRAG, [b64encode(noise.read_bytes()).decode(), "dropped.wav"])
        assert await page.evaluate("drag('dragenter'), drag('dragover')") is False, "not allowed"
        await expect(page.locator("#drop")).to_be_visible()
        await page.evaluate("drag('drop')")
        await expect(page.locator("#drop")).to_be_hidden()
        await expect(page.locator("#status")).to_have_text("dropped.wav is transcribed.")
        assert await page.locator("#transcript p").all_inner_texts() == list(recording.BURSTS)
        assert complaints == []


async def test_the_page_asks_before_it_is_left_with_unsaved_captions(scripted, noise):
    asked = []
    async with opened(scripted, []) as (page, _):

        async def note(dialog):
            asked.append(dialog.type)
            await dialog.accept()

        page.on("dialog", note)
        await page.locator("#file").set_input_files(noise)
        await expect(page.locator("#status")).to_contain_text("is transcribed")
        await page.locator("#save summary").click()
        async with page.expect_download():
            await page.get_by_role("button", name="Text", exact=True).click()
        await page.reload()
        assert asked == []
        await page.locator("#file").set_input_files(noise)
        await expect(page.locator("#status")).to_contain_text("is transcribed")
        await page.locator("main").click()  # a page that nobody touched may not ask
        await page.reload()
        assert asked == ["beforeunload"]


async def test_everything_is_copied(scripted, noise):
    async with opened(scripted, [], permissions=["clipboard-read", "clipboard-write"]) as (page, _):
        await page.locator("#file").set_input_files(noise)
        await expect(page.locator("#status")).to_contain_text("is transcribed")
        await page.locator("#copy").click()
        await expect(page.locator("#status")).to_have_text("Copied.")
        copied = await page.evaluate("navigator.clipboard.readText()")
    assert copied.split() == " ".join(recording.BURSTS).split()


async def test_over_http_it_says_that_copying_is_not_allowed(noise):
    config = recording.config(host="0.0.0.0", allow_anyone=True, allow_host=("captions.example",))
    async with running_server(config, recording.transcriber()) as address:
        insecure = address.replace("127.0.0.1", "captions.example")
        flags = ["--host-resolver-rules=MAP captions.example 127.0.0.1"]
        async with opened(insecure, flags) as (page, complaints):
            await page.locator("#file").set_input_files(noise)
            await expect(page.locator("#status")).to_contain_text("is transcribed")
            await page.locator("#copy").click()
            await expect(page.locator("#status")).to_contain_text("save the text instead")
            assert complaints == []


async def test_words_that_a_fault_of_the_server_cost_are_called_missing(noise):
    class Failing(ScriptedTranscriber):
        def transcribe(self, windows):
            raise RuntimeError("the model fails")

    async with (
        running_server(recording.config(), Failing(())) as address,
        opened(address, []) as (page, _),
    ):
        await page.locator("#file").set_input_files(noise)
        await expect(page.locator("#status")).to_contain_text("is transcribed. The server failed")


async def test_a_saved_file_can_be_read(scripted, noise, tmp_path):
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
    first = content["utterances"][0]
    assert first.keys() == {"start", "end", "text", "language", "confidence", "words"}
    assert first["words"][1].keys() == {"word", "start", "end", "confidence"}
    assert first["words"][1]["word"] == "two"


async def test_saved_times_are_whole_milliseconds(scripted):
    words = [{"word": "ten", "start": 25.060187499999998, "end": 25.4, "confidence": 0.9}]
    utterance = {"start": 25.0001875, "end": 25.81, "text": "ten", "words": words}
    async with opened(scripted, []) as (page, _):
        saved = await page.evaluate(
            "async (utterance) => (await import('/formats.js')).asJson([utterance])", utterance
        )
    (said,) = json.loads(saved)["utterances"]
    times = [said["start"], said["end"], said["words"][0]["start"], said["words"][0]["end"]]
    assert times == [25, 25.81, 25.06, 25.4]


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
