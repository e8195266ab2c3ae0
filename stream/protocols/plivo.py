"""Plivo Audio Streaming: `<Stream>wss://…/v1/plivo</Stream>`; see `media_streams`.

Plivo sends no `stop`: the call ends with the connection. No source tells where its timestamps
begin, so they count from the first one. The names are those of Plivo's documentation and SDK.
"""

from stream.protocols.media_stream_messages import Dialect
from stream.protocols.media_streams import MediaStreamsProtocol


class PlivoProtocol(MediaStreamsProtocol):
    """One call."""

    paths = ("/v1/plivo",)
    dialect = Dialect(
        "Plivo Audio Streaming",
        encodings={"audio/x-mulaw": "mulaw", "audio/x-l16": "pcm_s16le"},
        names={"streamId": "streamSid", "callId": "callSid"},
        relative=True,
        tolerance_ms=200,
    )
