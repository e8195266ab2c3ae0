"""Twilio Media Streams: `<Stream url="wss://…/v1/twilio">`; see `media_streams`."""

from stream.protocols import twilio_signature
from stream.protocols.declarations import Signature
from stream.protocols.media_stream_messages import Dialect
from stream.protocols.media_streams import MediaStreamsProtocol

NO_SIGNATURE = "Twilio's signature is missing or wrong; see --twilio-auth-token and --public-url."


class TwilioProtocol(MediaStreamsProtocol):
    """One call."""

    paths = ("/v1/twilio",)
    signature = Signature(
        secret_setting="twilio_auth_token",
        verify=twilio_signature.verify,
        sentence=NO_SIGNATURE,
    )
    dialect = Dialect("Twilio Media Streams", {"audio/x-mulaw": "mulaw"})
