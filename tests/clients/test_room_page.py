"""The pages of rooms in a real Chromium."""

import asyncio
from contextlib import asynccontextmanager

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Page, expect

from stream.protocols.interface import RoomMembership
from stream.server.app import Server
from stream.server.http import room_routes
from tests.clients import recording
from tests.clients.breakable import breakable
from tests.clients.browser import (
    DESKTOP,
    NEEDS_CHROMIUM,
    PHONE,
    begin,
    chromium,
    microphone,
    open_page,
    opened,
    overflow,
)
from tests.rooms.test_room import final, partial
from tests.server.serving import serving

pytestmark = NEEDS_CHROMIUM

SERIOUS = ("serious", "critical")
WIDE = {"viewport": {"width": 1280, "height": 720}}

CONVERSATION = [
    (0, 0.5, "Thank you for calling Platinum Motors. How can I help you today?"),
    (1, 6.0, "Hi, my car makes a noise when I brake, and the service light came on."),
    (0, 12.5, "I am so sorry for the inconvenience. What was your last name, please?"),
    (1, 18.0, "It is Whitaker. I bought the car from you three weeks ago."),
    (0, 24.0, "Thank you. I can offer you an appointment on Tuesday at nine."),
]


class Conversation:
    """Two speakers in a room of a real server, as their streams would have it."""

    def __init__(self, server: Server) -> None:
        self.rooms = server.state.rooms
        self.room, self.number = self.rooms.join(
            RoomMembership("repairs", 2, 8_000, ("Agent", "Customer"))
        )

    def say_all(self) -> None:
        for utterance, (channel, start, text) in enumerate(CONVERSATION, 1):
            self.final(start, text, utterance, channel)

    def final(self, start: float, text: str, utterance: int, channel: int = 0) -> None:
        self.rooms.receive(self.room, self.number, final(start, text, utterance, channel))

    def partial(
        self, start: float, committed: str, tentative: str, utterance: int, channel: int = 0
    ) -> None:
        event = partial(start, committed, tentative, utterance, channel)
        self.rooms.receive(self.room, self.number, event)

    def leave(self) -> None:
        self.rooms.leave(self.room, self.number)


@asynccontextmanager
async def talking(path: str = "rooms/repairs", device=DESKTOP, **settings):
    """A conversation, the page that shows it, and what the page's console complained of."""
    async with serving(**settings) as server:
        conversation = Conversation(server)
        async with opened(f"{server.address}{path}", [], **device) as (page, complaints):
            yield conversation, page, complaints
        conversation.leave()


def lines(page: Page):
    return page.locator("#lines article p")


@pytest.mark.parametrize("device", [DESKTOP, PHONE], ids=["desktop", "phone"])
async def test_a_conversation_is_ordered_by_time(device):
    async with talking(device=device) as (conversation, page, complaints):
        conversation.say_all()
        conversation.partial(30, "That would be", " perfect, thank", 6, channel=1)
        await expect(lines(page)).to_have_count(6)
        await expect(lines(page).last).to_have_text("That would be perfect, thank")
        await expect(page.locator("#status")).to_have_text("Live, 2 speakers")
        assert (
            await page.locator("#lines strong:visible").all_inner_texts()
            == [
                "Agent",
                "Customer",
            ]
            * 3
        )
        assert await overflow(page) <= 0
        conversation.partial(30, "That would be perfect,", " thank you", 6, channel=1)
        conversation.final(30, "That would be perfect, thank you.", 6, channel=1)
        await expect(lines(page).last).to_have_text("That would be perfect, thank you.")
        assert await page.locator(".tentative:not(:empty)").count() == 0
        assert complaints == []


async def test_a_late_reader_gets_all_lines_in_order_of_time():
    async with talking() as (conversation, page, _):
        conversation.final(5, "second", 1)
        conversation.final(9, "third", 2)
        conversation.final(1, "first", 1, channel=1)
        await page.reload()
        await expect(lines(page)).to_have_text(["first", "second", "third"])


async def test_an_utterance_without_words_disappears():
    async with talking() as (conversation, page, _):
        conversation.final(0, "before", 1)
        conversation.partial(2, "", "hm", 2)
        await expect(lines(page)).to_have_count(2)
        conversation.final(2, "", 2)
        await expect(lines(page)).to_have_text(["before"])


