"""Maps paths of the shared port, and separate ports, to protocols."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from starlette.routing import compile_path

from stream.config import ServerConfig
from stream.errors import PeerError, UsageError
from stream.protocols.declarations import Query, Transport
from stream.protocols.protocol_table import load_protocols
from stream.protocols.session_protocol import SessionProtocol
from stream.server.access import query_fields


class Endpoint(NamedTuple):
    """The protocol at a path, and the values of the `{fields}` of that path."""

    protocol: type[SessionProtocol]
    path_fields: Mapping[str, str]


FindEndpoint = Callable[[str], Endpoint | None]
"""Returns the endpoint at a path of a port; None if there is none."""


class OpenPort(NamedTuple):
    """A port that serves a single protocol."""

    protocol: type[SessionProtocol]
    number: int
    option: str
    """The flag that sets the number of the port."""
    host: str | None
    """The address to listen on; None for that of the server."""
    allowed: tuple[str, ...]
    """Addresses and networks of the clients that are accepted; empty for all."""
    query: Query
    """Settings for each connection, as fields of a query string; TCP connections have none."""

    def find(self, path: str) -> Endpoint | None:
        """Return the protocol at `/`; None at other paths."""
        return Endpoint(self.protocol, {}) if path == "/" else None


class Endpoints:
    """The protocols of a server, with the paths and ports that they declare."""

    def __init__(self, protocols: Mapping[str, str], config: ServerConfig) -> None:
        """Import the protocols of a table: name -> module:class.

        Raises `UsageError` for invalid settings of a protocol's port.
        """
        self.protocols = load_protocols(protocols.values())
        self.ports = [port for one in self.protocols if (port := open_port(one, config))]
        self._patterns = [
            (compile_path(path)[0], protocol)
            for protocol in self.protocols
            if protocol.transport is Transport.WEBSOCKET
            for path in protocol.paths
        ]

    def find(self, path: str) -> Endpoint | None:
        """Return the endpoint at a path of the shared port; None if there is none."""
        for pattern, protocol in self._patterns:
            if found := pattern.match(path):
                return Endpoint(protocol, found.groupdict())
        return None


def open_port(protocol: type[SessionProtocol], config: ServerConfig) -> OpenPort | None:
    """Return the separate port of a protocol, as configured; None if it has none or it is closed.

    Raises `UsageError` for settings that the protocol refuses.
    """
    own = protocol.own_port
    if own is None:
        return None
    query = query_fields(getattr(config, own.query_setting)) if own.query_setting else {}
    try:
        protocol.check_query(query)
    except PeerError as error:
        raise UsageError(f"{own.query_setting}: {error}") from None
    number: int | None = getattr(config, own.port_setting)
    if number is None:
        return None
    option = f"--{own.port_setting.replace('_', '-')}"
    host: str | None = getattr(config, own.host_setting) if own.host_setting else None
    allowed: tuple[str, ...] = getattr(config, own.allow_setting) if own.allow_setting else ()
    return OpenPort(protocol, number, option, host, allowed, query)
