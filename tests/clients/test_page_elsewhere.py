"""`distil-stream.js` on a page of another site."""

import re
import shutil
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from stream.server.http.page import client_folder
from stream.server.running import running_server
from tests.clients import recording
from tests.clients.browser import NEEDS_CHROMIUM, microphone, opened

pytestmark = NEEDS_CHROMIUM

DOCUMENT = Path(__file__).parents[2] / "docs" / "browser.md"

SPEAK = """async (url) => {
  const { DistilStream } = await import("./distil-stream.js");
  const said = [];
  const stream = new DistilStream({ url, onFinal: ({ text }) => said.push(text) });
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
    """The address of another site, which has the files that are documented as to be copied."""
    documented = re.search(r"files that it loads \((.*?)\)", DOCUMENT.read_text())
    site = tmp_path / "site"
    site.mkdir()
    for name in ("distil-stream.js", *re.findall(r"`(.*?)`", documented[1])):
        if name.endswith("/"):
            shutil.copytree(client_folder(name.rstrip("/")), site / name)
        else:
            shutil.copy(client_folder("browser") / name, site)
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
        stream = f"{address.replace('http', 'ws')}v1/stream"
        assert await page.evaluate(SPEAK, stream) == "one two three four"
        assert await page.evaluate(SPEAK, stream) == "busy"


async def test_a_page_of_a_site_that_is_not_allowed(scripted, noise, elsewhere):
    async with opened(elsewhere, microphone(noise)) as (page, _):
        stream = f"{scripted.replace('http', 'ws')}v1/stream"
        assert await page.evaluate(SPEAK, stream) == "refused"
