"""A client of the distil-stream server; it does not depend on the package of the server.

Send audio and read the events of the server at the same time:

    from distil_stream_client import Final, Partial, transcribe

    async for event in transcribe("ws://127.0.0.1:8765", frames, sample_rate=48_000):
        match event:
            case Partial():
                print(event.committed + event.tentative, end="\\r")
            case Final():
                print(event.text)

`frames` is an asynchronous iterable of bytes (16-bit little-endian samples, channels
interleaved, unless `encoding` says otherwise) in pieces of any size. An open stream allows more:

    async with connect("ws://127.0.0.1:8765", language="auto", words=True) as stream:
        await stream.send_audio(samples)
        await stream.finalize(mark=7)      # finals for all audio so far, then Mark(id=7)
        await stream.end()                 # finals for all that is left, then Ended
        async for event in stream:
            ...

Read while you send: a server closes a stream whose messages are not read. `Options` lists the
settings of a stream and of its connection. If the server refuses, `ServerError` (`code`, `message`)
is raised; if a connection fails, `ConnectionLost`. A stream on which the server receives nothing
for `ready.limits.idle_s` seconds also ends with `ConnectionLost` (`close_code` 4000): call
`keepalive` in longer pauses, or connect with `keep_alive=True`.

If the connection of an open stream is lost, the client reconnects for at most `reconnect_s` seconds
(60), also if the server restarts: sending waits until it is connected, the stream continues where
it was, and no word is lost or doubled. A further `Ready` among the events indicates a new
connection. If a server was replaced in the middle of an utterance, the `committed` words of a later
`Partial` may differ from those of earlier ones.

`StreamProtocol` is the same stream without I/O, for other kinds of sockets.
"""

from distil_stream_client.client import Stream, connect, transcribe
from distil_stream_client.errors import ConnectionLost, ServerError
from distil_stream_client.events import (
    Configured,
    Ended,
    Error,
    Final,
    Gap,
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
from distil_stream_client.protocol import Action, StreamProtocol
from distil_stream_client.rooms import (
    KeyPressed,
    Line,
    Presence,
    RoomEvent,
    RoomOptions,
    Snapshot,
    read_room,
)
from distil_stream_client.settings import Changes, Options, Settings
from distil_stream_client.states import State
from distil_stream_client.version import __version__

__all__ = [
    "Action",
    "Changes",
    "Configured",
    "ConnectionLost",
    "Ended",
    "Error",
    "Final",
    "Gap",
    "KeyPressed",
    "Latency",
    "Limits",
    "Line",
    "Mark",
    "Options",
    "Partial",
    "Presence",
    "Progress",
    "Ready",
    "RoomEvent",
    "RoomOptions",
    "ServerError",
    "ServerEvent",
    "Settings",
    "Snapshot",
    "SpeechEnded",
    "SpeechStarted",
    "State",
    "Stream",
    "StreamProtocol",
    "Unknown",
    "Word",
    "__version__",
    "connect",
    "parse",
    "read_room",
    "transcribe",
]
