"""Wire protocols: a message in, the session moves, messages out. A new one is a file and a row."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stream.protocols.stream_protocol import StreamProtocol

PROTOCOLS: dict[str, str] = {
    "/v1/stream": "stream.protocols.native:NativeProtocol",
    "/v1/twilio": "stream.protocols.twilio:TwilioProtocol",
}
"""Path of the websocket -> module:class, imported when the first client asks for it."""


def load_protocol(path: str) -> "type[StreamProtocol]":
    """Return the protocol spoken at a path. Raises `KeyError` where none is."""
    module, name = PROTOCOLS[path].split(":")
    protocol: type[StreamProtocol] = getattr(import_module(module), name)
    return protocol
