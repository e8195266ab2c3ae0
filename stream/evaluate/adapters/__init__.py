"""The systems under test, one file each.

A streaming adapter is `listen(url, feed, endpointing_ms)`: it sends the feed's chunks to a server
and yields what comes back as events; it raises `StreamError` where the stream breaks. An offline
adapter is `load(model)`, which returns what turns a whole recording into text. Another system is
one more file and one more row.
"""

from collections.abc import AsyncGenerator, Callable
from importlib import import_module
from typing import Any

from stream.evaluate.adapters.feed import Feed
from stream.evaluate.material.recordings import Audio
from stream.evaluate.measures.record import Event

Listen = Callable[[str, Feed, int], AsyncGenerator[Event, None]]
"""Server's address, audio, silence that ends an utterance in milliseconds."""

Transcribe = Callable[[Audio], str]

STREAMING = {
    "native": "stream.evaluate.adapters.native:listen",
    "usual": "stream.evaluate.adapters.usual:listen",
}
"""By the protocol that the server speaks."""

OFFLINE = {
    "same-model": "stream.evaluate.adapters.same_model:load",
    "faster-whisper": "stream.evaluate.adapters.faster_whisper:load",
}


def listener(name: str) -> Listen:
    """Return a streaming adapter."""
    listen: Listen = _import(STREAMING[name])
    return listen


def offline(name: str, model: str) -> Transcribe:
    """Load an offline system. Raises `UsageError` where it is not installed."""
    load: Callable[[str], Transcribe] = _import(OFFLINE[name])
    return load(model)


def _import(row: str) -> Any:
    module, _, name = row.partition(":")
    return getattr(import_module(module), name)
