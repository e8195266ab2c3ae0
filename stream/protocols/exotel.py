"""Exotel's Stream and Voicebot applets: their URL is `wss://…/v1/exotel`; see `media_streams`.

Exotel calls its 16-bit samples `base64` after their envelope. Custom parameters come in `start` or
in the query of the URL. The names are those of Exotel's documentation and of pipecat's serializer.
"""

from stream.protocols.media_stream_messages import Dialect
from stream.protocols.media_streams import MediaStreamsProtocol


class ExotelProtocol(MediaStreamsProtocol):
    """One call."""

    paths = ("/v1/exotel",)
    dialect = Dialect(
        "Exotel's applets",
        encodings={
            "base64": "pcm_s16le",
            "raw/slin": "pcm_s16le",
            "audio/l16": "pcm_s16le",
            "audio/x-mulaw": "mulaw",
        },
        names={
            "sequence_number": "sequenceNumber",
            "stream_sid": "streamSid",
            "call_sid": "callSid",
            "media_format": "mediaFormat",
            "sample_rate": "sampleRate",
            "custom_parameters": "customParameters",
        },
        relative=True,
        tolerance_ms=200,
        query_has_parameters=True,
    )
