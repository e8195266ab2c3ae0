"""Verifies Twilio's signature of the URL of a stream, which is made with the token of the account.

The URL is that in `<Stream url="…">`. Behind a proxy the server cannot determine it, and it must be
set by `--public-url`; otherwise it is derived from the `Host` header with `wss://`, the only scheme
that Twilio accepts. Twilio signs the URL sometimes with the port and sometimes without it.
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
    if base.lower().startswith("http"):  # users may write http; Twilio only uses ws and wss
        base = f"ws{base[len('http') :]}"
    return any(
        hmac.compare_digest(sign(token, url).encode(), shown.encode())
        for url in spellings(base + request.target)
    )


def spellings(url: str) -> Iterator[str]:
    """Yield the URL unchanged, without a port, and with its port or the default one."""
    yield url
    parts = urlsplit(url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname or ""
    try:
        port = parts.port or DEFAULT_PORTS[parts.scheme]
    except ValueError:  # an invalid `Host` header
        return
    yield urlunsplit(parts._replace(netloc=host))
    yield urlunsplit(parts._replace(netloc=f"{host}:{port}"))
