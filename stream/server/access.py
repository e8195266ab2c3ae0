"""Reads what a request shows about its client: the origin of its page, and its key.

A request is given as its header fields (pairs of name and value, in their order) and its target or
query string, so that websocket handshakes and plain HTTP requests are checked by the same code.
"""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from itertools import pairwise
from urllib.parse import parse_qs

from stream.config import ServerConfig
from stream.origins import origin_of, same_origin
from stream.protocols.declarations import KeyPlaces

Fields = Iterable[tuple[str, str]]

USUAL_PLACES = KeyPlaces()
"""Where the key is in plain HTTP requests, and in those of readers of rooms."""

PREFLIGHT = {
    "Access-Control-Allow-Methods": "GET, POST, PATCH, DELETE",
    "Access-Control-Allow-Headers": "*, Authorization",
    "Access-Control-Max-Age": "3600",
}
"""Headers of the response to a CORS preflight; `*` does not include `Authorization`."""

BAD_ORIGIN = "Pages of this origin may not use the server; see --allow-origin."


def origin_allowed(fields: Fields, config: ServerConfig) -> bool:
    """Return whether the page that sends the request may use this server.

    Programs send no origin and are allowed.
    """
    fields = list(fields)
    origin = header(fields, "origin")
    if origin is None or "*" in config.allow_origin:
        return True
    with suppress(ValueError):
        if origin_of(origin) in map(origin_of, set(config.allow_origin)):
            return True
    return same_origin(origin, header(fields, "host") or "")


def cross_origin(fields: Fields, config: ServerConfig) -> dict[str, str]:
    """Return the CORS headers that allow the page that sends the request to read the response.

    If the request has no origin, or one that is not allowed, there is only `Vary: Origin`.
    """
    fields = list(fields)
    origin = header(fields, "origin")
    allowed = {"Access-Control-Allow-Origin": origin} if origin else {}
    return {"Vary": "Origin", **(allowed if origin_allowed(fields, config) else {})}


def shown_key(fields: Sequence[tuple[str, str]], query: str, places: KeyPlaces) -> str | None:
    """Return the key in a request, from headers, subprotocols or query in this order; else None."""
    for name, scheme in places.headers:
        value = header(fields, name.lower())
        first, _, rest = (value or "").partition(" ")
        if value is not None and first.lower() == scheme.lower():
            return rest
        if value is not None and not scheme:
            return value
    offered = offered_subprotocols(fields)
    for name, following in pairwise(offered):
        if name in places.subprotocol_labels:
            return following
    for name in offered:
        for prefix in places.subprotocol_prefixes:
            if name.startswith(prefix):
                return name.removeprefix(prefix)
    found = query_fields(query)
    return next((found[name][-1] for name in places.query_fields if name in found), None)


def challenge(places: KeyPlaces | None = USUAL_PLACES) -> dict[str, str]:
    """Return the header that every response with the status 401 needs (RFC 9110, 11.6.1)."""
    headers = places.headers if places else ()
    schemes = (scheme for name, scheme in headers if name.lower() == "authorization" and scheme)
    return {"WWW-Authenticate": f'{next(schemes, "Bearer")} realm="distil-stream"'}


def header(fields: Fields, name: str) -> str | None:
    """Return the value of a header, the last one if it is repeated; None if it is missing.

    `name` is in lower case.
    """
    values = [value for field, value in fields if field.lower() == name]
    return values[-1] if values else None


def offered_subprotocols(fields: Fields) -> list[str]:
    """Return the websocket subprotocols that a client offers, in their order."""
    values = [value for field, value in fields if field.lower() == "sec-websocket-protocol"]
    return [name.strip() for value in values for name in value.split(",")]


def query_fields(query: str) -> dict[str, list[str]]:
    """Return the fields of a query string, each with all its values."""
    return parse_qs(query, keep_blank_values=True)
