"""Streams to our own server over its websocket, and checks its sequence and sample numbers."""

import asyncio
from collections.abc import AsyncGenerator, Iterator

from distil_stream_client import (
    ConnectionLost,
    Ended,
    Final,
    Partial,
    ServerError,
    ServerEvent,
    SpeechEnded,
    SpeechStarted,
    connect,
)

from stream.evaluate.adapters.feed import Feed
from stream.evaluate.measures.record import (
    Broken,
    Event,
    Finished,
    Shown,
    SpeechBegan,
    SpeechOver,
    StreamError,
    TimedWord,
)


async def stream_feed(url: str, feed: Feed, endpointing_ms: int) -> AsyncGenerator[Event, None]:
    """Stream a feed; yield the server's messages as events, and a `Broken` for each violation.

    Raises:
        StreamError: the server refused the stream, reported an error, or the connection was lost.
    """
    checks = SequenceCheck()
    try:
        async with connect(
            url,
            sample_rate=feed.rate,
            encoding=feed.encoding,
            channels=feed.channels,
            endpointing_ms=endpointing_ms,
            words=True,
        ) as stream:
            for broken in checks.check(stream.ready, 0):
                yield broken
            sending = asyncio.create_task(stream.send_all(feed.chunks()))
            try:
                async for message in stream:
                    for broken in checks.check(message, feed.n_samples):
                        yield broken
                    event = event_of(message, endpointing_ms)
                    if event is not None:
                        yield event
                await sending
            finally:
                sending.cancel()
    except (ServerError, ConnectionLost) as error:
        raise StreamError(str(error)) from error


def event_of(message: ServerEvent, endpointing_ms: int) -> Event | None:
    """Convert a message to an event of the record; None if the record does not need it."""
    match message:
        case SpeechEnded():
            return SpeechOver((message.channel, message.utterance), message.time)
        case SpeechStarted():
            return SpeechBegan((message.channel, message.utterance), message.time)
        case Partial():
            return Shown(
                (message.channel, message.utterance),
                tuple(message.committed.split()),
                tuple(message.tentative.split()),
            )
        case Final():
            latency = message.latency
            return Finished(
                (message.channel, message.utterance),
                message.text,
                tuple(TimedWord(w.word, w.start, w.end, w.confidence) for w in message.words),
                by_silence=latency.endpoint_ms >= endpointing_ms,
                server_ms={
                    "after speech": latency.total_ms,
                    "beyond endpoint": latency.total_ms - latency.endpoint_ms,
                    "queue": latency.queue_ms,
                    "encode": latency.encode_ms,
                    "decode": latency.decode_ms,
                },
            )
    return None


class SequenceCheck:
    """Checks that messages are numbered without gaps, and that every sample is settled."""

    def __init__(self) -> None:
        self._seq = 0

    def check(self, message: ServerEvent, sent: int) -> Iterator[Broken]:
        """Check the next message, and yield each violation.

        Args:
            message: the next message of the server.
            sent: samples that were sent in the whole stream.
        """
        if message.seq != self._seq + 1:
            yield Broken(f"message {message.seq} follows message {self._seq}")
        self._seq = message.seq
        if isinstance(message, Ended) and not message.settled == message.received == sent:
            yield Broken(
                f"{sent} samples were sent, {message.received} received, {message.settled} settled"
            )
