"""Telnyx Media Streaming: `stream_url` is `wss://…/v1/telnyx`; see `media_streams`.

Telnyx does not tell which tracks it sends: `?tracks=both` in the URL does. Messages may come out of
order. The names are those of Telnyx's AsyncAPI description and of pipecat's serializer.
"""

from stream.protocols.media_stream_messages import Dialect
from stream.protocols.media_streams import MediaStreamsProtocol


class TelnyxProtocol(MediaStreamsProtocol):
    """One call."""

    paths = ("/v1/telnyx",)
    dialect = Dialect(
        "Telnyx Media Streaming",
        encodings={"pcmu": "mulaw", "pcma": "alaw"},
        names={
            "sequence_number": "sequenceNumber",
            "stream_id": "streamSid",
            "call_control_id": "callSid",
            "media_format": "mediaFormat",
            "sample_rate": "sampleRate",
            "custom_parameters": "customParameters",
        },
        relative=True,
    )
