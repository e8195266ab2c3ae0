"""The client library of Wyoming against a real server."""

import asyncio
from pathlib import Path

import pytest

from stream.engine.checkpoints.checkpoint import Checkpoint
from tests.clients import recording
from tests.consumers.consumer import SAID, plain, run, run_with_a_pause, serving_speech, started
from tests.protocols.vendors import of_type
from tests.server.serving import WAIT_S, serving

pytestmark = [pytest.mark.slow]
PROGRAM = "wyoming_client.py"
OPTION = "--wyoming-port"


@pytest.mark.model
async def test_the_client_gets_the_words(spoken: Path, tiny_checkpoint: Checkpoint) -> None:
    async with serving_speech(tiny_checkpoint, wyoming_port=0) as server:
        sent = await run("wyoming", PROGRAM, server.own_port(OPTION), spoken, "play")
    assert sent[0] == {"type": "info", "programs": ["distil-stream"]}
    said = [m["text"] for m in of_type(sent, "transcript")]
    assert len(said) == 2
    assert all(plain(text).startswith(SAID) for text in said)
    chunks = "".join(m["text"] for m in of_type(sent, "transcript-chunk"))
    assert chunks == "".join(said)


async def test_the_client_reads_slowly(made: Path) -> None:
    async with serving(recording.transcriber(), vad="webrtc", wyoming_port=0) as server:
        arguments = (PROGRAM, server.own_port(OPTION), made, "play")
        sent = await run_with_a_pause(server, "wyoming", *arguments)
    said = " ".join(recording.BURSTS)
    assert [m["text"] for m in of_type(sent, "transcript")] == [said, said]


async def test_the_client_is_killed(made: Path) -> None:
    async with serving(recording.transcriber(), vad="webrtc", wyoming_port=0) as server:
        port = server.own_port(OPTION)
        async with started("wyoming", PROGRAM, port, made, "hang") as program:
            while (await program.line())["type"] != "hanging":
                pass
            program.kill()
            await asyncio.wait_for(server.state.streams.closed(), WAIT_S)
