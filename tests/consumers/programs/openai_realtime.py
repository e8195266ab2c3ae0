"""Transcribes a file with the realtime client of `openai`: port, file, mode, turn detection.

Modes: `play`, `slow` (reads nothing until all is sent), `hang` (waits to be killed). The turn
detection is JSON; `null` leaves it to this program to commit.
"""

import asyncio
import base64
import json
import sys
import wave

from openai import AsyncOpenAI

port, path, mode, turns = sys.argv[1:5]
key = sys.argv[5] if len(sys.argv) > 5 else "none"
with wave.open(path) as file:
    audio, rate = file.readframes(file.getnframes()), file.getframerate()
PIECE = rate // 10 * 2
detection = json.loads(turns)


async def main():
    client = AsyncOpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key=key)
    if mode == "secret":
        session = {
            "type": "transcription",
            "audio": {"input": {"format": {"type": "audio/pcm", "rate": rate}}},
        }
        created = await client.realtime.client_secrets.create(
            session=session, expires_after={"anchor": "created_at", "seconds": 60}
        )
        print(json.dumps({"type": "secret", "format": created.to_dict()["session"]}), flush=True)
        client = AsyncOpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key=created.value)
    async with client.realtime.connect(extra_query={"intent": "transcription"}) as connection:
        await connection.session.update(
            session={
                "type": "transcription",
                "audio": {
                    "input": {
                        "format": {"type": "audio/pcm", "rate": rate},
                        "transcription": {"model": "gpt-4o-transcribe", "language": "en"},
                        "turn_detection": detection,
                    }
                },
                "include": ["item.input_audio_transcription.logprobs"],
            }
        )

        async def speak():
            for at in range(0, len(audio), PIECE):
                piece = base64.b64encode(audio[at : at + PIECE]).decode()
                await connection.input_audio_buffer.append(audio=piece)
                await asyncio.sleep(0)
            if mode == "hang":
                print(json.dumps({"type": "hanging"}), flush=True)
                await asyncio.sleep(600)
            if detection is None:
                await connection.input_audio_buffer.commit()
            else:  # silence that ends the last turn, and a mark that all of it has been received
                silence = base64.b64encode(bytes(2 * 2 * rate)).decode()
                await connection.input_audio_buffer.append(audio=silence)
                await connection.input_audio_buffer.clear()

        speaking = asyncio.create_task(speak())
        if mode == "slow":
            await speaking
        open_items, received = set(), False
        async for event in connection:
            shown = json.loads(event.to_json())
            print(json.dumps({"class": type(event).__name__, **shown}), flush=True)
            if event.type == "input_audio_buffer.committed":
                open_items.add(event.item_id)
                received = received or detection is None
            elif event.type == "input_audio_buffer.cleared":
                received = True
            elif event.type.endswith(".completed"):
                open_items.remove(event.item_id)
            if received and not open_items:
                break


asyncio.run(main())
