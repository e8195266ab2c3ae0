"""Streams a file with the speech-to-text plugins of livekit-agents: port, file, plugin, mode."""

import asyncio
import json
import sys
import wave

import aiohttp
from livekit import rtc
from livekit.agents.utils import http_context

port, path, plugin, mode = sys.argv[1:5]
with wave.open(path) as file:
    audio, rate = file.readframes(file.getnframes()), file.getframerate()


async def main():
    async with http_context.open(), aiohttp.ClientSession() as session:
        if plugin == "deepgram":
            from livekit.plugins import deepgram

            service = deepgram.STT(
                api_key="none",
                base_url=f"http://127.0.0.1:{port}/v1/listen",
                http_session=session,
                sample_rate=rate,
            )
        else:
            from livekit.plugins import openai

            service = openai.STT(
                api_key="none",
                base_url=f"http://127.0.0.1:{port}/v1",
                use_realtime=True,
                model="gpt-4o-mini-transcribe",
                language="en",
            )
        stream = service.stream()

        async def speak():
            step = rate // 50 * 2
            for at in range(0, len(audio), step):
                piece = audio[at : at + step]
                stream.push_frame(rtc.AudioFrame(piece, rate, 1, len(piece) // 2))
                await asyncio.sleep(0.02)
            if mode == "hang":
                print(json.dumps({"type": "hanging"}), flush=True)
                await asyncio.sleep(600)
            if plugin == "deepgram":
                stream.flush()
            await asyncio.sleep(2)
            if plugin == "deepgram":
                stream.end_input()
            else:  # this plugin does not tell the server that the audio has ended
                await stream.aclose()

        speaking = asyncio.create_task(speak())
        async for event in stream:
            shown = {"type": event.type.value}
            if event.alternatives:
                shown["text"] = event.alternatives[0].text
                shown["confidence"] = event.alternatives[0].confidence
                shown["start"] = event.alternatives[0].start_time
            print(json.dumps(shown), flush=True)
        await speaking
        await service.aclose()


asyncio.run(main())
