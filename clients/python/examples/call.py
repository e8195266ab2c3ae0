# /// script
# requires-python = ">=3.11"
# dependencies = ["distil-stream-client"]
# [tool.uv.sources]
# distil-stream-client = { path = ".." }
# ///
"""Transcribes a call to JSON lines: `call.py AGENT.wav CUSTOMER.wav [SERVER]`.

Each party has a 16-bit mono WAV file of 8 kHz, as telephone systems record calls. The audio is sent
at the pace of a telephone line; SERVER/rooms/desk-1 shows the transcript live.
"""

import asyncio
import json
import sys
import wave
from array import array
from collections.abc import AsyncIterator
from itertools import chain

from distil_stream_client import Final, Options, transcribe

RATE = 8_000
PACKET = RATE // 50
"""Number of samples in 20 ms."""

SPEAKERS = ["Agent", "Customer"]


async def call_audio(agent: str, customer: str) -> AsyncIterator[bytes]:
    """Yield a packet of both parties, samples interleaved, every 20 ms."""
    clock = asyncio.get_running_loop().time
    began, sent = clock(), 0
    with wave.open(agent) as one, wave.open(customer) as other:
        for party in (one, other):
            if (party.getframerate(), party.getnchannels(), party.getsampwidth()) != (RATE, 1, 2):
                sys.exit("This example reads 16-bit mono WAV files of 8 kHz.")
        while any(packets := [one.readframes(PACKET), other.readframes(PACKET)]):
            longest = max(map(len, packets))
            samples = [memoryview(packet.ljust(longest, b"\0")).cast("H") for packet in packets]
            yield array("H", chain.from_iterable(zip(*samples, strict=True))).tobytes()
            sent += PACKET
            await asyncio.sleep(began + sent / RATE - clock())


async def main(agent: str, customer: str, server: str) -> None:
    """Print a JSON line for each final."""
    settings: Options = {
        "sample_rate": RATE,
        "channels": 2,
        "words": True,
        "room": "desk-1",
        "speakers": SPEAKERS,
    }
    async for event in transcribe(server, call_audio(agent, customer), **settings):
        if isinstance(event, Final) and event.text:
            turn = {"speaker": SPEAKERS[event.channel], "start": event.start, "end": event.end}
            print(json.dumps({**turn, "text": event.text}, ensure_ascii=False), flush=True)


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    server = sys.argv[3] if len(sys.argv) > 3 else "http://127.0.0.1:8765"
    asyncio.run(main(sys.argv[1], sys.argv[2], server))
