"""Verifies Twilio's signature: it signs the address that it calls with the account's token.

The address is the one in `<Stream url="…">`. Behind a proxy the server cannot see that address, and
`--public-url` gives it; otherwise it is derived from the `Host` header with `wss://`, the only
scheme that Twilio accepts. Twilio signs the address sometimes with the port and sometimes without.
"""

import base64
import hmac
from collections.abc import Iterator
from urllib.parse import urlsplit, urlunsplit

from stream.origins import DEFAULT_PORTS
from stream.protocols.declarations import SignedRequest


def sign(token: str, url: str) -> str:
    """Return the value of `X-Twilio-Signature` for a request without parameters in its body."""
    return base64.b64encode(hmac.digest(token.encode(), url.encode(), "sha1")).decode()


def verify(token: str, request: SignedRequest) -> bool:
    """Return whether the request is signed with the token."""
    values = [value for name, value in request.headers if name.lower() == "x-twilio-signature"]
    shown = values[-1] if values else ""
    base = request.base_url.rstrip("/")
    if base.lower().startswith("http"):  # as people write an address; Twilio calls websockets alone
        base = f"ws{base[len('http') :]}"
    return any(
        hmac.compare_digest(sign(token, url).encode(), shown.encode())
        for url in spellings(base + request.target)
    )


def spellings(url: str) -> Iterator[str]:
    """Yield the address as it is, without its port, and with it."""
    yield url
    parts = urlsplit(url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname or ""
    try:
        port = parts.port or DEFAULT_PORTS[parts.scheme]
    except ValueError:  # the `Host` header of any client
        return
    yield urlunsplit(parts._replace(netloc=host))
    yield urlunsplit(parts._replace(netloc=f"{host}:{port}"))
