"""The JavaScript client on a page of another site."""

import shutil
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from stream.server.http.page import client_folder
from stream.server.running import running_server
from tests.clients import recording
from tests.clients.browser import NEEDS_CHROMIUM, microphone, opened

pytestmark = NEEDS_CHROMIUM

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


async def test_a_page_of_a_site_that_is_not_allowed(scripted, noise, elsewhere):
    async with opened(elsewhere, microphone(noise)) as (page, _):
        assert await page.evaluate(SPEAK, scripted) == "refused"
