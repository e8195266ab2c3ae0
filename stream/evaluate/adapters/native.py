"""Our own server, over its websocket; while it listens it holds the server to its accounts."""

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


async def listen(url: str, feed: Feed, endpointing_ms: int) -> AsyncGenerator[Event, None]:
    """Stream a feed; yields what the server says of it, and the promises it breaks."""
    accounts = Accounts()
    try:
        async with connect(
            url, sample_rate=feed.rate, endpointing_ms=endpointing_ms, words=True
        ) as stream:
            for broken in accounts.check(stream.ready, 0):
                yield broken
            sending = asyncio.create_task(stream.send_all(feed.chunks()))
            try:
                async for message in stream:
                    for broken in accounts.check(message, feed.n_samples):
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
    """Say what a message means to a reader; None where it means nothing."""
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


class Accounts:
    """Checks that messages are numbered without gaps, and that every sample is settled."""

    def __init__(self) -> None:
        self._seq = 0

    def check(self, message: ServerEvent, sent: int) -> Iterator[Broken]:
        """Take the next message; `sent` is how many samples the server was given in all."""
        if message.seq != self._seq + 1:
            yield Broken(f"message {message.seq} follows message {self._seq}")
        self._seq = message.seq
        if isinstance(message, Ended) and not message.settled == message.received == sent:
            yield Broken(
                f"{sent} samples were sent, {message.received} received, {message.settled} settled"
            )