@pytest.mark.parametrize("view", ["", "?view=screen", "?view=overlay"])
async def test_a_speaker_without_words_is_not_named(view):
    """Neither before the first word, nor when a guess came to nothing; with words they are."""
    async with talking(f"rooms/repairs{view}") as (conversation, page, _):
        named = page.locator("#lines :is(strong, b):visible")
        conversation.partial(0, "", "", 1)
        conversation.partial(1, "", "hm", 1, channel=1)
        await expect(named).to_have_text(["Customer"])
        conversation.final(1, "", 1, channel=1)
        await expect(named).to_have_count(0)
        conversation.final(2, "Hello.", 2, channel=1)
        await expect(named).to_have_text(["Customer"])


async def test_a_room_that_is_over_offers_its_transcript():
    async with talking() as (conversation, page, _):
        conversation.say_all()
        number, conversation.number = conversation.number, None
        conversation.rooms.leave(conversation.room, number)
        conversation.leave = lambda: None
        await expect(page.locator("#status")).to_have_text("Over")
        for name in ("Text", "SRT", "WebVTT", "JSON"):
            async with page.expect_download() as download:
                await page.get_by_role("link", name=name).click()
            path = await (await download.value).path()
            assert "Whitaker" in path.read_text()


async def test_the_page_shows_that_it_waits_for_speech():
    async with talking("rooms/later") as (_, page, complaints):
        await expect(page.locator("#status")).to_have_text("Nobody has spoken yet")
        assert complaints == []


async def test_a_key_is_asked_for_and_passed_on():
    async with talking(api_key="secret") as (conversation, page, _):
        await expect(page.locator("#status")).to_contain_text("needs a key")
        asked = []
        page.on("request", lambda request: asked.append(request.url))
        await page.get_by_label("Key").fill("secret")
        await page.get_by_role("button", name="Use this key").click()
        conversation.say_all()
        await expect(lines(page)).to_have_count(5)
        async with page.expect_download() as download:
            await page.get_by_role("link", name="SRT").click()
        assert "Whitaker" in (await (await download.value).path()).read_text()
        assert asked
        assert not [url for url in asked if "secret" in url]


async def test_the_size_of_the_text_is_remembered():
    async with talking() as (conversation, page, _):
        conversation.say_all()
        await expect(lines(page)).to_have_count(5)
        size = "parseFloat(getComputedStyle(document.querySelector('#lines')).fontSize)"
        before = await page.evaluate(size)
        await page.get_by_role("button", name="Larger text").click()
        assert await page.evaluate(size) > before
        await page.reload()
        assert await page.evaluate(size) > before


async def test_the_list_of_rooms():
    async with talking("rooms") as (conversation, page, complaints):
        conversation.say_all()
        await page.reload()
        link = page.get_by_role("link", name="repairs")
        await expect(page.locator("li")).to_contain_text("Live")
        await link.click()
        await expect(lines(page)).to_have_count(5)
        assert complaints == []


PLACES = """Object.fromEntries([...document.querySelectorAll('#lines .committed')].map(
  (word) => [word.textContent.trim(), Math.round(word.getBoundingClientRect().left)]))"""


@pytest.mark.parametrize("view", ["screen", "overlay"])
async def test_committed_words_stay_in_their_place_of_the_row(view):
    """On a projector no word moves sideways; in the overlay rows are centred, but never broken."""
    said = [
        "alpha",
        "bravo",
        "charlie",
        "delta",
        "echo",
        "foxtrot",
        "golf",
        "hotel",
        "india",
        "juliett",
        "kilo",
        "lima",
        "mike",
    ]
    async with talking(f"rooms/repairs?view={view}", WIDE) as (conversation, page, complaints):
        await page.locator("#lines").wait_for(state="attached")
        rows: dict[str, int] = {}
        places: dict[str, int] = {}
        row_of = """Object.fromEntries([...document.querySelectorAll('#lines > div')].flatMap(
          (row, i) => [...row.querySelectorAll('.committed')].map(
            (word) => [word.textContent.trim(), row.textContent.includes('Agent') ? 0 : i])))"""
        for n in range(1, len(said)):
            guess = " ".join(["maybe"] * (n % 4 + 1))
            conversation.partial(0, " ".join(said[:n]), guess, 1)
            await page.locator(".committed", has_text=said[n - 1]).wait_for(state="attached")
            if view == "screen":
                now = await page.evaluate(PLACES)
                assert {word: now[word] for word in places} == places
                places = now
            now_rows = await page.evaluate(row_of)
            assert {word: now_rows[word] for word in rows} == rows
            rows = now_rows
        assert len(set(rows.values())) >= 2
        assert await overflow(page) <= 0
        assert complaints == []


