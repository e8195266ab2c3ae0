"""Recordings into the captions page, and transcripts out of it."""

import json
from pathlib import Path

import pysubs2
import pytest
from playwright.async_api import expect

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
