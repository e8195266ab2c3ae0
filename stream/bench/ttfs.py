"""`bench ttfs`: measures the time from the end of speech to its final, as voice agents measure it.

Pipecat's agents detect the end of a turn when their VAD (Silero's network) has found no speech for
0.2 s; then they send `Finalize`, and act on the final with `from_finalize`. The time to the final
segment (TTFS) counts from the last frame of speech, so that it contains these 0.2 s. Each recording
is one turn: it is played to `/v1/listen` like a microphone, silence follows it, and one `Finalize`
is sent.

Each server plays the same recordings; they take turns, so that both are affected by whatever else
the machine does.
"""

import asyncio
import json
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlencode

import numpy as np
from cyclopts import Parameter
from numpy.typing import NDArray
from rich.console import Console
from websockets.asyncio.client import ClientConnection, connect

from stream.core.audio import SAMPLE_RATE
from stream.engine.cores import usable_cores
from stream.engine.voice_detectors import choose_detector
from stream.errors import UsageError
from stream.evaluate.material.recordings import Recording, at_16_khz, read_manifest, to_int16
from stream.evaluate.measures.scoring import WordErrors, percentiles, word_errors
from stream.evaluate.report.tables import table
from stream.evaluate.server_process import server_process

STOP_S = 0.2
"""Silence after which an agent's VAD ends a turn: `stop_secs` of pipecat."""

FRAME_S = 0.02
"""Seconds of audio in a message, as pipecat's transports send it."""

LIMIT_S = 30.0
"""Seconds after the end of speech within which the final must come."""

SETS = ("dev", "phone")


@dataclass(frozen=True, slots=True)
class Turn:
    """One utterance of a person who then waits for the answer."""

    recording: Recording
    samples: NDArray[np.int16]
    """(n_samples,) at 16 kHz."""
    speech_end_s: float


@dataclass(frozen=True, slots=True)
class Answered:
    """The result of one turn: the delay of its final, and its word errors."""

    ttfs_ms: float
    """Milliseconds from the end of speech to the final with `from_finalize`."""
    errors: WordErrors


@dataclass(frozen=True, slots=True)
class TtfsRow:
    """The figures of one server with a number of turns at a time."""

    retries: str
    """The setting `--padded-retries` of the server."""
    streams: int
    ttfs_ms: dict[str, float]
    word_error_rate: float
    """Percent."""
    words: int


def run(
    data: Path,
    model: str = "base",
    utterances: int = 200,
    streams: Annotated[tuple[int, ...], Parameter(consume_multiple=True, negative=())] = (1,),
) -> None:
    """Print the time to the final of an agent's turns, and the word errors, and one JSON line.

    A server that decodes improbable words again at 30 s is compared with one that does not.

    Parameters
    ----------
    data
        Folder with `dev.jsonl` and `phone.jsonl`.
    model
        Name of the model.
    utterances
        Number of recordings, half of them of each set.
    streams
        Numbers of turns at a time: 1 is an idle machine; half of the streams that `bench load`
        found is half of the rated load.
    """
    turns = read_turns(data, utterances)
    rows = []
    with ExitStack() as stack:
        servers = {
            retries: stack.enter_context(
                server_process(model, max(streams), "wait", ("--padded-retries", retries))
            )[0]
            for retries in ("auto", "never")
        }
        for count in streams:
            found = asyncio.run(play_to_all(servers, turns, count))
            rows += [row(retries, count, answers) for retries, answers in found.items()]
    made = table("end of speech → final, VAD stop 0.2 s", "", "turns at a time", *SHOWN, "WER %")
    for one in rows:
        figures = [f"{one.ttfs_ms.get(name, float('nan')):.0f}" for name in SHOWN]
        name = "decoded again" if one.retries == "auto" else "decoded once"
        made.add_row(name, str(one.streams), *figures, f"{one.word_error_rate:.2f}")
    Console(width=100, highlight=False).print(made)
    summary: dict[str, Any] = {
        "command": "bench ttfs",
        "model": model,
        "cores": usable_cores(),
        "utterances": len(turns),
        "rows": [asdict(one) for one in rows],
    }
    print(json.dumps(summary))


SHOWN = ("p50", "p95", "p99")
"""Percentiles in the table, in milliseconds."""


