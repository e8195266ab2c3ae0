"""The table of the wire protocols that a server offers.

To add a protocol, add a module and a row of `PROTOCOLS`.
"""

from collections.abc import Iterable
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stream.protocols.session_protocol import SessionProtocol

PROTOCOLS: dict[str, str] = {
    "native": "stream.protocols.native:NativeProtocol",
    "twilio": "stream.protocols.twilio:TwilioProtocol",
    "telnyx": "stream.protocols.telnyx:TelnyxProtocol",
    "plivo": "stream.protocols.plivo:PlivoProtocol",
    "exotel": "stream.protocols.exotel:ExotelProtocol",
    "vonage": "stream.protocols.vonage:VonageProtocol",
    "genesys": "stream.protocols.genesys:GenesysProtocol",
    "audiocodes": "stream.protocols.audiocodes:AudioCodesProtocol",
    "jitsi": "stream.protocols.jitsi:JitsiProtocol",
    "deepgram": "stream.protocols.deepgram.listen:DeepgramProtocol",
    "deepgram-flux": "stream.protocols.deepgram.flux:FluxProtocol",
    "openai-realtime": "stream.protocols.openai_realtime.realtime:OpenAIRealtimeProtocol",
    "assemblyai": "stream.protocols.assemblyai:AssemblyAIProtocol",
    "whisperlive": "stream.protocols.whisperlive:WhisperLiveProtocol",
    "vosk": "stream.protocols.vosk:VoskProtocol",
    "wyoming": "stream.protocols.wyoming:WyomingProtocol",
    "audiosocket": "stream.protocols.audiosocket:AudioSocketProtocol",
}
"""Name of a protocol -> module:class. A server imports them when it is created."""


def load_protocol(location: str) -> "type[SessionProtocol]":
    """Import and return the protocol at `module:class`."""
    module, name = location.split(":")
    protocol: type[SessionProtocol] = getattr(import_module(module), name)
    return protocol


def load_protocols(
    locations: Iterable[str] = PROTOCOLS.values(),
) -> "tuple[type[SessionProtocol], ...]":
    """Import and return protocols, by default all of the table."""
    return tuple(map(load_protocol, locations))
