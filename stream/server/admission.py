"""Accepts or refuses a connection before it is open, as a stream or as a reader of a room."""

from http import HTTPStatus

from stream.errors import PeerError
from stream.protocols.declarations import HttpResponse, ProtocolDeclarations, Query
from stream.server import access
from stream.server.addresses import BAD_HOST, host_allowed
from stream.server.endpoints import FindEndpoint
from stream.server.load_ladder import RETRY_AFTER_S
from stream.server.rooms.reader import room_of
from stream.server.state import ServerState
from stream.server.visitors import Asking, Refused, Visitor

NOWHERE = ProtocolDeclarations.refusal(
    HTTPStatus.NOT_FOUND, "not_found", "There is nothing at this address."
)
MAY_NOT_READ = "This key or token may not read this room."


def admit(state: ServerState, find: FindEndpoint, asking: Asking) -> Visitor | HttpResponse:
    """Return the client of a request for a websocket, or the response that refuses it.

    Args:
        state: state of the server.
        find: returns the protocol at a path of the port.
        asking: the request.
    """
    endpoint, room = find(asking.path), room_of(asking.path)
    if endpoint is None and not room:
        return NOWHERE
    protocol = endpoint.protocol if endpoint else ProtocolDeclarations
    try:
        check_origin(state, asking)
        if endpoint is None:
            assert room
            return admit_reader(state, asking, room)
        visitor = state.visitors.identify_for(protocol, asking)
        check_stream(state, protocol, visitor)
    except Refused as refused:
        return refused.by(protocol)
    query = access.query_fields(asking.query)
    refusal = refuse_for_now(state, protocol) or refuse_query(state, protocol, query)
    return refusal or visitor


def check_origin(state: ServerState, asking: Asking) -> None:
    """Raise `Refused` for a wrong name of the host, or a page of an origin that is not allowed."""
    if not host_allowed(asking.fields, asking.path, state.config):
        raise Refused(HTTPStatus.MISDIRECTED_REQUEST, "wrong_host", BAD_HOST)
    if not access.origin_allowed(asking.fields, state.config):
        raise Refused(HTTPStatus.FORBIDDEN, "origin_not_allowed", access.BAD_ORIGIN)


def check_stream(
    state: ServerState, protocol: type[ProtocolDeclarations], visitor: Visitor
) -> None:
    """Raise `Refused` if the client may not open a stream, or if its key is over a limit.

    A client may be about to resume a stream whose old connection is still open, although nothing
    comes through it any more. So it is accepted if one of the streams of its key is silent; the
    limit is then checked when the client opens a new stream.
    """
    try:
        visitor.require("stream")
    except Refused as refused:
        if not (refused.code == "over_limit" and protocol.can_resume):
            raise
        if not state.streams.silent_of(visitor.name):
            raise


def refuse_query(
    state: ServerState, protocol: type[ProtocolDeclarations], query: Query
) -> HttpResponse | None:
    """Return how a query that the protocol cannot serve is refused; None if it can."""
    assert state.service
    try:
        protocol.check_request(state.service, query)
    except PeerError as error:
        return protocol.refusal(400, error.code, str(error))
    return None


def refuse_for_now(state: ServerState, protocol: type[ProtocolDeclarations]) -> HttpResponse | None:
    """Return the response that refuses a new stream because the server is not ready, full or busy.

    None if the server can serve a new stream.
    """
    if not state.ready:
        return protocol.refusal(503, "not_ready", "The server is not ready; see /readyz.")
    if state.streams.full:
        return protocol.refusal(503, "full", "The server is full; try again later.")
    # A client that may resume is accepted while streams are parked: one of them may be its own.
    if state.too_busy and not (protocol.can_resume and state.streams.parked):
        return protocol.refusal(
            503, "too_busy", f"The server is too busy; try again in {RETRY_AFTER_S} s."
        )
    return None


def admit_reader(state: ServerState, asking: Asking, room: str) -> Visitor:
    """Return the client that wants to read a room. Raises `Refused`."""
    visitor = reader_of(state, asking, room)
    if sentence := why_no_reader(state):
        raise Refused(503, "too_many_readers", sentence)
    return visitor


def reader_of(state: ServerState, asking: Asking, room: str) -> Visitor:
    """Return the client that wants to read a room; with `--room-access public`, it needs no key.

    Raises `Refused`.
    """
    try:
        visitor = state.visitors.identify(asking, access.USUAL_PLACES)
    except Refused as refused:
        if state.config.room_access != "public" or refused.status != HTTPStatus.UNAUTHORIZED:
            raise
        visitor = Visitor(state.visitors, state.visitors.client_of(asking))
    if not visitor.may_read(room):
        raise Refused(403, "not_allowed", MAY_NOT_READ)
    return visitor


def why_no_reader(state: ServerState) -> str:
    """Return a sentence about why no reader of a room is accepted now; empty if they are."""
    if state.draining:
        return "The server is stopping; try again soon."
    if state.rooms.n_readers >= state.config.max_readers:
        return "There are too many readers; try again later."
    return ""
