"""Deepgram's own client, and the agents that use it, against a real server."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from stream.engine.checkpoints.checkpoint import Checkpoint
from tests.clients import recording
from tests.consumers.consumer import SAID, plain, run, serving_speech, started
from tests.protocols.test_deepgram import check_ranges, results, text
from tests.server.serving import WAIT_S, serving

pytestmark = [pytest.mark.slow]
SCRIPTED = list(recording.BURSTS)
LIVE = "deepgram_live.py"
FULL = {
    "interim_results": True, "punctuate": True, "smart_format": True, "vad_events": True,
    "utterance_end_ms": 1000, "endpointing": 300, "keyterm": ["Ada", "Grace"], "numerals": True,
    "tag": ["test"], "extra": "a:b", "mip_opt_out": True, "version": "latest",
}  # fmt: skip


@pytest.mark.parametrize("kind", ["async", "sync"])
async def test_the_sdk_reads_every_message(made: Path, kind: str) -> None:
    async with serving(recording.transcriber(), vad="webrtc") as server:
        asked = json.dumps(FULL)
        sent = await run("deepgram", LIVE, server.door.port, made, kind, "play", "v1", asked)
    classes = {message["class"] for message in sent}
    assert classes == {
        "ListenV1SpeechStarted", "ListenV1Results", "ListenV1UtteranceEnd", "ListenV1Metadata",
    }  # fmt: skip
    assert text(sent) == " ".join(SCRIPTED)
    check_ranges(sent, recording.SECONDS)
    assert any(not message["is_final"] for message in results(sent))
    assert [m["from_finalize"] for m in results(sent) if m["is_final"]].count(True) == 1
    assert [one["parameter"] for one in sent[-1]["warnings"]] == ["numerals"]


@pytest.mark.model
async def test_the_sdk_gets_the_words(spoken: Path, tiny_checkpoint: Checkpoint) -> None:
    async with serving_speech(tiny_checkpoint) as server:
        asked = json.dumps({"smart_format": True, "endpointing": 300})
        sent = await run("deepgram", LIVE, server.door.port, spoken, "async", "play", "v1", asked)
    assert plain(text(sent)).startswith(SAID)
    check_ranges(sent, 14.0)
    confidences = [
        word["confidence"]
        for m in results(sent)
        for word in m["channel"]["alternatives"][0]["words"]
    ]
    assert len(set(confidences)) > 5
    assert all(0 < confidence <= 1 for confidence in confidences)


@pytest.mark.parametrize(
    ("asked", "status", "settings"),
    [
        ({"redact": "pci"}, 400, {}),
        ({"encoding": "amr-wb"}, 400, {}),
        ({"language": "xx"}, 400, {}),
        ({"api_key": "wrong"}, 401, {"api_key": "right"}),
    ],
)
async def test_a_refusal_is_an_error_of_the_sdk(
    made: Path, asked: dict[str, Any], status: int, settings: dict[str, Any]
) -> None:
    async with serving(recording.transcriber(), **settings) as server:
        arguments = ("async", "play", "v1", json.dumps(asked))
        (refused,) = await run("deepgram", LIVE, server.door.port, made, *arguments)
    assert refused["status"] == status


async def test_the_sdk_shows_the_key(made: Path) -> None:
    async with serving(recording.transcriber(), vad="webrtc", api_key="right") as server:
        arguments = ("sync", "play", "v1", json.dumps({"api_key": "right"}))
        sent = await run("deepgram", LIVE, server.door.port, made, *arguments)
    assert text(sent) == " ".join(SCRIPTED)


async def test_the_sdk_is_killed(made: Path) -> None:
    async with (
        serving(recording.transcriber(), vad="webrtc") as server,
        started("deepgram", LIVE, server.door.port, made, "async", "hang", "v1", "{}") as program,
    ):
        assert (await program.line())["type"] == "Results"
        program.kill()
        await asyncio.wait_for(server.state.streams.closed(), WAIT_S)


async def test_the_sdk_reads_slowly(made: Path) -> None:
    async with serving(recording.transcriber(), vad="webrtc") as server:
        arguments = ("async", "slow", "v1", json.dumps({"interim_results": True}))
        sent = await run("deepgram", LIVE, server.door.port, made, *arguments)
    assert text(sent) == " ".join(SCRIPTED)


@pytest.mark.model
@pytest.mark.parametrize("kind", ["async", "sync"])
async def test_the_sdk_gets_the_words_of_a_file(
    spoken: Path,
    tiny_checkpoint: Checkpoint,
    kind: str,
) -> None:
    async with serving_speech(tiny_checkpoint) as server:
        asked = json.dumps({"smart_format": True, "utterances": True})
        (body,) = await run("deepgram", "deepgram_file.py", server.door.port, spoken, kind, asked)
    found = body["results"]["channels"][0]["alternatives"][0]
    assert plain(found["transcript"]).startswith(SAID)
    assert body["results"]["utterances"]
    assert body["metadata"]["duration"] == pytest.approx(14.0, abs=0.01)


async def test_the_sdk_gets_a_sentence_about_urls(made: Path) -> None:
    async with serving(recording.transcriber()) as server:
        asked = json.dumps({"url": "https://example.com/a.wav"})
        (body,) = await run("deepgram", "deepgram_file.py", server.door.port, made, "sync", asked)
    assert body["status"] == 400
    assert "body" in body["body"]["err_msg"]


def turns(sent: list[dict[str, Any]]) -> list[str]:
    return [m["transcript"] for m in sent if m.get("event") == "EndOfTurn"]


async def test_the_sdk_reads_turns(made: Path) -> None:
    async with serving(recording.transcriber(), vad="webrtc") as server:
        asked = json.dumps({"eager_eot_threshold": 0.5, "eot_timeout_ms": 3000, "keyterm": "Ada"})
        sent = await run("deepgram", LIVE, server.door.port, made, "async", "play", "v2", asked)
    assert turns(sent) == SCRIPTED
    assert {m["class"] for m in sent} == {"ListenV2Connected", "ListenV2TurnInfo"}
    events = {m["event"] for m in sent[1:]}
    assert {"StartOfTurn", "EagerEndOfTurn", "EndOfTurn"} <= events


@pytest.mark.model
async def test_the_sdk_gets_the_words_of_turns(
    spoken: Path,
    tiny_checkpoint: Checkpoint,
) -> None:
    async with serving_speech(tiny_checkpoint) as server:
        sent = await run("deepgram", LIVE, server.door.port, spoken, "sync", "play", "v2", "{}")
    assert plain(" ".join(turns(sent))).startswith(SAID)


@pytest.mark.model
async def test_pipecats_turns(spoken: Path, tiny_checkpoint: Checkpoint) -> None:
    async with serving_speech(tiny_checkpoint) as server:
        sent = await run("pipecat", "pipecat_stt.py", server.door.port, spoken, "flux", "play")
    said = [m["text"] for m in sent if m["type"] == "final"]
    assert plain(" ".join(said)).startswith(SAID)


@pytest.mark.model
async def test_pipecats_pipeline(spoken: Path, tiny_checkpoint: Checkpoint) -> None:
    async with serving_speech(tiny_checkpoint) as server:
        sent = await run("pipecat", "pipecat_stt.py", server.door.port, spoken, "deepgram", "play")
    finals = [m for m in sent if m["type"] == "final"]
    assert plain(" ".join(m["text"] for m in finals)).startswith(SAID)
    assert finals[-1]["finalized"], "the pipeline got no final with from_finalize"


@pytest.mark.model
async def test_livekits_plugin(spoken: Path, tiny_checkpoint: Checkpoint) -> None:
    async with serving_speech(tiny_checkpoint) as server:
        sent = await run("livekit", "livekit_stt.py", server.door.port, spoken, "deepgram", "play")
    kinds = [m["type"] for m in sent]
    finals = [m["text"] for m in sent if m["type"] == "final_transcript"]
    assert plain(" ".join(finals)).startswith(SAID)
    assert kinds.count("start_of_speech") == kinds.count("end_of_speech") >= 1
    assert "interim_transcript" in kinds


@pytest.mark.parametrize("client", ["pipecat", "livekit"])
async def test_an_agent_is_killed(made: Path, client: str) -> None:
    program = f"{client}_stt.py"
    async with (
        serving(recording.transcriber(), vad="webrtc") as server,
        started(client, program, server.door.port, made, "deepgram", "hang") as agent,
    ):
        while (await agent.line())["type"] != "hanging":
            pass
        agent.kill()
        await asyncio.wait_for(server.state.streams.closed(), WAIT_S)
