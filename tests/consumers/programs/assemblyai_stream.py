"""Streams a file with `assemblyai`: port, file, `sync` or `async`, mode, and parameters as JSON."""

import asyncio
import json
import sys
import threading
import wave

from assemblyai.streaming.v3 import (
    AsyncStreamingClient,
    StreamingClient,
    StreamingClientOptions,
    StreamingEvents,
    StreamingParameters,
)

port, path, kind, mode, given = sys.argv[1:6]
asked = json.loads(given)
key = asked.pop("api_key", "none")
with wave.open(path) as file:
    audio, rate = file.readframes(file.getnframes()), file.getframerate()
PIECE = rate // 10 * 2
pieces = [audio[at : at + PIECE] for at in range(0, len(audio), PIECE)]
options = StreamingClientOptions(
    api_host=f"ws://127.0.0.1:{port}", api_key=key, terminate_timeout=60
)
parameters = StreamingParameters(sample_rate=rate, **asked)
EVENTS = [StreamingEvents[name] for name in (
    "Begin", "Turn", "SpeechStarted", "Warning", "Termination", "Error",
)]  # fmt: skip


def show(client, event):
    content = json.loads(event.json()) if hasattr(event, "json") else {"error": str(event)}
    print(json.dumps({"class": type(event).__name__, **content}), flush=True)


def stream_in_threads():
    client = StreamingClient(options)
    for event in EVENTS:
        client.on(event, show)
    client.connect(parameters)
    client.stream(iter(pieces))
    if mode == "hang":
        threading.Event().wait(600)
    client.force_endpoint()
    client.disconnect(terminate=True)


async def stream():
    client = AsyncStreamingClient(options)
    for event in EVENTS:
        client.on(event, show)
    await client.connect(parameters)
    for piece in pieces:
        await client.stream(piece)
    await client.force_endpoint()
    await client.disconnect(terminate=True)


asyncio.run(stream()) if kind == "async" else stream_in_threads()
