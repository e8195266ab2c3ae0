"""The clients of Deepgram and OpenAI for JavaScript, from npm, against a real server.

They run in Node; Deepgram's also in a real Chromium, with a microphone.
"""

import asyncio
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import soundfile
import soxr
from playwright.async_api import expect

from stream.engine.checkpoints.checkpoint import Checkpoint
from tests.clients import recording
from tests.clients.browser import NEEDS_CHROMIUM, microphone, opened
from tests.clients.javascript_runtimes import needs
from tests.consumers.consumer import (
    ROOT,
    SAID,
    plain,
    run,
    run_with_a_pause,
    serving_speech,
    started,
)
from tests.consumers.tls import certificate, tls_before
from tests.protocols.test_deepgram import check_ranges, results, text
from tests.protocols.test_openai_realtime import COMPLETED, DELTA, check_deltas
from tests.protocols.vendors import of_type
from tests.server.serving import WAIT_S, serving

pytestmark = [pytest.mark.slow]
DEEPGRAM, OPENAI = "node-deepgram", "node-openai"
LIVE, REALTIME = "deepgram_live.mjs", "openai_realtime.mjs"
SCRIPTED = list(recording.BURSTS)
FULL = json.dumps(
    {
        "interim_results": "true", "punctuate": "true", "smart_format": "true",
        "vad_events": "true", "utterance_end_ms": 1000, "endpointing": 300,
        "keyterm": ["Ada", "Grace"], "numerals": "true", "tag": ["test"], "extra": "a:b",
        "mip_opt_out": "true", "version": "latest",
    }
)  # fmt: skip


async def test_deepgrams_sdk_reads_every_message(made: Path) -> None:
    async with serving(recording.transcriber(), vad="webrtc") as server:
        sent = await run(DEEPGRAM, LIVE, server.door.port, made, "play", "v1", FULL)
    types = {message["type"] for message in sent}
    assert types == {"SpeechStarted", "Results", "UtteranceEnd", "Metadata"}
    assert text(sent) == " ".join(SCRIPTED)
    check_ranges(sent, recording.SECONDS)
    assert any(not message["is_final"] for message in results(sent))
    assert [m["from_finalize"] for m in results(sent) if m["is_final"]].count(True) == 1


@pytest.mark.model
async def test_deepgrams_sdk_gets_the_words(spoken: Path, tiny_checkpoint: Checkpoint) -> None:
    async with serving_speech(tiny_checkpoint) as server:
        asked = json.dumps({"smart_format": "true", "endpointing": 300})
        sent = await run(DEEPGRAM, LIVE, server.door.port, spoken, "play", "v1", asked)
    assert plain(text(sent)).startswith(SAID)
    check_ranges(sent, 14.0)


async def test_deepgrams_sdk_shows_its_key(made: Path) -> None:
    async with serving(recording.transcriber(), vad="webrtc", api_key="right") as server:
        port = server.door.port
        sent = await run(DEEPGRAM, LIVE, port, made, "play", "v1", '{"api_key": "right"}')
        refused = await run(DEEPGRAM, LIVE, port, made, "play", "v1", '{"api_key": "wrong"}')
    assert text(sent) == " ".join(SCRIPTED)
    assert "401" in json.dumps(refused)
    assert not results(refused)


async def test_deepgrams_sdk_reads_turns(made: Path) -> None:
    async with serving(recording.transcriber(), vad="webrtc") as server:
        asked = json.dumps({"eager_eot_threshold": 0.5, "eot_timeout_ms": 3000, "keyterm": "Ada"})
        sent = await run(DEEPGRAM, LIVE, server.door.port, made, "play", "v2", asked)
    assert [m["transcript"] for m in sent if m.get("event") == "EndOfTurn"] == SCRIPTED
    assert {m["type"] for m in sent} == {"Connected", "TurnInfo"}


async def test_deepgrams_sdk_is_killed(made: Path) -> None:
    async with (
        serving(recording.transcriber(), vad="webrtc") as server,
        started(DEEPGRAM, LIVE, server.door.port, made, "hang", "v1", "{}") as program,
    ):
        assert (await program.line())["type"] == "Results"
        program.kill()
        await asyncio.wait_for(server.state.streams.closed(), WAIT_S)


async def test_deepgrams_sdk_reads_slowly(made: Path) -> None:
    async with serving(recording.transcriber(), vad="webrtc") as server:
        arguments = (server.door.port, made, "play", "v1", '{"interim_results": "true"}')
        sent = await run_with_a_pause(server, DEEPGRAM, LIVE, *arguments)
    assert text(sent) == " ".join(SCRIPTED)


@pytest.mark.model
async def test_deepgrams_sdk_transcribes_a_recording(
    spoken: Path, tiny_checkpoint: Checkpoint
) -> None:
    async with serving_speech(tiny_checkpoint) as server:
        asked = json.dumps({"smart_format": True, "utterances": True})
        (body,) = await run(DEEPGRAM, "deepgram_file.mjs", server.door.port, spoken, asked)
        url = json.dumps({"url": "https://example.com/a.wav"})
        (refused,) = await run(DEEPGRAM, "deepgram_file.mjs", server.door.port, spoken, url)
    found = body["results"]["channels"][0]["alternatives"][0]
    assert plain(found["transcript"]).startswith(SAID)
    assert body["metadata"]["duration"] == pytest.approx(14.0, abs=0.01)
    assert refused["status"] == 400
    assert "body" in refused["body"]["err_msg"]


