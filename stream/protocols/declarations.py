"""What a protocol declares about itself, so that the server has no code for single protocols."""

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


NO_KEY = "The key is missing or wrong."


class Transport(Enum):
    """The transport of a protocol."""

    WEBSOCKET = auto()
    TCP = auto()
    """A TCP connection without a handshake; `receive_binary` gets its bytes, divided anywhere."""


@dataclass(frozen=True, slots=True)
class OwnPort:
    """A port that serves only this protocol; websockets are at the path `/` of it."""

    port_setting: str
    """Name of the field of `ServerConfig` with the TCP port; there is none if its value is None."""
    host_setting: str | None = None
    """Name of the field of `ServerConfig` with the address to listen on; None for the server's."""
    allow_setting: str | None = None
    """Name of the field of `ServerConfig` with the addresses of clients that are accepted."""
    query_setting: str | None = None
    """Name of the field of `ServerConfig` with settings for each connection, as a query string."""


@dataclass(frozen=True, slots=True)
class KeyPlaces:
    """The places in a request where the API key may be; the first one that has a key counts."""

    headers: tuple[tuple[str, str], ...] = (("Authorization", "Bearer"),)
    """Header fields, each with the scheme before the key; "" if there is no scheme."""
    query_fields: tuple[str, ...] = ("token",)
    subprotocol_labels: tuple[str, ...] = ()
    """Subprotocols that precede the key in the client's list: `token` for `token, KEY`."""
    subprotocol_prefixes: tuple[str, ...] = ("token.",)
    """Prefixes of a subprotocol that contains the key: `key.` for `key.KEY`."""
    first_message: bool = False
    """Whether the client may send the key in its first message, which the protocol passes to
    `SessionProtocol.receive_key`."""


@dataclass(frozen=True, slots=True)
class SignedRequest:
    """The parts of a request that a signature may cover."""

    headers: HeaderFields
    target: str
    """Path and query of the request."""
    base_url: str
    """Scheme and host of the URL that the client used, such as wss://calls.example.com."""


@dataclass(frozen=True, slots=True)
class Signature:
    """How the requests of a protocol are signed.

    If the operator has configured the secret, each request must be signed with it, and no API key
    is read. Otherwise signatures are ignored, and the API key counts as usual.
    """

    secret_setting: str
    """Name of the field of `ServerConfig` that holds the secret."""
    verify: Callable[[str, SignedRequest], bool]
    """Returns whether a request is signed with a secret; called with secret and request."""
    sentence: str
    """Message to a client whose signature is missing or wrong."""


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
    """A response to a plain HTTP request or to a refused handshake."""

    status: int
    body: str
    headers: Mapping[str, str] = field(default_factory=dict)
    """Header fields, without `Content-Length`; `Content-Type` is plain text by default."""


@dataclass(frozen=True, slots=True)
class HttpRoute:
    """A plain HTTP route that belongs to a protocol; it requires the same key."""

    method: str
    path: str
    respond: Callable[[Service, HttpRequest], HttpResponse]
    """A pure function from a request to its response. If it raises `PeerError`, the response is
    `refusal(400, …)`."""


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
    """Where the API key is; None if clients cannot send a key, and are accepted without one."""
    signature: ClassVar[Signature | None] = None

    can_resume: ClassVar[bool] = False
    """Whether a client that lost its connection can resume its stream over another one."""
    idle_s: float | None = None
    """Seconds after which a client that sends no message is disconnected, if that is less than the
    server's own limit; None for the server's."""
    close_codes: ClassVar[Mapping[int, int]] = {}
    """The close code to send for those of `CloseCode` for which it differs."""

    @classmethod
    def refusal(cls, status: int, code: str, sentence: str) -> HttpResponse:
        """Return the response that refuses a connection which is not open yet.

        Args:
            status: HTTP status.
            code: `not_authorised`, `not_allowed`, `over_limit`, `too_many_tries`,
                `origin_not_allowed`, `not_ready`, `full`, `too_busy`, or the code of a `PeerError`
                that a route or `check_request` raised.
            sentence: description of the fault and of the remedy.

        Returns:
            The response to the handshake. Over plain TCP, only its body is sent.
        """
        return HttpResponse(status, f"{sentence}\n")

    @classmethod
    def check_request(cls, service: Service, query: Query) -> None:
        """Raise `PeerError` for a query that is refused with HTTP 400, before the handshake."""

    @classmethod
    def check_query(cls, query: Query) -> None:
        """Raise `PeerError` for settings of `OwnPort.query_setting` that the protocol refuses."""
        from_query(query)
