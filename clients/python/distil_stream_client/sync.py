"""The client for programs without asyncio: the same streams and events, with blocking calls.

    from distil_stream_client import Final, sync

    for event in sync.transcribe("ws://127.0.0.1:8765", frames, sample_rate=48_000):
        if isinstance(event, Final):
            print(event.text)

With an open stream, one thread sends while another one reads:

    with sync.connect("ws://127.0.0.1:8765", words=True) as stream:
        threading.Thread(target=stream.send_all, args=(frames,)).start()
        for event in stream:
            ...

Each call runs the asynchronous client on an event loop in a separate thread, and waits for it.
As in the asynchronous client, sending waits while the server does not read.
"""

import asyncio
import threading
from collections.abc import AsyncIterator, Coroutine, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar, Unpack

from distil_stream_client import client
from distil_stream_client.errors import ConnectionLost, ServerError
from distil_stream_client.events import Ended, Ready, ServerEvent
from distil_stream_client.rooms import RoomEvent, RoomOptions
from distil_stream_client.rooms import read_room as read_room_async
from distil_stream_client.settings import Changes, Options

T = TypeVar("T")
END = object()
"""Marks the end of an iterator."""


class Loop:
    """An event loop that runs in a separate thread."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._closed = False
        self._closing = threading.Lock()
        self._thread = threading.Thread(
            target=self._loop.run_forever, name="distil-stream-client", daemon=True
        )
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run work on the loop and wait for its result; if interrupted, cancel the work.

        Raises `ConnectionLost` if the loop was closed.
        """
        with self._closing:
            if self._closed:
                work.close()
                raise ConnectionLost("The stream was closed.")
            future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def iterate(self, events: AsyncIterator[T]) -> Iterator[T]:
        """Yield the items of an asynchronous iterator, which runs on the loop."""
        while (event := self.run(next_or_end(events))) is not END:
            yield event  # type: ignore[misc]

    def close(self) -> None:
        """Cancel all work, and end the thread."""
        with self._closing:  # Work that is submitted after this would never run.
            self._closed = True
        asyncio.run_coroutine_threadsafe(cancel_all(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


class Stream:
    """An open stream like `distil_stream_client.Stream`; each method blocks until it is done.

    One thread may send while another one iterates over the events.
    """

    def __init__(self, loop: Loop, stream: client.Stream) -> None:
        self._loop = loop
        self._stream = stream

    @property
    def ready(self) -> Ready:
        """The first message of the server: the model, the session and its limits."""
        return self._stream.ready

    @property
    def ended(self) -> Ended | None:
        """The `Ended` event, once it has been received."""
        return self._stream.ended

    def send_audio(self, data: bytes) -> None:
        """Send any number of samples in the encoding of the settings, channels interleaved."""
        self._loop.run(self._stream.send_audio(data))

    def send_all(self, audio: Iterable[bytes]) -> None:
        """Send all of `audio` and `end`; return early if the stream is closed."""
        try:
            for data in audio:
                self.send_audio(data)
            self.end()
        except (ConnectionLost, ServerError):
            return  # The exception is raised where the events are read.

    def finalize(self, mark: int | None = None) -> None:
        """Request the finals of all audio so far now; `Mark(id=mark)` follows them, if given."""
        self._loop.run(self._stream.finalize(mark))

    def mark(self, id: int) -> None:
        """Request a `Mark(id)` as soon as every sample sent so far is settled."""
        self._loop.run(self._stream.mark(id))

    def configure(self, **changes: Unpack[Changes]) -> None:
        """Change settings for the audio that follows; `Configured` or an `Error` is the answer."""
        self._loop.run(self._stream.configure(**changes))

    def keepalive(self) -> None:
        """Keep the stream open while there is no audio to send.

        A server ends a stream on which it receives nothing for `ready.limits.idle_s` seconds.
        """
        self._loop.run(self._stream.keepalive())

    def end(self) -> None:
        """End the audio. Continue to read: the last finals follow, and then `Ended`."""
        self._loop.run(self._stream.end())

    def __iter__(self) -> Iterator[ServerEvent]:
        return self._loop.iterate(aiter(self._stream))


@contextmanager
def connect(url: str, **options: Unpack[Options]) -> Iterator[Stream]:
    """Open a stream; arguments and exceptions are those of the asynchronous `connect`."""
    with running_loop() as loop:
        context = client.connect(url, **options)
        stream = loop.run(context.__aenter__())
        try:
            yield Stream(loop, stream)
        finally:
            loop.run(context.__aexit__(None, None, None))


def transcribe(
    url: str, audio: Iterable[bytes], **options: Unpack[Options]
) -> Iterator[ServerEvent]:
    """Send `audio`, and at the same time yield every event after `Ready`, up to `Ended`.

    `audio` is read on a separate thread; if it raises an exception, the events up to `Ended` are
    yielded, and then the exception is raised to the caller.
    """
    failures: list[Exception] = []
    with connect(url, **options) as stream:
        stopped = threading.Event()

        def send() -> None:
            try:
                stream.send_all(until(stopped, audio))
            except Exception as error:
                if stopped.is_set():
                    return  # The caller has stopped reading.
                failures.append(error)
                stream.end()

        sending = threading.Thread(target=send, daemon=True)
        sending.start()
        try:
            yield from stream
        finally:
            stopped.set()
    if failures:
        raise failures[0]


def read_room(url: str, room: str, **options: Unpack[RoomOptions]) -> Iterator[RoomEvent]:
    """Yield the events of a room; arguments are those of the asynchronous `read_room`."""
    with running_loop() as loop:
        events = read_room_async(url, room, **options)
        try:
            yield from loop.iterate(events)
        finally:
            loop.run(events.aclose())


@contextmanager
def running_loop() -> Iterator[Loop]:
    """Run an event loop in a thread until the `with` block ends."""
    loop = Loop()
    try:
        yield loop
    finally:
        loop.close()


def until(stopped: threading.Event, audio: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the pieces of `audio` until it ends or `stopped` is set."""
    for data in audio:
        if stopped.is_set():
            return
        yield data


async def next_or_end(events: AsyncIterator[T]) -> T | object:
    """Return the next event; after the last, `END`, as no future can raise `StopAsyncIteration`."""
    return await anext(events, END)


async def cancel_all() -> None:
    """Cancel all other tasks of this loop, and wait for them."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
