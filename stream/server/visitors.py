"""The clients of a server: which key each has shown, and what it may do with it.

A `Visitor` stands for one request or one connection. It holds the rights of its key, applies them
when a session is opened, and counts what it uses.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace

from stream.config import ServerConfig
from stream.errors import PeerError
from stream.protocols.close_codes import CloseCode
from stream.protocols.declarations import (
    NO_KEY,
    HttpResponse,
    KeyPlaces,
    ProtocolDeclarations,
    SignedRequest,
)
from stream.protocols.interface import RoomMembership, Service
from stream.server import access
from stream.server.addresses import client_of, forwarded_base
from stream.server.audit import Audit
from stream.server.keys.grants import CALLS, Grant
from stream.server.keys.guesses import Guesses
from stream.server.keys.key_file import Permission
from stream.server.keys.keyring import Keyring
from stream.server.keys.usage import OverLimit, Usage
from stream.server.metrics import Metrics
from stream.server.rooms.rooms import Rooms
from stream.server.rooms.store import StoreError

log = logging.getLogger(__name__)

MAY_NOT: dict[Permission, str] = {
    "stream": "This key or token may not open streams.",
    "upload": "This key or token may not send recordings.",
    "administer": "This key or token may not administer the server.",
    "record": "This key or token may not record.",
}

ENDED = "The key was revoked or has expired."


@dataclass(frozen=True, slots=True)
class Asking:
    """A request, as far as it shows who asks."""

    fields: Sequence[tuple[str, str]]
    """Names and values of the header fields, in their order."""
    target: str
    """Path and query."""
    peer: str
    """Address at the other end of the connection."""

    @property
    def path(self) -> str:
        """The path without the query."""
        return self.target.partition("?")[0]

    @property
    def query(self) -> str:
        """The query, without the question mark."""
        return self.target.partition("?")[2]


class Refused(Exception):  # noqa: N818 (an answer, not a fault)
    """A request is refused: HTTP status, code, sentence, and further header fields."""

    def __init__(
        self, status: int, code: str, sentence: str, retry_after_s: int | None = None
    ) -> None:
        super().__init__(sentence)
        self.status = status
        self.code = code
        self.headers = {} if retry_after_s is None else {"Retry-After": str(retry_after_s)}

    def by(self, protocol: type[ProtocolDeclarations]) -> HttpResponse:
        """Return the response in the form of a protocol."""
        response = protocol.refusal(self.status, self.code, str(self))
        headers = {**response.headers, **self.headers}
        if self.status == 401:
            headers |= access.challenge(protocol.key)
        return replace(response, headers=headers)


class Visitors:
    """Identifies the clients of a server, and counts what they use."""

    def __init__(self, config: ServerConfig, metrics: Metrics, rooms: Rooms) -> None:
        """Read the keys. Raises `UsageError` if a file cannot be used."""
        self.config = config
        self.keyring = Keyring(config)
        self.usage = Usage()
        self.guesses = Guesses()
        self.audit = Audit(config.audit_file)
        self.rooms = rooms
        self._metrics = metrics

    def identify(self, asking: Asking, places: KeyPlaces) -> "Visitor":
        """Return the client of a request with its key.

        Raises `Refused` if its key is missing or wrong, or if it guesses too fast.
        """
        visitor = Visitor(self, self.client_of(asking))
        shown = access.shown_key(asking.fields, asking.query, places)
        if wait_s := visitor.show(shown):
            raise Refused(429, "too_many_tries", too_many_tries(wait_s), wait_s)
        if visitor.grant is None:
            raise Refused(401, "not_authorised", NO_KEY)
        return visitor

    def identify_for(self, protocol: type[ProtocolDeclarations], asking: Asking) -> "Visitor":
        """Return the client of a request to a protocol.

        If the protocol's clients may show the key in their first message, a client without one is
        returned as well; it has no rights yet. Raises `Refused`.
        """
        signature = protocol.signature
        secret = getattr(self.config, signature.secret_setting) if signature else None
        if signature is not None and secret is not None:
            request = SignedRequest(asking.fields, asking.target, self.base_url(asking))
            if not signature.verify(secret, request):
                self.count_refused(self.client_of(asking))
                raise Refused(401, "not_authorised", signature.sentence)
            return Visitor(self, self.client_of(asking), Grant(CALLS))
        if protocol.key is None:
            return Visitor(self, self.client_of(asking), self.keyless())
        late = protocol.key.first_message
        shown = access.shown_key(asking.fields, asking.query, protocol.key)
        if late and shown is None and self.keyring.required:
            return Visitor(self, self.client_of(asking))
        return self.identify(asking, protocol.key)

    def of_tcp(self, protocol: type[ProtocolDeclarations], peer: str) -> "Visitor":
        """Return the client of a plain TCP connection, which may show a key in a message."""
        if protocol.key is None or not self.keyring.required:
            return Visitor(self, peer, self.keyless())
        return Visitor(self, peer)

    def keyless(self) -> Grant:
        """Return the rights of a client whose protocol has no keys."""
        return Grant(CALLS) if self.keyring.required else self._anyone()

    def _anyone(self) -> Grant:
        grant = self.keyring.grant_of(None)
        assert grant is not None
        return grant

    def client_of(self, asking: Asking) -> str:
        """Return the address of the client of a request."""
        return client_of(asking.peer, asking.fields, self.config)

    def base_url(self, asking: Asking) -> str:
        """Return scheme and host of the URL that the client used, for signatures."""
        if self.config.public_url:
            return self.config.public_url
        if told := forwarded_base(asking.peer, asking.fields, self.config):
            scheme, host = told
            return f"{scheme.replace('http', 'ws', 1)}://{host}"
        return f"wss://{access.header(asking.fields, 'host') or ''}"

    def count_refused(self, client: str) -> None:
        """Count, log and note a key or a signature that was wrong."""
        log.warning("a wrong key from %s", client, extra={"peer": client})
        self._metrics.keys_refused.inc()
        self.audit.note("refuse", key="", client=client)

    def owner_of(self, room: str) -> tuple[bool, str | None]:
        """Return whether a room exists, and its owner; a room that cannot be read exists."""
        try:
            return self.rooms.owner_of(room)
        except StoreError:
            return True, UNKNOWN_OWNER


UNKNOWN_OWNER = "?"
"""No key has this name."""


class Visitor:
    """One client of one request or connection."""

    def __init__(self, visitors: Visitors, client: str, grant: Grant | None = None) -> None:
        """Create a client that has these rights, or none yet."""
        self.client = client
        """Its address."""
        self.grant = grant
        self.shown = ""
        """The key or the token that it has shown."""
        self._visitors = visitors
        self._counted = False

    @property
    def name(self) -> str:
        """Name of its key; empty if it has shown none."""
        return self.grant.name if self.grant else ""

    def show(self, shown: str | None) -> int:
        """Take the key that it shows; return for how many seconds it has to wait before, or 0."""
        guesses, keyring = self._visitors.guesses, self._visitors.keyring
        if shown and keyring.required and (wait_s := guesses.wait_s(self.client, shown)):
            return wait_s
        self.grant, self.shown = keyring.grant_of(shown), shown or ""
        if shown and keyring.required:
            guesses.note(self.client, shown, right=self.grant is not None)
            if self.grant is None:
                self._visitors.count_refused(self.client)
        return 0

    def key_fits(self, shown: str) -> bool:
        """Return whether a key in a message is right; it counts from now on."""
        return self.show(shown) == 0 and self.grant is not None

    def require(self, permission: Permission) -> None:
        """Raise `Refused` if the client may not do this, or if its key is over a limit."""
        if self.grant is None:
            return  # it shows its key later
        if not self.grant.may(permission):
            raise Refused(403, "not_allowed", MAY_NOT[permission])
        usage, key = self._visitors.usage, self.grant.rights
        try:
            if permission == "stream":
                usage.check_stream(key)
            elif permission == "upload":
                usage.check_upload(key)
        except OverLimit as over:
            raise Refused(429, "over_limit", over.sentence, over.retry_after_s) from None

    def service(self, base: Service) -> Service:
        """Return what the server offers to this client."""
        return replace(
            base, shown_key=self.shown, key_fits=self.key_fits, sign=self.sign, admit=self.admit
        )

    def sign(self, text: str) -> str:
        """Return the server's signature of a text; see `Service.sign`.

        Raises `PeerError` if the client itself has shown something that expires soon.
        """
        assert self.grant is not None
        if self.grant.token is not None:
            raise not_allowed("A short-lived key cannot make another one; show a key.")
        return self._visitors.keyring.sign_for(self.grant, text)

    def admit(self, membership: RoomMembership | None) -> RoomMembership | None:
        """Check whether the client may open a session in a room, or in none.

        Returns the membership with its owner, and with the labels of the token if that fixes them.

        Raises `PeerError` if the client may not, or if its key is over a limit.
        """
        if self.grant is None:
            raise PeerError("not_authorised", NO_KEY, CloseCode.NOT_AUTHORISED)
        if not self.grant.may("stream"):
            raise not_allowed(MAY_NOT["stream"])
        if not self._counted:
            self._check_limits(self.grant)
        return self._admit_to_room(self.grant, membership)

    def _admit_to_room(
        self, grant: Grant, membership: RoomMembership | None
    ) -> RoomMembership | None:
        if membership is None:
            if not grant.may_stream_alone():
                raise not_allowed("This token is for a room; name that room in `start`.")
            return None
        exists, owner = self._visitors.owner_of(membership.room)
        if not grant.may_speak(membership.room, exists=exists, owner=owner):
            raise not_allowed(f"This key or token may not speak in the room {membership.room!r}.")
        labels = membership.speakers
        if grant.token and grant.token.speakers:
            if labels and labels != grant.token.speakers[: len(labels)]:
                raise not_allowed("This token is for other labels; leave `speakers` out.")
            labels = grant.token.speakers[: membership.channels]
        for label in labels:
            if not grant.may_be_called(label):
                raise not_allowed(f"This key may not speak under the label {label!r}.")
        return replace(membership, speakers=labels, owner=grant.rights.owner)

    def _check_limits(self, grant: Grant) -> None:
        try:
            self._visitors.usage.check_stream(grant.rights)
        except OverLimit as over:
            raise PeerError("over_limit", over.sentence, CloseCode.OVER_LIMIT) from None

    def begin(self) -> None:
        """Count a stream of the client."""
        if not self._counted and self.grant is not None:
            self._counted = True
            self._visitors.usage.streams[self.name] += 1

    def leave(self) -> None:
        """Count a stream of the client no longer."""
        if self._counted:
            self._counted = False
            self._visitors.usage.streams[self.name] -= 1

    def begin_upload(self) -> None:
        """Count an upload of the client; `leave_upload` ends it."""
        self._visitors.usage.uploads[self.name] += 1

    def leave_upload(self) -> None:
        """Count an upload of the client no longer."""
        self._visitors.usage.uploads[self.name] -= 1

    def charge_upload(self, audio_s: float) -> None:
        """Count audio of an upload. Raises `Refused` if the key has used up its audio."""
        assert self.grant is not None
        try:
            self._visitors.usage.add_audio(self.grant.rights, audio_s)
        except OverLimit as over:
            raise Refused(429, "over_limit", over.sentence, over.retry_after_s) from None

    def owner_of(self, room: str) -> tuple[bool, str | None]:
        """Return whether a room exists, and its owner; a room that cannot be read exists."""
        return self._visitors.owner_of(room)

    def why_no_more_audio(self, audio_s: float) -> str:
        """Count seconds of audio; return a sentence if the key has used up its audio, else ""."""
        try:
            if self.grant is not None:
                self._visitors.usage.add_audio(self.grant.rights, audio_s)
        except OverLimit as over:
            return over.sentence
        return ""

    @property
    def still_welcome(self) -> bool:
        """Whether its key was neither revoked nor has expired."""
        return self.grant is None or self._visitors.keyring.still_valid(self.grant)

    def may_read(self, room: str) -> bool:
        """Return whether the client may read a room now."""
        exists, owner = self.owner_of(room)
        return self.may_read_of(room, exists=exists, owner=owner)

    def may_read_of(self, room: str, *, exists: bool, owner: str | None) -> bool:
        """Return whether the client may read a room of an owner now."""
        if self._visitors.config.room_access == "public":
            return True
        grant = self.grant if self.still_welcome else None
        return grant is not None and grant.may_read(room, exists=exists, owner=owner)

    def note(self, action: str, **about: object) -> None:
        """Write an entry of the audit log about the client."""
        self._visitors.audit.note(action, key=self.name, client=self.client, **about)

    def note_reading(self, room: str, how: str) -> None:
        """Write to the audit log that the client reads a room."""
        self._visitors.audit.note_reading(key=self.name, client=self.client, room=room, how=how)


def not_allowed(sentence: str) -> PeerError:
    """Return the error for what the rights of a client do not include."""
    return PeerError("not_allowed", sentence, CloseCode.NOT_ALLOWED)


def too_many_tries(wait_s: int) -> str:
    """Return the sentence for an address from which many wrong keys came."""
    return f"Too many wrong keys came from this address; try again in {wait_s} s."