PAGE = """<!doctype html>
<link rel="icon" href="data:,">
<script src="index.global.js"></script>
<button>Speak</button> <p></p>
<script>
  const { DeepgramClient } = Deepgram;
  const [port, apiKey] = location.hash.slice(1).split(",");
  const production = `ws://127.0.0.1:${port}`;
  const environment = { base: production, production, agent: production, agentRest: production };
  const shown = document.querySelector("p");
  document.querySelector("button").onclick = async () => {
    const client = new DeepgramClient({ apiKey, environment });
    const connection = await client.listen.v1.connect({ model: "nova-3", reconnectAttempts: 0 });
    connection.on("message", ({ is_final, channel }) => {
      if (is_final) shown.append(channel.alternatives[0].transcript, " ");
    });
    connection.on("close", ({ code }) => (shown.dataset.closed = code));
    connection.connect();
    await connection.waitForOpen();
    const source = await navigator.mediaDevices.getUserMedia({ audio: true });
    const recorder = new MediaRecorder(source);
    recorder.ondataavailable = ({ data }) => connection.sendMedia(data);
    recorder.start(100);
  };
</script>
"""


class Quiet(SimpleHTTPRequestHandler):
    """Logs nothing."""

    def log_message(self, *_: Any) -> None:
        """Log nothing."""


@pytest.fixture
def site(tmp_path: Path) -> Any:
    """The address of a page with Deepgram's client for browsers."""
    folder = ROOT / ".venv-clients" / DEEPGRAM
    needs(folder)
    script = folder / "node_modules/@deepgram/sdk/dist/browser/index.global.js"
    (tmp_path / "index.global.js").write_bytes(script.read_bytes())
    (tmp_path / "index.html").write_text(PAGE)
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=tmp_path)) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.browser
@pytest.mark.model
@NEEDS_CHROMIUM[1]
async def test_deepgrams_sdk_in_a_browser(
    spoken: Path, tiny_checkpoint: Checkpoint, site: str
) -> None:
    async with serving_speech(tiny_checkpoint, api_key="right", allow_origin=(site,)) as server:
        address = f"{site}#{server.door.port},right"
        async with opened(address, microphone(spoken)) as (page, complaints):
            await page.get_by_role("button").click()
            shown = page.locator("p")
            await expect(shown).to_contain_text("incredulity", ignore_case=True)
            said = plain(await shown.inner_text())
    assert complaints == []
    assert "it was the worst of times it was the age of wisdom" in said


@pytest.fixture(scope="module")
def pem(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for the proxy; Node trusts it."""
    return certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def spoken_24k(spoken: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The speech at OpenAI's rate."""
    samples, rate = soundfile.read(spoken, dtype="float32")
    path = tmp_path_factory.mktemp("speech") / "speech-24k.wav"
    soundfile.write(path, soxr.resample(samples, rate, 24_000), 24_000)
    return path


@asynccontextmanager
async def trusted(pem: Path, port: int, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[int]:
    """The port of a proxy with TLS, which the programs of Node trust."""
    monkeypatch.setenv("NODE_EXTRA_CA_CERTS", os.fspath(pem))
    async with tls_before(port, pem) as proxy:
        yield proxy


@pytest.mark.model
async def test_openais_sdk_gets_the_words_of_what_it_commits(
    spoken_24k: Path, tiny_checkpoint: Checkpoint, pem: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with (
        serving_speech(tiny_checkpoint) as server,
        trusted(pem, server.door.port, monkeypatch) as port,
    ):
        sent = await run(OPENAI, REALTIME, port, spoken_24k, "play", "null")
    (completed,) = of_type(sent, COMPLETED)
    assert plain(completed["transcript"]).startswith(SAID)
    check_deltas([m for m in sent if m["type"] in (DELTA, COMPLETED)])


async def test_openais_sdk_reads_turns_with_a_secret_for_browsers(
    made: Path, pem: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    turns = '{"type": "server_vad"}'
    async with (
        serving(recording.transcriber(), vad="webrtc", api_key="right") as server,
        trusted(pem, server.door.port, monkeypatch) as port,
    ):
        sent = await run(OPENAI, REALTIME, port, made, "secret", turns, "right")
        refused = await run(OPENAI, REALTIME, port, made, "play", turns, "wrong")
    assert of_type(sent, COMPLETED)[0]["transcript"] == SCRIPTED[0]
    assert not of_type(sent, "failure")
    assert "401" in json.dumps(refused)


async def test_openais_sdk_is_killed(
    made: Path, pem: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with (
        serving(recording.transcriber(), vad="webrtc") as server,
        trusted(pem, server.door.port, monkeypatch) as port,
        started(OPENAI, REALTIME, port, made, "hang", '{"type": "server_vad"}') as program,
    ):
        while (await program.line())["type"] != "hanging":
            pass
        program.kill()
        await asyncio.wait_for(server.state.streams.closed(), WAIT_S)


async def test_openais_sdk_reads_slowly(
    made: Path, pem: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with (
        serving(recording.transcriber(), vad="webrtc") as server,
        trusted(pem, server.door.port, monkeypatch) as port,
    ):
        arguments = (port, made, "play", '{"type": "server_vad"}')
        sent = await run_with_a_pause(server, OPENAI, REALTIME, *arguments)
    assert of_type(sent, COMPLETED)[0]["transcript"] == SCRIPTED[0]


@pytest.mark.model
async def test_openais_sdk_transcribes_a_recording(
    spoken: Path, tiny_checkpoint: Checkpoint
) -> None:
    async with serving_speech(tiny_checkpoint) as server:
        whole, *events = await run(OPENAI, "openai_file.mjs", server.door.port, spoken)
    assert plain(whole["text"]).startswith(SAID)
    assert len(whole["words"]) >= len(SAID.split())
    assert [event["type"] for event in events[:-1]] == ["transcript.text.delta"] * (len(events) - 1)
    assert events[-1]["text"] == "".join(event["delta"] for event in events[:-1])
