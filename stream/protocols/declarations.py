"""What a protocol declares about itself, so that the server needs to know no protocol by name."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import ClassVar

from stream.protocols.interface import Service
from stream.protocols.start_settings import from_query

HeaderFields = Sequence[tuple[str, str]]
"""Names and values of header fields, in the order of the request."""

Query = Mapping[str, Sequence[str]]
"""The fields of a query string, each with all its values."""


NO_KEY = "The key is missing or wrong; see --api-key."


class Transport(Enum):
    """What carries a protocol."""

    WEBSOCKET = auto()
    TCP = auto()
    """A TCP connection without a handshake; `receive_binary` takes its bytes, cut anywhere."""


@dataclass(frozen=True, slots=True)
class OwnPort:
    """A port on which a protocol is alone. A websocket is opened at the path `/` of it."""

    port_setting: str
    """Name of the field of `ServerConfig` that holds the TCP port; None there closes the port."""
    query_setting: str | None = None
    """Name of the field that holds the settings of each connection, written as a query string."""


@dataclass(frozen=True, slots=True)
class KeyPlaces:
    """Where a client may show the API key. The first place that holds a key counts."""

    headers: tuple[tuple[str, str], ...] = (("Authorization", "Bearer"),)
    """Header fields with the scheme that stands before the key; "" if the key stands alone."""
    query_fields: tuple[str, ...] = ("token",)
    subprotocol_labels: tuple[str, ...] = ()
    """Subprotocols after which the client offers the key: `token` for `token, KEY`."""
    subprotocol_prefixes: tuple[str, ...] = ()
    """Beginnings of a subprotocol that ends with the key: `key.` for `key.KEY`."""
    first_message: bool = False
    """Whether the client may show the key in a message, which the protocol gives to
    `SessionProtocol.receive_key`."""


@dataclass(frozen=True, slots=True)
class SignedRequest:
    """What a signature may cover."""

    headers: HeaderFields
    target: str
    """Path and query."""
    base_url: str
    """Scheme and host that the client called, such as wss://calls.example.com."""


@dataclass(frozen=True, slots=True)
class Signature:
    """A signature of the request, which replaces the key if its secret is configured."""

    secret_setting: str
    """Name of the field of `ServerConfig` that holds the secret."""
    verify: Callable[[str, SignedRequest], bool]
    """Return whether the request is signed with the secret."""
    sentence: str
    """Tells a client that its signature is missing or wrong."""


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """A plain HTTP request to a route of a protocol."""

    path: str
    query: Query
    headers: HeaderFields
    body: bytes
    path_fields: Mapping[str, str] = field(default_factory=dict)
    """Values of the `{fields}` of the route's path."""


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """A response to plain HTTP, or to a handshake that is refused."""

    status: int
    body: str
    headers: Mapping[str, str] = field(default_factory=dict)
    """Header fields besides `Content-Length`; `Content-Type` is plain text unless it is here."""


@dataclass(frozen=True, slots=True)
class HttpRoute:
    """A plain HTTP route that belongs to a protocol; it requires the same key."""

    method: str
    path: str
    respond: Callable[[Service, HttpRequest], HttpResponse]
    """A pure function. It may raise `PeerError`, which becomes `refusal(400, …)`."""


class ProtocolDeclarations:
    """The class attributes and class methods that the server reads before a connection is open."""

    paths: ClassVar[tuple[str, ...]] = ()
    """Paths on the shared port. A segment may be a `{field}`; its value is added to the query."""
    subprotocols: ClassVar[tuple[str, ...]] = ()
    """Websocket subprotocols that are confirmed if a client offers them; it may offer none."""
    transport: ClassVar[Transport] = Transport.WEBSOCKET
    own_port: ClassVar[OwnPort | None] = None
    http_routes: ClassVar[tuple[HttpRoute, ...]] = ()

    key: ClassVar[KeyPlaces | None] = KeyPlaces()
    """None: clients cannot show a key, and are accepted without one."""
    signature: ClassVar[Signature | None] = None
    refuses_in_handshake: ClassVar[bool] = True
    """Whether a wrong key is answered with HTTP 401; else `fail` tells it on the open websocket."""

    can_resume: ClassVar[bool] = False
    """Whether a client that lost its connection can resume its stream through another one."""
    cuts_binary_frames: bool = False
    """Whether a large binary frame may be handed over in parts, so that it delays other streams
    less: true if binary frames hold nothing but audio."""
    idle_s: ClassVar[float | None] = None
    """Seconds after which a client that sends no message is disconnected, if that is less than the
    server's own limit; None for the server's."""
    close_codes: ClassVar[Mapping[int, int]] = {}
    """Close codes of the wire that differ from those of `CloseCode`, by the latter."""

    @classmethod
    def refusal(cls, status: int, code: str, sentence: str) -> HttpResponse:
        """Return how this protocol refuses a connection that is not open yet.

        Args:
            status: HTTP status.
            code: `not_authorised`, `origin_not_allowed`, `not_ready`, `full`, `too_busy`, or the
                code of a `PeerError` that a route or `check_request` raised.
            sentence: what is wrong and what to do.

        Returns:
            The response to the handshake. On TCP its body alone is sent.
        """
        return HttpResponse(status, f"{sentence}\n")

    @classmethod
    def check_request(cls, service: Service, query: Query) -> None:
        """Raise `PeerError` for a query that is refused with HTTP 400, before the handshake."""

    @classmethod
    def check_query(cls, query: Query) -> None:
        """Raise `PeerError` for settings of `OwnPort.query_setting` that the protocol refuses."""
        from_query(query)
