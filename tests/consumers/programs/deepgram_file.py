"""Transcribes a file with deepgram-sdk: port, file, `async` or `sync`, parameters as JSON."""

import asyncio
import json
import sys
from pathlib import Path

from deepgram import AsyncDeepgramClient, DeepgramClient
from deepgram.core.api_error import ApiError
from deepgram.environment import DeepgramClientEnvironment

port, path, kind, given = sys.argv[1:5]
parameters = {"model": "nova-3", **json.loads(given)}
http, ws = f"http://127.0.0.1:{port}", f"ws://127.0.0.1:{port}"
here = DeepgramClientEnvironment(base=http, production=ws, agent=ws, agent_rest=http)
recording = Path(path).read_bytes()
url = parameters.pop("url", None)


async def ask():
    media = AsyncDeepgramClient(api_key="none", environment=here).listen.v1.media
    return await media.transcribe_file(request=recording, **parameters)


try:
    if kind == "async":
        response = asyncio.run(ask())
    else:
        media = DeepgramClient(api_key="none", environment=here).listen.v1.media
        if url:
            response = media.transcribe_url(url=url, **parameters)
        else:
            response = media.transcribe_file(request=recording, **parameters)
    print(response.json())
except ApiError as error:
    print(json.dumps({"status": error.status_code, "body": error.body}))
