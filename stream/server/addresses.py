"""Where a client is, and under which name it has reached the server.

Headers of proxies are believed only if the connection comes from one that `--trust-proxy` names.
"""

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from urllib.parse import urlsplit

from stream.config import ServerConfig
from stream.origins import host_of

Fields = Sequence[tuple[str, str]]
Networks = Sequence[IPv4Network | IPv6Network]

LOCAL = "a local socket"
"""The address of a client without one."""

LOOPBACK_NAMES = frozenset({"localhost", "localhost.localdomain", "ip6-localhost"})

EXEMPT_PATHS = frozenset({"/healthz", "/readyz", "/metrics"})
"""Paths that answer under any name of the host: probes use addresses and names of containers."""

BAD_HOST = (
    "The server does not answer under this name (the Host header); see --allow-host, --public-url."
)

PARAMETER = re.compile(r'\s*([A-Za-z]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^;,\s]*))\s*')


@lru_cache(maxsize=64)
def networks(texts: tuple[str, ...]) -> Networks:
    """Return addresses and networks as networks. Raises `ValueError`."""
    return [ip_network(text.strip(), strict=False) for text in texts]


def within(address: str, allowed: Networks) -> bool:
    """Return whether an address is in one of the networks; `::ffff:1.2.3.4` counts as `1.2.3.4`."""
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return False
    parsed = getattr(parsed, "ipv4_mapped", None) or parsed
    return any(parsed in network for network in allowed)


def is_loopback(host: str) -> bool:
    """Return whether only programs on this machine can reach a server that listens on a host."""
    name = host.strip("[]")
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return name.lower() in LOOPBACK_NAMES


def client_of(peer: str, fields: Fields, config: ServerConfig) -> str:
    """Return the address of a client.

    Args:
        peer: address at the other end of the connection.
        fields: header fields of the request.
        config: names the proxies whose headers are believed.

    Returns:
        `peer`; behind proxies that are trusted, the last address before them.
    """
    trusted = networks(config.trust_proxy)
    hops = [*forwarded_for(fields), peer]
    while len(hops) > 1 and within(hops[-1], trusted):
        hops.pop()
    return hops[-1]


def forwarded_for(fields: Fields) -> list[str]:
    """Return the addresses that proxies name, the client's first: `Forwarded` (RFC 7239), or else
    `X-Forwarded-For`."""
    listed = [value for name, value in fields if name.lower() == "forwarded"]
    if listed:
        return [bare(element["for"]) for element in elements(listed) if "for" in element]
    listed = [value for name, value in fields if name.lower() == "x-forwarded-for"]
    return [bare(part) for value in listed for part in value.split(",") if part.strip()]


def forwarded_base(peer: str, fields: Fields, config: ServerConfig) -> tuple[str, str] | None:
    """Return scheme and host with which the client reached a trusted proxy; None if not named."""
    if not within(peer, networks(config.trust_proxy)):
        return None
    last = (elements([v for n, v in fields if n.lower() == "forwarded"]) or [{}])[-1]
    scheme = last.get("proto") or last_of(fields, "x-forwarded-proto")
    host = last.get("host") or last_of(fields, "x-forwarded-host")
    return (scheme.lower(), host) if scheme and host else None


def last_of(fields: Fields, name: str) -> str:
    """Return the last of the values that proxies have added to a header; empty if there is none."""
    values = [value for field, value in fields if field.lower() == name]
    return values[-1].split(",")[-1].strip() if values else ""


def elements(values: Iterable[str]) -> list[dict[str, str]]:
    """Return the elements of `Forwarded` headers, each with its parameters in lower case."""
    found: list[dict[str, str]] = []
    for value in values:
        for element in re.findall(r'(?:[^,"]|"(?:[^"\\]|\\.)*")+', value):
            pairs = PARAMETER.findall(element)
            found.append({name.lower(): quoted or plain for name, quoted, plain in pairs})
    return found


def bare(node: str) -> str:
    """Return an address without the port and the brackets that proxies write."""
    node = node.strip().strip('"')
    if node.startswith("["):
        return node[1:].partition("]")[0]
    return node.partition(":")[0] if node.count(":") == 1 else node


def host_allowed(fields: Fields, path: str, config: ServerConfig) -> bool:
    """Return whether the server answers under the name in the `Host` header.

    A page of a foreign site can make a name of its own lead to this server (DNS rebinding); its
    requests then have the origin of that page. They cannot use an address instead of a name.
    """
    if path in EXEMPT_PATHS or "*" in config.allow_host:
        return True
    hosts = [value for name, value in fields if name.lower() == "host"]
    if len(hosts) != 1:
        return False
    name = name_of(hosts[0])
    if name is None:
        return False
    return is_address(name) or name in allowed_names(
        config.host, config.public_url, config.allow_host
    )


@lru_cache(maxsize=16)
def allowed_names(host: str, public_url: str | None, allow_host: tuple[str, ...]) -> frozenset[str]:
    """Return the names under which a server answers, beside addresses."""
    given = [host, *allow_host]
    if public_url:
        given.append(urlsplit(public_url).netloc.rpartition("@")[2])
    return LOOPBACK_NAMES | {name for text in given if (name := name_of(text))}


def name_of(host: str) -> str | None:
    """Return a host without its port as a browser writes it; None if it is not valid."""
    try:
        parts = urlsplit(f"//{host.strip()}")
        name = host_of(parts.hostname or "").rstrip(".")
        valid = parts.port != 0 and not (parts.path or parts.query or parts.fragment)
        return name.lower() if valid and parts.username is None and name else None
    except ValueError:
        return None


def is_address(name: str) -> bool:
    """Return whether a host is an IP address; no name can be made to look like one."""
    try:
        ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True
