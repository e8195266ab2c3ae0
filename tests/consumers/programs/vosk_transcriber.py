"""Streams a file with the server client of the package `vosk`: port, file.

`Transcriber` loads a model when it is made, which a client of a server has no use for; so its
method is called on an object that was not initialised.
"""

import asyncio
import json
import sys
import types
import wave

from vosk.transcriber.transcriber import Transcriber

port, path = sys.argv[1:3]
with wave.open(path) as file:
    audio = file.readframes(file.getnframes())


class Decoder:
    """Stands in for ffmpeg, which the client starts to decode a file."""

    def __init__(self):
        self.at = 0
        self.stdout = self

    async def read(self, size):
        piece = audio[self.at : self.at + size]
        self.at += size
        return piece


transcriber = object.__new__(Transcriber)
transcriber.args = types.SimpleNamespace(server=f"ws://127.0.0.1:{port}/")
results, _ = asyncio.run(transcriber.recognize_stream_server(Decoder()))
for result in results:
    print(json.dumps(result), flush=True)
