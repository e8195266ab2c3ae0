"""Who is let in at the door, as a stream or as a reader of a room, and what the others are told."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import NamedTuple

from stream.protocols import PROTOCOLS
from stream.server import access
from stream.server.rooms.reader import room_of
from stream.server.state import ServerState


class Refusal(NamedTuple):
    """The answer to a handshake that is not accepted."""

    status: HTTPStatus
    sentence: str


def refusal(
    state: ServerState, target: str, fields: Sequence[tuple[str, str]], retry_after_s: int
) -> Refusal | None:
    """Say why a request for a websocket is refused; None where it is not.

    Args:
        state: the server's.
        target: path and query of the request.
        fields: its header fields, names and values.
        retry_after_s: when a client that came at a bad time may come again.
    """
    path = target.partition("?")[0]
    room = room_of(path)
    if path not in PROTOCOLS and not room:
        return Refusal(HTTPStatus.NOT_FOUND, "There is nothing here.")
    if not access.origin_allowed(fields, state.config):
        return Refusal(HTTPStatus.FORBIDDEN, "Pages of this origin may not; see --allow-origin.")
    if room:
        return _refuse_reader(state, target, fields)
    unavailable = HTTPStatus.SERVICE_UNAVAILABLE
    if not state.ready:
        return Refusal(unavailable, "Not ready; see /readyz.")
    if state.streams.full:
        return Refusal(unavailable, "Full; try again later.")
    # While a lost client is waited for, the door is open: he may be the one who knocks.
    if state.too_busy and not state.streams.parked:
        return Refusal(unavailable, f"Too busy; try again in {retry_after_s} s.")
    return None


def _refuse_reader(
    state: ServerState, target: str, fields: Sequence[tuple[str, str]]
) -> Refusal | None:
    if not access.may_read(fields, target, state.config):
        return Refusal(HTTPStatus.UNAUTHORIZED, access.NO_KEY)
    refused = why_no_reader(state)
    return Refusal(HTTPStatus.SERVICE_UNAVAILABLE, refused) if refused else None


def why_no_reader(state: ServerState) -> str:
    """Say why nobody may begin to read a room now; empty where anybody may."""
    if state.draining:
        return "The server is going away; try again soon."
    if state.rooms.n_readers >= state.config.max_readers:
        return "There are too many readers; try again later."
    return ""
