"""Accepts or refuses a connection before it is open, as a stream or as a reader of a room."""

from collections.abc import Sequence
from http import HTTPStatus

from stream.errors import PeerError
from stream.protocols.declarations import NO_KEY, HttpResponse, ProtocolDeclarations, Query
from stream.server import access
from stream.server.endpoints import FindEndpoint
from stream.server.load_ladder import RETRY_AFTER_S
from stream.server.rooms.reader import room_of
from stream.server.state import ServerState

NOWHERE = ProtocolDeclarations.refusal(
    HTTPStatus.NOT_FOUND, "not_found", "There is nothing at this address."
)


def refusal(
    state: ServerState, find: FindEndpoint, target: str, fields: Sequence[tuple[str, str]]
) -> HttpResponse | None:
    """Return the response that refuses a request for a websocket; None if it is accepted.

    Args:
        state: state of the server.
        find: returns the protocol at a path of the port.
        target: path and query of the request.
        fields: names and values of its header fields.
    """
    path = target.partition("?")[0]
    endpoint, room = find(path), room_of(path)
    if endpoint is None and not room:
        return NOWHERE
    protocol = endpoint.protocol if endpoint else ProtocolDeclarations
    if not access.origin_allowed(fields, state.config):
        return protocol.refusal(403, "origin_not_allowed", access.BAD_ORIGIN)
    if endpoint is None:
        return refuse_reader(state, target, fields)
    late = protocol.key is not None and protocol.key.first_message
    if not late and (sentence := access.why_refused(protocol, fields, target, state.config)):
        return access.unauthorised(protocol, sentence)
    query = access.query_fields(target.partition("?")[2])
    return refuse_for_now(state, protocol) or refuse_query(state, protocol, query)


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


def refuse_reader(
    state: ServerState, target: str, fields: Sequence[tuple[str, str]]
) -> HttpResponse | None:
    """Return the response that refuses a reader of a room; None if it is accepted."""
    plain = ProtocolDeclarations.refusal
    if not access.may_read(fields, target, state.config):
        return access.unauthorised(ProtocolDeclarations, NO_KEY)
    sentence = why_no_reader(state)
    return plain(503, "too_many_readers", sentence) if sentence else None


def why_no_reader(state: ServerState) -> str:
    """Return a sentence about why no reader of a room is accepted now; empty if they are."""
    if state.draining:
        return "The server is stopping; try again soon."
    if state.rooms.n_readers >= state.config.max_readers:
        return "There are too many readers; try again later."
    return ""
