"""Transcribes a file twice through one connection with `wyoming`: port, file, mode."""

import asyncio
import json
import sys
import wave

from wyoming.asr import Transcribe
from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.client import AsyncClient
from wyoming.info import Describe, Info

port, path, mode = sys.argv[1:4]
with wave.open(path) as file:
    audio, rate = file.readframes(file.getnframes()), file.getframerate()


async def main():
    async with AsyncClient.from_uri(f"tcp://127.0.0.1:{port}") as client:
        await client.write_event(Describe().event())
        info = Info.from_event(await client.read_event())
        print(json.dumps({"type": "info", "programs": [one.name for one in info.asr]}), flush=True)
        for _ in range(2):
            await client.write_event(Transcribe(language="en").event())
            await client.write_event(AudioStart(rate, 2, 1).event())
            for at in range(0, len(audio), 2048):
                chunk = AudioChunk(rate, 2, 1, audio[at : at + 2048])
                await client.write_event(chunk.event())
            if mode == "hang":
                print(json.dumps({"type": "hanging"}), flush=True)
                await asyncio.sleep(600)
            await client.write_event(AudioStop().event())
            while True:
                event = await client.read_event()
                print(json.dumps({"type": event.type, **event.data}), flush=True)
                if event.type == "transcript-stop":
                    break


asyncio.run(main())
