"""The JavaScript client on a page of another site."""

import re
import shutil
import subprocess
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from playwright.async_api import Error, expect

from stream.server.http.page import client_folder
from stream.server.running import running_server
from tests.clients import recording
from tests.clients.browser import NEEDS_CHROMIUM, microphone, opened
from tests.clients.javascript_runtimes import runtime_command

pytestmark = NEEDS_CHROMIUM

DOCUMENT = Path(__file__).parents[2] / "docs" / "javascript.md"

SPEAK = """async (server) => {
  const { DistilStream } = await import("./javascript/browser.js");
  const said = [];
  const stream = new DistilStream({ server, onFinal: ({ text }) => said.push(text) });
  try {
    await stream.start();
  } catch (problem) {
    return problem.code;
  }
  while (!said.length) await new Promise((resolve) => setTimeout(resolve, 50));
  return said[0];
}"""


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        """Say nothing."""


@pytest.fixture
def elsewhere(tmp_path):
    """The address of another site, which has a copy of the client."""
    site = tmp_path / "site"
    shutil.copytree(client_folder("javascript"), site / "javascript")
    (site / "index.html").write_text("<!doctype html>")
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=site)) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


async def test_a_page_of_another_site(noise, elsewhere):
    """It hears what is said, or why not."""
    config = recording.config(max_sessions=1, allow_origin=(elsewhere,))
    async with (
        running_server(config, recording.FromFirstSound()) as address,
        opened(elsewhere, microphone(noise)) as (page, _),
    ):
        assert await page.evaluate(SPEAK, address) == "one two three four"
        assert await page.evaluate(SPEAK, address) == "busy"


async def test_the_documented_page(noise, elsewhere, tmp_path):
    snippet = re.search(r"^```html\n(.*?)^```", DOCUMENT.read_text(), re.M | re.S)
    config = recording.config(allow_origin=(elsewhere,))
    async with running_server(config, recording.FromFirstSound()) as address:
        page_text = snippet[1].replace("https://captions.example", address)
        (tmp_path / "site" / "page.html").write_text(page_text)
        async with opened(f"{elsewhere}/page.html", microphone(noise)) as (page, _):
            await page.get_by_role("button").click()
            await expect(page.locator("p")).to_contain_text("one two three four")


BUNDLED = """async (server) => {
  const { DistilStream } = await import("./bundle.js");
  const microphone = { worklet: "javascript/capture-worklet.js" };
  let said;
  const heard = new Promise((resolve) => (said = resolve));
  const stream = new DistilStream({ server, microphone, onFinal: ({ text }) => said(text) });
  await stream.start();
  return heard;
}"""


@pytest.fixture
def bundled(elsewhere, tmp_path):
    """The same site, with the client bundled into one file."""
    command = [*runtime_command("bun")[:1], "build", "javascript/browser.js", "--target=browser"]
    site = tmp_path / "site"
    subprocess.run([*command, "--outfile=bundle.js"], cwd=site, check=True, capture_output=True)
    return elsewhere


async def test_a_page_whose_bundler_moves_the_client(noise, bundled):
    config = recording.config(allow_origin=(bundled,))
    async with (
        running_server(config, recording.FromFirstSound()) as address,
        opened(bundled, microphone(noise)) as (page, _),
    ):
        assert await page.evaluate(BUNDLED, address) == "one two three four"


ROOM = """async ([server, token]) => {
  const { readRoom } = await import("./javascript/index.js");
  for await (const message of readRoom(server, "standup", { token })) return message.room;
}"""


async def test_a_room_is_read_on_a_page_of_another_site(elsewhere):
    config = recording.config(allow_origin=(elsewhere,), api_key="key")
    async with (
        running_server(config, recording.FromFirstSound()) as address,
        opened(elsewhere, []) as (page, _),
    ):
        assert await page.evaluate(ROOM, [address, "key"]) == "standup"
        with pytest.raises(Error, match="key"):
            await page.evaluate(ROOM, [address, "wrong"])


async def test_a_page_of_a_site_that_is_not_allowed(scripted, noise, elsewhere):
    async with opened(elsewhere, microphone(noise)) as (page, _):
        assert await page.evaluate(SPEAK, scripted) == "refused"
