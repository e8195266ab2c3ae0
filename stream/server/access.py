"""Who may use the server: which pages, and whoever shows the key.

A request is its header fields, as pairs of name and value in their order, and its query string: so
both kinds of request can be asked about, a websocket's and plain HTTP's.
"""

import hmac
from collections.abc import Iterable
from contextlib import suppress
from urllib.parse import parse_qs

from websockets.http11 import Request

from stream.config import ServerConfig
from stream.origins import origin_of, same_origin
from stream.server import twilio_signature

Fields = Iterable[tuple[str, str]]

NO_KEY = "The key is missing or wrong; see --api-key."

NO_SIGNATURE = "Twilio's signature is missing or wrong; see --twilio-auth-token and --public-url."


def origin_allowed(fields: Fields, config: ServerConfig) -> bool:
    """Whether the page that asks may use this server. Programs send no origin, and may."""
    fields = list(fields)
    origin = header(fields, "origin")
    if origin is None or "*" in config.allow_origin:
        return True
    with suppress(ValueError):
        if origin_of(origin) in map(origin_of, set(config.allow_origin)):
            return True
    return same_origin(origin, header(fields, "host") or "")


def cross_origin(fields: Fields, config: ServerConfig) -> dict[str, str]:
    """Headers of an answer that let a page of another origin see it, if that is allowed."""
    fields = list(fields)
    origin = header(fields, "origin")
    allowed = {"Access-Control-Allow-Origin": origin} if origin else {}
    return {"Vary": "Origin", **(allowed if origin_allowed(fields, config) else {})}


def authorised(fields: Fields, query: str, config: ServerConfig) -> bool:
    """Whether the request shows the key, in a header or, as browsers must, in the query string."""
    if config.api_key is None:
        return True
    scheme, _, shown = (header(fields, "authorization") or "").partition(" ")
    if scheme.lower() != "bearer":
        shown = query_fields(query).get("token", [""])[-1]
    return hmac.compare_digest(shown.encode(), config.api_key.encode())


def why_no_stream(request: Request, config: ServerConfig) -> str | None:
    """Why a websocket may not stream: it lacks the key, or Twilio's signature; None if it may."""
    fields = list(request.headers.raw_items())
    path, _, query = request.path.partition("?")
    token = config.twilio_auth_token
    if token is None or path != "/v1/twilio":
        return None if authorised(fields, query, config) else NO_KEY
    shown, host = header(fields, "x-twilio-signature") or "", header(fields, "host") or ""
    signed = twilio_signature.signed(token, shown, host, request.path, config.public_url)
    return None if signed else NO_SIGNATURE


def may_read(fields: Fields, target: str, config: ServerConfig) -> bool:
    """Whether a request may read rooms; `target` is its path with the query."""
    return config.room_access == "public" or authorised(fields, target.partition("?")[2], config)


def header(fields: Fields, name: str) -> str | None:
    """The value of a header, the last where it is repeated; None where it is not there."""
    values = [value for field, value in fields if field.lower() == name]
    return values[-1] if values else None


def query_fields(query: str) -> dict[str, list[str]]:
    """The fields of a query string, each with all its values."""
    return parse_qs(query, keep_blank_values=True)
