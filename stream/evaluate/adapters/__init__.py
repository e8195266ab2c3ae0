"""Adapters for the systems under test, one file each.

A streaming adapter is a function `stream_feed(url, feed, endpointing_ms)`: it sends the chunks of
the feed to a server and yields the server's messages as events; it raises `StreamError` if the
stream breaks. An offline adapter is a function `load(model)`, which returns a function from the
audio of a whole recording, one channel, to its transcript. To add a system, add a file here and a
row to `STREAMING` or `OFFLINE`.
"""

from collections.abc import AsyncGenerator, Callable
from importlib import import_module
from typing import Any

from stream.evaluate.adapters.feed import Feed
from stream.evaluate.material.recordings import Audio
from stream.evaluate.measures.record import Event, Transcript

StreamingAdapter = Callable[[str, Feed, int], AsyncGenerator[Event, None]]
"""Arguments: the server's address, the audio, the silence that ends an utterance (milliseconds)."""

Transcribe = Callable[[Audio], Transcript]
"""Returns the transcript of a whole recording of one channel."""

STREAMING = {
    "native": "stream.evaluate.adapters.native:stream_feed",
    "usual": "stream.evaluate.adapters.usual:stream_feed",
}
"""Streaming adapters, by the protocol of the server: `module:function`."""

OFFLINE = {
    "same-model": "stream.evaluate.adapters.same_model:load",
    "faster-whisper": "stream.evaluate.adapters.faster_whisper:load",
}
"""Offline adapters, by name: `module:function`."""


def streaming_adapter(name: str) -> StreamingAdapter:
    """Import and return a streaming adapter of `STREAMING`."""
    adapter: StreamingAdapter = _import(STREAMING[name])
    return adapter


def load_offline(name: str, model: str) -> Transcribe:
    """Load a model with an offline adapter of `OFFLINE`.

    Raises:
        UsageError: the system is not installed.
    """
    load: Callable[[str], Transcribe] = _import(OFFLINE[name])
    return load(model)


def _import(row: str) -> Any:
    module, _, name = row.partition(":")
    return getattr(import_module(module), name)
