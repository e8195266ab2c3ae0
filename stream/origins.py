"""Normalises web origins, so that they can be compared (RFC 6454).

A browser sends the origin of a page in lower case, in ASCII, without a default port and without a
slash at its end. Users often write origins in other forms.
"""

import ipaddress
import re
from urllib.parse import urlsplit

import idna

DEFAULT_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}

OPAQUE = "null"
"""The origin that a browser sends for a page without one, such as a page opened from a file."""


def origin_of(text: str) -> str:
    """Return an origin in the form in which a browser sends it.

    Raises:
        ValueError: the text is not an origin; the message is a sentence that explains why.
    """
    written = text.strip()
    if written.lower() == OPAQUE:
        return OPAQUE
    try:
        parts = urlsplit(written)
        host, port = host_of(parts.hostname or ""), parts.port
    except ValueError:
        raise ValueError(
            f"{text!r} is not an origin: its host or its port cannot be read."
        ) from None
    if not parts.netloc or not parts.scheme:
        example = f"https://{written.lstrip('/')}"
        raise ValueError(f"{text!r} is not an origin: write the scheme too, as in {example}.")
    if parts.scheme in ("ws", "wss"):
        scheme = parts.scheme.replace("ws", "http")
        raise ValueError(
            f"{text!r} is not an origin: a page comes from {scheme}, write {scheme}://{parts.netloc}."
        )
    if not host or not re.fullmatch(r"[a-z0-9._~:\[\]-]+", host) or parts.username is not None:
        raise ValueError(
            f"{text!r} is not an origin: write one host, as in https://captions.example."
        )
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        raise ValueError(
            f"{text!r} is not an origin: leave out what follows the host, so that it is "
            f"{parts.scheme}://{parts.netloc}."
        )
    usual = port is None or port == DEFAULT_PORTS.get(parts.scheme)
    return f"{parts.scheme}://{host}" + ("" if usual else f":{port}")


def host_of(name: str) -> str:
    """Return a host as a browser writes it: names in ASCII, IPv6 addresses compressed in brackets.

    Raises:
        ValueError: the name is not a valid host.
    """
    if ":" in name:
        return f"[{ipaddress.IPv6Address(name).compressed}]"
    return name if name.isascii() else idna.encode(name, uts46=True).decode()


def same_origin(origin: str, host: str) -> bool:
    """Return whether an `Origin` header names the server to which the request was sent.

    Args:
        origin: value of the `Origin` header.
        host: value of the `Host` header. The schemes are not compared, because a proxy may have
            terminated TLS.
    """
    try:
        ours = origin_of(f"{urlsplit(origin).scheme}://{host}")
        return origin_of(origin) == ours and urlsplit(origin).scheme in DEFAULT_PORTS
    except ValueError:
        return False
