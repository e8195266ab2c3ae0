"""A client of the distil-stream server; knows the wire protocol and nothing of the server.

Stream audio and read what it says, at the same time:

    from distil_stream_client import Final, Partial, transcribe

    async for event in transcribe("ws://127.0.0.1:8765", frames, sample_rate=48_000):
        match event:
            case Partial():
                print(event.committed + event.tentative, end="\\r")
            case Final():
                print(event.text)

`frames` is an asynchronous iterable of bytes (16-bit little-endian samples, channels
interleaved, unless `encoding` says otherwise) in pieces of any size. With more in your own hands:

    async with connect("ws://127.0.0.1:8765", language="auto", words=True) as stream:
        await stream.send_audio(samples)
        await stream.finalize(mark=7)      # finals for all audio so far, then Mark(id=7)
        await stream.end()                 # finals for all that is left, then Ended
        async for event in stream:
            ...

Read while you send: a server whose messages nobody reads closes the stream. Settings are the
fields of the protocol's `start` message. A refusal is raised as `ServerError` (`code`, `message`),
a connection that fails as `ConnectionLost`. So is the end of a stream on which the server was sent
nothing for `ready.limits.idle_s` seconds (`close_code` 4000): send `keepalive` in longer pauses.

A connection that breaks later is opened again, for `reconnect_s` (60) at most, and so is one to a
server that restarts: sending waits meanwhile, the stream goes on where it was, and no word is lost
or doubled. A `Ready` among the events says that it happened. Of an utterance that was being spoken
when a server was replaced, a later `Partial` may say other `committed` words.
"""

from distil_stream_client.client import Stream, connect, transcribe
from distil_stream_client.events import (
    Configured,
    Ended,
    Error,
    Final,
    Latency,
    Limits,
    Mark,
    Partial,
    Progress,
    Ready,
    ServerEvent,
    SpeechEnded,
    SpeechStarted,
    Unknown,
    Word,
    parse,
)
from distil_stream_client.rooms import KeyPressed, Line, Presence, RoomEvent, Snapshot, read_room
from distil_stream_client.wire import ConnectionLost, ServerError

__all__ = [
    "Configured",
    "ConnectionLost",
    "Ended",
    "Error",
    "Final",
    "KeyPressed",
    "Latency",
    "Limits",
    "Line",
    "Mark",
    "Partial",
    "Presence",
    "Progress",
    "Ready",
    "RoomEvent",
    "ServerError",
    "ServerEvent",
    "Snapshot",
    "SpeechEnded",
    "SpeechStarted",
    "Stream",
    "Unknown",
    "Word",
    "connect",
    "parse",
    "read_room",
    "transcribe",
]
