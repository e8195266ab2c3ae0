"""AssemblyAI's own client, and pipecat's service, against a real server."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from stream.engine.checkpoints.checkpoint import Checkpoint
from tests.clients import recording
from tests.consumers.consumer import SAID, plain, run, run_with_a_pause, serving_speech, started
from tests.protocols.test_assemblyai import texts
from tests.protocols.vendors import of_type
from tests.server.serving import WAIT_S, serving

pytestmark = [pytest.mark.slow]
PROGRAM = "assemblyai_stream.py"
SCRIPTED = list(recording.BURSTS)


@pytest.mark.parametrize("kind", ["sync", "async"])
async def test_the_sdk_reads_every_message(made: Path, kind: str) -> None:
    async with serving(recording.transcriber(), vad="webrtc") as server:
        asked = {"format_turns": True, "keyterms_prompt": ["Ada"], "speaker_labels": True}
        arguments = (server.door.port, made, kind, "play", json.dumps(asked))
        sent = await run("assemblyai", PROGRAM, *arguments)
    assert texts(sent) == SCRIPTED
    assert {m["class"] for m in sent} == {
        "BeginEvent", "WarningEvent", "SpeechStartedEvent", "TurnEvent", "TerminationEvent",
    }  # fmt: skip
    assert of_type(sent, "Termination")[0]["audio_duration_seconds"] == recording.SECONDS


@pytest.mark.model
async def test_the_sdk_gets_the_words(spoken: Path, tiny_checkpoint: Checkpoint) -> None:
    async with serving_speech(tiny_checkpoint) as server:
        arguments = (server.door.port, spoken, "sync", "play", '{"format_turns": true}')
        sent = await run("assemblyai", PROGRAM, *arguments)
    assert plain(" ".join(texts(sent))).startswith(SAID)


@pytest.mark.parametrize(
    ("asked", "status", "settings"),
    [
        ({"redact_pii": True}, 400, {}),
        ({"api_key": "wrong"}, 401, {"api_key": "right"}),
    ],
)
async def test_a_refusal_is_an_error_of_the_sdk(
    made: Path, asked: dict[str, Any], status: int, settings: dict[str, Any]
) -> None:
    async with serving(recording.transcriber(), **settings) as server:
        arguments = (server.door.port, made, "sync", "play", json.dumps(asked))
        async with started("assemblyai", PROGRAM, *arguments) as program:
            error = await program.line()
    assert str(status) in error["error"]


async def test_the_sdk_reads_slowly(made: Path) -> None:
    async with serving(recording.transcriber(), vad="webrtc") as server:
        arguments = (PROGRAM, server.door.port, made, "sync", "play", "{}")
        sent = await run_with_a_pause(server, "assemblyai", *arguments)
    assert texts(sent) == SCRIPTED


async def test_the_sdk_is_killed(made: Path) -> None:
    async with serving(recording.transcriber(), vad="webrtc") as server:
        arguments = (server.door.port, made, "sync", "hang", "{}")
        async with started("assemblyai", PROGRAM, *arguments) as program:
            while (await program.line())["type"] != "Turn":
                pass
            program.kill()
            await asyncio.wait_for(server.state.streams.closed(), WAIT_S)


@pytest.mark.model
async def test_pipecats_pipeline(spoken: Path, tiny_checkpoint: Checkpoint) -> None:
    async with serving_speech(tiny_checkpoint) as server:
        arguments = (server.door.port, spoken, "assemblyai", "play")
        sent = await run("pipecat", "pipecat_stt.py", *arguments)
    said = " ".join(m["text"] for m in sent if m["type"] == "final")
    assert plain(said).startswith(SAID)
