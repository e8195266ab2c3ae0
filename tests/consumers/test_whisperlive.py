"""WhisperLive's own client against a real server."""

import asyncio
from pathlib import Path

import pytest

from stream.engine.checkpoints.checkpoint import Checkpoint
from tests.clients import recording
from tests.consumers.consumer import SAID, plain, run, run_with_a_pause, serving_speech, started
from tests.server.serving import WAIT_S, serving

pytestmark = [pytest.mark.slow]
PROGRAM = "whisperlive_client.py"
OPTION = "--whisperlive-port"


@pytest.mark.model
async def test_the_client_gets_the_words(spoken: Path, tiny_checkpoint: Checkpoint) -> None:
    async with serving_speech(tiny_checkpoint, whisperlive_port=0) as server:
        sent = await run("whisperlive", PROGRAM, server.own_port(OPTION), spoken, "play")
    assert plain(" ".join(sent[-1]["text"])).startswith(SAID)
    assert {m["type"] for m in sent} >= {"ready", "final", "transcript"}


async def test_the_client_shows_what_is_being_said(made: Path) -> None:
    async with serving(recording.transcriber(), vad="webrtc", whisperlive_port=0) as server:
        sent = await run("whisperlive", PROGRAM, server.own_port(OPTION), made, "play")
    assert [text.strip() for text in sent[-1]["text"]] == list(recording.BURSTS)
    assert any(m["type"] == "partial" for m in sent)


async def test_the_client_reads_slowly(made: Path) -> None:
    async with serving(recording.transcriber(), vad="webrtc", whisperlive_port=0) as server:
        arguments = (PROGRAM, server.own_port(OPTION), made, "play")
        sent = await run_with_a_pause(server, "whisperlive", *arguments)
    assert [text.strip() for text in sent[-1]["text"]] == list(recording.BURSTS)


async def test_the_client_is_killed(made: Path) -> None:
    async with serving(recording.transcriber(), vad="webrtc", whisperlive_port=0) as server:
        port = server.own_port(OPTION)
        async with started("whisperlive", PROGRAM, port, made, "hang") as program:
            while (await program.line())["type"] not in ("partial", "final"):
                pass
            program.kill()
            await asyncio.wait_for(server.state.streams.closed(), WAIT_S)
