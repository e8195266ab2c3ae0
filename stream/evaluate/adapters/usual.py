"""Streams to the server that is built the usual way (`usual_server.py`), over its own protocol."""

import asyncio
import json
from collections.abc import AsyncGenerator
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from stream.core.audio import SAMPLE_RATE
from stream.evaluate.adapters.feed import Feed
from stream.evaluate.measures.record import (
    Event,
    Finished,
    Shown,
    SpeechBegan,
    SpeechOver,
    StreamError,
)


async def stream_feed(url: str, feed: Feed, endpointing_ms: int) -> AsyncGenerator[Event, None]:
    """Stream a feed, and yield the server's messages as events.

    Raises:
        StreamError: the connection was lost before the stream ended.
    """
    address = url.replace("http", "ws", 1)
    query = f"sample_rate={feed.rate}&endpointing_ms={endpointing_ms}"
    try:
        async with connect(f"{address}?{query}", compression=None, ping_interval=None) as websocket:
            sending = asyncio.create_task(send_all(websocket, feed))
            try:
                async for text in websocket:
                    message = json.loads(text)
                    if message["type"] == "ended":
                        await sending
                        return
                    yield event_of(message)
            finally:
                sending.cancel()
    except (ConnectionClosed, OSError) as error:
        raise StreamError(str(error)) from error
    raise StreamError("the server closed the connection before the end of the stream")


async def send_all(websocket: ClientConnection, feed: Feed) -> None:
    """Send all audio, then the message that ends the stream."""
    async for chunk in feed.chunks():
        await websocket.send(chunk)
    await websocket.send("end")


def event_of(message: dict[str, Any]) -> Event:
    """Convert a message to an event of the record."""
    utterance = (0, message["utterance"])
    match message["type"]:
        case "speech_started":
            return SpeechBegan(utterance, message["time"] / SAMPLE_RATE)
        case "speech_ended":
            return SpeechOver(utterance, message["time"] / SAMPLE_RATE)
        case "partial":
            committed, tentative = message["committed"].split(), message["tentative"].split()
            return Shown(utterance, tuple(committed), tuple(tentative))
    return Finished(utterance, message["text"], by_silence=message["by_silence"])
