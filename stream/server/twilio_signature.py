"""Whether a request is Twilio's: it signs the address that it calls with the account's token.

The address is the one in `<Stream url="…">`. Behind a proxy that is not what we are asked for, so
`--public-url` says it; else it is told from the `Host` header, with `wss://`, which Twilio insists
on. Its signatures are sometimes over an address with the port, and sometimes without.
"""

import base64
import hmac
from collections.abc import Iterator
from urllib.parse import urlsplit, urlunsplit

from stream.origins import DEFAULT_PORTS


def sign(token: str, url: str) -> str:
    """Return the value of `X-Twilio-Signature` for a request without parameters in its body."""
    return base64.b64encode(hmac.digest(token.encode(), url.encode(), "sha1")).decode()


def signed(token: str, shown: str, host: str, target: str, public_url: str | None) -> bool:
    """Whether the signature that was shown is the one of this request.

    `host` is the `Host` header, `target` the path with its query.
    """
    base = (public_url or f"wss://{host}").rstrip("/")
    if base.lower().startswith("http"):  # as people write an address; Twilio calls websockets alone
        base = f"ws{base[len('http') :]}"
    return any(
        hmac.compare_digest(sign(token, url).encode(), shown.encode())
        for url in spellings(base + target)
    )


def spellings(url: str) -> Iterator[str]:
    """The address as it stands, without its port, and with it."""
    yield url
    parts = urlsplit(url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname or ""
    try:
        port = parts.port or DEFAULT_PORTS[parts.scheme]
    except ValueError:  # what anybody sent as their `Host`
        return
    yield urlunsplit(parts._replace(netloc=host))
    yield urlunsplit(parts._replace(netloc=f"{host}:{port}"))
