"""Decides which requests may use the server: allowed origins, the API key, signatures.

A request is given as its header fields (pairs of name and value, in their order) and its target or
query string, so that websocket handshakes and plain HTTP requests are checked by the same code.
"""

import base64
import hmac
import json
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import pairwise
from urllib.parse import parse_qs

from stream.config import ServerConfig
from stream.origins import origin_of, same_origin
from stream.protocols.declarations import (
    NO_KEY,
    HttpResponse,
    KeyPlaces,
    ProtocolDeclarations,
    SignedRequest,
)

Fields = Iterable[tuple[str, str]]

USUAL_PLACES = KeyPlaces()

PREFLIGHT = {
    "Access-Control-Allow-Methods": "GET, POST",
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


def authorised(
    fields: Fields, query: str, config: ServerConfig, places: KeyPlaces = USUAL_PLACES
) -> bool:
    """Return whether the request has the right key, in the first of the places that has a key.

    True if no key is configured.
    """
    return key_fits(shown_key(list(fields), query, places) or "", config)


def key_fits(shown: str, config: ServerConfig) -> bool:
    """Return whether a key is the configured one or a signed one, or no key is configured."""
    if config.api_key is None or hmac.compare_digest(shown.encode(), config.api_key.encode()):
        return True
    text, _, signature = shown.removeprefix("ek_").partition(".")
    signed = hmac.compare_digest(signature.encode(), sign(text, config).encode())
    return shown.startswith("ek_") and signed and time.time() < expiry_of(text)


def sign(text: str, config: ServerConfig) -> str:
    """Return the signature of a text with the API key; any one will do if none is configured."""
    return hmac.digest((config.api_key or "").encode(), text.encode(), "sha256").hex()


def expiry_of(text: str) -> float:
    """Return when a signed key expires, in seconds since 1970: `exp` of the JSON in its base64."""
    try:
        return float(json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))["exp"])
    except (ValueError, KeyError, TypeError):
        return 0.0


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


def why_refused(
    protocol: type[ProtocolDeclarations],
    fields: Sequence[tuple[str, str]],
    target: str,
    config: ServerConfig,
) -> str | None:
    """Return why a request may not use a protocol: its key or its signature is missing or wrong.

    Args:
        protocol: declares where the key is, and what is signed.
        fields: header fields of the request.
        target: path and query of the request.
        config: has the key and the secrets of signatures.

    Returns:
        A sentence for the client; None if the request may use the protocol.
    """
    signature = protocol.signature
    secret: str | None = getattr(config, signature.secret_setting) if signature else None
    if signature is not None and secret is not None:
        base_url = config.public_url or f"wss://{header(fields, 'host') or ''}"
        signed = signature.verify(secret, SignedRequest(fields, target, base_url))
        return None if signed else signature.sentence
    if protocol.key is None:
        return None
    query = target.partition("?")[2]
    return None if authorised(fields, query, config, protocol.key) else NO_KEY


def unauthorised(protocol: type[ProtocolDeclarations], sentence: str) -> HttpResponse:
    """Return the response 401 of a protocol, with the scheme in which the key is to be shown."""
    refused = protocol.refusal(401, "not_authorised", sentence)
    return replace(refused, headers={**refused.headers, **challenge(protocol.key)})


def challenge(places: KeyPlaces | None = USUAL_PLACES) -> dict[str, str]:
    """Return the header that every response with the status 401 needs (RFC 9110, 11.6.1)."""
    headers = places.headers if places else ()
    schemes = (scheme for name, scheme in headers if name.lower() == "authorization" and scheme)
    return {"WWW-Authenticate": f'{next(schemes, "Bearer")} realm="distil-stream"'}


def may_read(fields: Fields, target: str, config: ServerConfig) -> bool:
    """Return whether a request may read rooms; `target` is its path with the query."""
    return config.room_access == "public" or authorised(fields, target.partition("?")[2], config)


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
