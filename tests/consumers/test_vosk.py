"""The server client of the package `vosk` against a real server."""

from itertools import pairwise
from pathlib import Path

import pytest

from stream.engine.checkpoints.checkpoint import Checkpoint
from tests.clients import recording
from tests.consumers.consumer import SAID, plain, run, serving_speech, started
from tests.server.serving import serving, until

pytestmark = [pytest.mark.slow]
PROGRAM = "vosk_transcriber.py"


@pytest.mark.model
async def test_the_client_gets_the_words(spoken: Path, tiny_checkpoint: Checkpoint) -> None:
    async with serving_speech(tiny_checkpoint, vosk_port=0) as server:
        results = await run("vosk", PROGRAM, server.own_port("--vosk-port"), spoken)
    text = " ".join(result["text"] for result in results if result["text"])
    assert text == plain(text)
    assert text.startswith(SAID)
    words = [word for result in results for word in result.get("result", ())]
    assert " ".join(word["word"] for word in words) == text
    assert all(a["start"] <= b["start"] for a, b in pairwise(words))


async def test_the_client_is_killed(made: Path) -> None:
    async with serving(recording.transcriber(), vosk_port=0) as server:
        port = server.own_port("--vosk-port")
        async with started("vosk", PROGRAM, port, made) as program:
            await until(lambda: len(server.state.streams) > 0)
            program.kill()