async def test_rows_of_a_script_without_spaces():
    said = "今天天气很好，我们一起去公园散步吧。" * 6
    async with talking("rooms/repairs?view=screen", WIDE) as (conversation, page, complaints):
        await page.locator("#lines").wait_for(state="attached")
        for n in (4, 20, len(said)):
            conversation.partial(0, said[:n], said[n : n + 2], 1)
            await expect(page.locator("#lines")).to_contain_text(said[n - 4 : n])
        rows = await page.locator("#lines > div").all_inner_texts()
        assert len(rows) > 1
        assert not [row for row in rows if row.strip()[0] in "，。"]
        assert said[-20:] in "".join(rows).replace("\n", "")
        assert await overflow(page) <= 0
        assert complaints == []


async def test_the_projector_shows_the_last_rows_large():
    async with talking("rooms/repairs?view=screen", WIDE) as (conversation, page, complaints):
        conversation.say_all()
        conversation.partial(30, "That would be", "perfect, thank you", 6, channel=1)
        await page.locator(".tentative").first.wait_for()
        size = "parseFloat(getComputedStyle(document.querySelector('#lines')).fontSize)"
        assert await page.evaluate(size) > 60
        assert await page.locator("footer").is_hidden()
        assert complaints == []


async def test_the_overlay_is_transparent():
    async with talking("rooms/repairs?view=overlay&lines=2", WIDE) as (conversation, page, _):
        conversation.say_all()
        conversation.partial(30, "That would be", "perfect, thank you", 6, channel=1)
        await page.locator(".tentative").first.wait_for()
        background = "getComputedStyle(document.documentElement).backgroundColor"
        assert await page.evaluate(background) == "rgba(0, 0, 0, 0)"


@pytest.mark.parametrize("path", ["rooms/repairs", "rooms", "rooms/repairs?view=screen"])
async def test_no_serious_fault_for_screen_readers_and_keyboards(path):
    async with talking(path) as (conversation, page, _):
        conversation.say_all()
        conversation.partial(30, "That would be", "perfect, thank you", 6, channel=1)
        await page.wait_for_load_state()
        result = await Axe().run(page)
        serious = [v["id"] for v in result.response["violations"] if v["impact"] in SERIOUS]
        assert serious == [], result.generate_report()


async def test_lines_are_read_aloud_when_they_are_final():
    async with talking() as (conversation, page, _):
        conversation.partial(0, "", "hello", 1)
        await expect(lines(page)).to_have_count(1)
        assert await page.locator("[aria-live=polite] p").count() == 0
        conversation.final(0, "Hello there.", 1)
        await expect(page.locator("[aria-live=polite] p")).to_have_text(["Agent: Hello there."])
        await page.reload()
        await expect(lines(page)).to_have_count(1)
        assert await page.locator("[aria-live=polite] p").count() == 0


async def test_a_page_gets_pings_while_nobody_speaks(monkeypatch):
    monkeypatch.setattr(room_routes, "HEARTBEAT_S", 0.2)
    async with talking() as (_, page, complaints):
        await page.evaluate("""() => new Promise((resolve, reject) => {
          setTimeout(reject, 10_000, "no heartbeat");
          const source = new EventSource("/v1/rooms/repairs/events");
          source.onmessage = ({ data }) => JSON.parse(data).type === "heartbeat" && resolve();
        })""")
        await expect(page.locator("#status")).to_have_text("Live, 2 speakers")
        assert complaints == []


async def test_a_dead_connection_is_replaced():
    async with serving() as server, breakable(server.address) as wire:
        conversation = Conversation(server)
        async with opened(f"{wire.address}rooms/repairs", []) as (page, _):
            await page.clock.install()
            await page.reload()
            await expect(page.locator("#status")).to_have_text("Live, 2 speakers")
            wire.hold()
            conversation.say_all()
            await asyncio.sleep(0.3)  # it is on the wire, and swallowed
            wire.let_through()
            await page.clock.run_for(41_000)
            await expect(lines(page)).to_have_count(5)
            await expect(page.locator("#status")).to_have_text("Live, 2 speakers")
        conversation.leave()


async def test_a_meeting_streams_from_the_captions_page(noise):
    """The path of a meeting: one page speaks, another one reads."""
    async with (
        serving(recording.FromFirstSound(), vad="webrtc") as server,
        chromium(microphone(noise)) as browser,
    ):
        speaking, _ = await open_page(browser, f"{server.address}?room=standup&speaker=Ada")
        link = speaking.get_by_role("link", name="standup")
        there = f"{server.address}{await link.get_attribute('href')}"
        reading, _ = await open_page(browser, there)
        await begin(speaking)
        await expect(lines(reading).first).to_have_text("one two three four")
        await expect(reading.locator("#lines strong").first).to_have_text("Ada")