def read_turns(data: Path, utterances: int) -> list[Turn]:
    """Return recordings of both sets in turns, each with the end of its speech.

    Raises:
        UsageError: a manifest cannot be read, or there is no speech in it.
    """
    sets = [read_manifest(data / f"{name}.jsonl") for name in SETS]
    turns = []
    for recordings in sets:
        step = max(len(recordings) / max(utterances // len(sets), 1), 1)
        chosen = [recordings[int(i * step)] for i in range(int(len(recordings) / step))]
        turns.append([turn for one in chosen if (turn := read_turn(one)) is not None])
    if not any(turns):
        raise UsageError(f"There is no speech with a text in {data}.")
    longest = max(map(len, turns))
    return [one[i] for i in range(longest) for one in turns if i < len(one)]


def read_turn(recording: Recording) -> Turn | None:
    """Return a recording as a turn; None if it has no text or no speech."""
    if not recording.text:
        return None
    samples = at_16_khz(recording.read())
    end_s = speech_end_s(samples)
    return Turn(recording, to_int16(samples), end_s) if end_s else None


def speech_end_s(samples: NDArray[np.float32]) -> float:
    """Return the end, in seconds, of the last frame that Silero's network classifies as speech.

    Returns 0 if there is no such frame.
    """
    detector = choose_detector("silero")(SAMPLE_RATE)
    size = detector.frame_samples
    silence = np.zeros(SAMPLE_RATE, np.float32)
    padded = np.concatenate([samples, silence])
    frames = padded[: len(padded) // size * size].reshape(-1, size)
    found = np.flatnonzero(np.array([detector.is_speech(frame) for frame in frames]))
    return float((found[-1] + 1) * size / SAMPLE_RATE) if len(found) else 0.0


async def play_to_all(
    servers: dict[str, str], turns: Sequence[Turn], count: int
) -> dict[str, list[Answered]]:
    """Play `count` turns at a time, each group to every server, one server after the other."""
    answers: dict[str, list[Answered]] = {name: [] for name in servers}
    for first in range(0, len(turns), count):
        group = turns[first : first + count]
        for name, url in servers.items():
            answers[name] += await asyncio.gather(*(play(url, turn) for turn in group))
    return answers


async def play(url: str, turn: Turn) -> Answered:
    """Play one turn at the pace of speech, and wait for its final."""
    asked = {"encoding": "linear16", "sample_rate": SAMPLE_RATE, "interim_results": "true"}
    query = urlencode({**asked, "model": "nova-3", "language": "en"})
    address = f"{url.replace('http', 'ws', 1)}v1/listen?{query}"
    async with connect(address, compression=None) as websocket:
        began = time.perf_counter()
        speaking = asyncio.create_task(speak(websocket, turn, began))
        try:
            async with asyncio.timeout(turn.speech_end_s + LIMIT_S):
                text = await read_final(websocket)
        finally:
            speaking.cancel()
        ttfs_s = time.perf_counter() - began - turn.speech_end_s
    assert turn.recording.text
    return Answered(1000 * ttfs_s, word_errors(turn.recording.text, text))


async def speak(websocket: ClientConnection, turn: Turn, began: float) -> None:
    """Send each frame when it would be complete, and `Finalize` when the VAD ends the turn."""
    size = round(FRAME_S * SAMPLE_RATE)
    stop_at_s, stopped, sent = turn.speech_end_s + STOP_S, False, 0
    while True:
        end_s = (sent + size) / SAMPLE_RATE
        await asyncio.sleep(began + end_s - time.perf_counter())
        frame = turn.samples[sent : sent + size]
        await websocket.send(np.pad(frame, (0, size - len(frame))).tobytes())
        sent += size
        if end_s >= stop_at_s and not stopped:
            stopped = True
            await websocket.send('{"type":"Finalize"}')


async def read_final(websocket: ClientConnection) -> str:
    """Return the text of all finals up to the one that `Finalize` asked for."""
    texts: list[str] = []
    async for frame in websocket:
        message = json.loads(frame)
        if message["type"] == "Results" and message["is_final"]:
            texts.append(message["channel"]["alternatives"][0]["transcript"])
            if message["from_finalize"]:
                break
    return " ".join(filter(None, texts))


def row(retries: str, streams: int, answers: Sequence[Answered]) -> TtfsRow:
    """Return the figures of the turns of a server."""
    errors = sum((one.errors for one in answers), WordErrors())
    times = percentiles(one.ttfs_ms for one in answers)
    return TtfsRow(retries, streams, times, round(errors.rate, 2), errors.words)
