"""Streams a file with deepgram-sdk: `async` or `sync`, and parameters as JSON.

Modes: `play` sends everything, finalizes and closes; `hang` sends and then waits to be killed;
`slow` reads nothing until all is sent. With interim results it waits for one after two seconds of
audio, because those of audio that comes faster than it is transcribed are replaced.
"""

import asyncio
import json
import sys
import threading
import wave

from deepgram import AsyncDeepgramClient, DeepgramClient
from deepgram.core.api_error import ApiError
from deepgram.core.events import EventType
from deepgram.environment import DeepgramClientEnvironment

port, path, kind, mode, version, given = sys.argv[1:7]
parameters = json.loads(given)
key = parameters.pop("api_key", "none")
with wave.open(path) as file:
    audio, rate = file.readframes(file.getnframes()), file.getframerate()
PIECE = rate // 10 * 2
WAIT_AT = 20 if parameters.get("interim_results") else -1
"""Index of the piece before which an interim result must have come."""
pieces = [audio[at : at + PIECE] for at in range(0, len(audio), PIECE)]
options = {
    "model": "nova-3" if version == "v1" else "flux-general-en",
    "encoding": "linear16",
    "sample_rate": rate,
    **parameters,
}
here = DeepgramClientEnvironment(
    base=f"http://127.0.0.1:{port}",
    production=f"ws://127.0.0.1:{port}",
    agent=f"ws://127.0.0.1:{port}",
    agent_rest=f"http://127.0.0.1:{port}",
)


arrived = threading.Event()


def show(message):
    content = message if isinstance(message, dict) else json.loads(message.json())
    print(json.dumps({"class": type(message).__name__, **content}), flush=True)
    if content.get("type") == "Results":
        arrived.set()


async def stream():
    client = AsyncDeepgramClient(api_key=key, environment=here)
    async with getattr(client.listen, version).connect(**options) as connection:
        connection.on(EventType.MESSAGE, show)
        connection.on(EventType.ERROR, lambda error: show({"type": "failure", "error": str(error)}))
        if mode == "slow":
            for piece in pieces:
                await connection.send_media(piece)
            listening = asyncio.create_task(connection.start_listening())
        else:
            listening = asyncio.create_task(connection.start_listening())
            for number, piece in enumerate(pieces):
                if number == WAIT_AT:
                    await asyncio.to_thread(arrived.wait, 60)
                await connection.send_media(piece)
                await asyncio.sleep(0)
        if mode == "hang":
            await asyncio.sleep(600)
        if version == "v1":
            await connection.send_keep_alive()
            await connection.send_finalize()
        await connection.send_close_stream()
        await listening


def stream_in_threads():
    client = DeepgramClient(api_key=key, environment=here)
    with getattr(client.listen, version).connect(**options) as connection:
        connection.on(EventType.MESSAGE, show)
        listening = threading.Thread(target=connection.start_listening)
        listening.start()
        for number, piece in enumerate(pieces):
            if number == WAIT_AT:
                arrived.wait(60)
            connection.send_media(piece)
        if version == "v1":
            connection.send_finalize()
        connection.send_close_stream()
        listening.join()


try:
    asyncio.run(stream()) if kind == "async" else stream_in_threads()
except ApiError as error:
    show({"type": "refused", "status": error.status_code})
