"""OpenAI's own realtime client, and the agents that use the protocol, against a real server."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
import soundfile
import soxr

from stream.engine.checkpoints.checkpoint import Checkpoint
from tests.clients import recording
from tests.consumers.consumer import SAID, plain, run, serving_speech, started
from tests.protocols.test_openai_realtime import COMPLETED, DELTA, check_deltas
from tests.protocols.vendors import of_type
from tests.server.serving import WAIT_S, serving

pytestmark = [pytest.mark.slow]
LIVE = "openai_realtime.py"
SCRIPTED = list(recording.BURSTS)
KNOWN = {
    "SessionCreatedEvent", "SessionUpdatedEvent", "InputAudioBufferSpeechStartedEvent",
    "InputAudioBufferSpeechStoppedEvent", "InputAudioBufferCommittedEvent",
    "InputAudioBufferClearedEvent", "ConversationItemAdded", "ConversationItemDone",
    "ConversationItemInputAudioTranscriptionDeltaEvent",
    "ConversationItemInputAudioTranscriptionCompletedEvent",
}  # fmt: skip


@pytest.fixture(scope="module")
def spoken_24k(spoken: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The speech at OpenAI's rate."""
    samples, rate = soundfile.read(spoken, dtype="float32")
    path = tmp_path_factory.mktemp("speech") / "speech-24k.wav"
    soundfile.write(path, soxr.resample(samples, rate, 24_000), 24_000)
    return path


def texts(sent: list[dict[str, Any]]) -> list[str]:
    return [m["transcript"] for m in of_type(sent, COMPLETED)]


async def test_the_sdk_reads_every_event(made: Path) -> None:
    async with serving(recording.transcriber(), vad="webrtc") as server:
        sent = await run("openai", LIVE, server.door.port, made, "slow", '{"type": "server_vad"}')
    assert {m["class"] for m in sent} <= KNOWN
    assert texts(sent) == SCRIPTED
    check_deltas([m for m in sent if m["type"] in (DELTA, COMPLETED)])


@pytest.mark.model
async def test_the_sdk_gets_the_words_of_what_it_commits(
    spoken_24k: Path, tiny_checkpoint: Checkpoint
) -> None:
    async with serving_speech(tiny_checkpoint) as server:
        sent = await run("openai", LIVE, server.door.port, spoken_24k, "play", "null")
    (completed,) = of_type(sent, COMPLETED)
    assert plain(completed["transcript"]).startswith(SAID)
    check_deltas([m for m in sent if m["type"] in (DELTA, COMPLETED)])
    spelt = b"".join(bytes(one["bytes"]) for one in completed["logprobs"]).decode()
    assert spelt.strip() == completed["transcript"]
    assert all(one["logprob"] <= 0 for one in completed["logprobs"])
    assert completed["usage"]["seconds"] == pytest.approx(14, abs=0.1)


@pytest.mark.model
async def test_the_sdk_gets_the_words_of_the_servers_turns(
    spoken_24k: Path, tiny_checkpoint: Checkpoint
) -> None:
    async with serving_speech(tiny_checkpoint) as server:
        turns = '{"type": "semantic_vad", "eagerness": "low"}'
        sent = await run("openai", LIVE, server.door.port, spoken_24k, "slow", turns)
    assert plain(" ".join(texts(sent))).startswith(SAID)


async def test_the_sdk_is_killed(made: Path) -> None:
    async with (
        serving(recording.transcriber(), vad="webrtc") as server,
        started("openai", LIVE, server.door.port, made, "hang", "null") as program,
    ):
        while (await program.line())["type"] != "hanging":
            pass
        program.kill()
        await asyncio.wait_for(server.state.streams.closed(), WAIT_S)


@pytest.mark.parametrize(("key", "status"), [("right", 0), ("wrong", 1)])
async def test_the_sdk_shows_the_key(made: Path, key: str, status: int) -> None:
    async with (
        serving(recording.transcriber(), vad="webrtc", api_key="right") as server,
        started("openai", LIVE, server.door.port, made, "play", "null", key) as program,
    ):
        assert await asyncio.wait_for(program.process.wait(), WAIT_S) == status
        error = await program.errors()
    assert ("401" in error) == (status == 1)


async def test_the_sdk_gets_a_secret_for_a_browser(made: Path) -> None:
    async with serving(recording.transcriber(), vad="webrtc", api_key="right") as server:
        arguments = (server.door.port, made, "secret", "null", "right")
        secret, created, *sent = await run("openai", LIVE, *arguments)
    assert secret["type"] == "secret"
    assert created["session"]["audio"]["input"]["format"] == {"type": "audio/pcm", "rate": 16_000}
    assert texts(sent) == [" ".join(SCRIPTED)]


@pytest.mark.model
async def test_pipecats_pipeline(spoken: Path, tiny_checkpoint: Checkpoint) -> None:
    async with serving_speech(tiny_checkpoint) as server:
        sent = await run("pipecat", "pipecat_stt.py", server.door.port, spoken, "openai", "play")
    said = " ".join(m["text"] for m in sent if m["type"] == "final")
    assert plain(said).startswith(SAID)


@pytest.mark.model
async def test_livekits_plugin(spoken_24k: Path, tiny_checkpoint: Checkpoint) -> None:
    async with serving_speech(tiny_checkpoint) as server:
        sent = await run(
            "livekit", "livekit_stt.py", server.door.port, spoken_24k, "openai", "play"
        )
    finals = [m["text"] for m in sent if m["type"] == "final_transcript"]
    assert plain(" ".join(finals)).startswith(SAID)
    kinds = [m["type"] for m in sent]
    assert kinds.count("start_of_speech") == kinds.count("end_of_speech") >= 1
