"""Checks and says, at the start, what a server offers to other machines."""

import logging
from collections.abc import Sequence

from stream.config import ServerConfig
from stream.errors import UsageError
from stream.protocols.declarations import Transport
from stream.server.addresses import is_loopback
from stream.server.endpoints import OpenPort

log = logging.getLogger(__name__)

OPEN = "the captions page, /v1/info, /metrics, /healthz and /readyz"


def check_exposure(config: ServerConfig, ports: Sequence[OpenPort], key_required: bool) -> None:
    """Log what other machines can use without a key.

    Raises `UsageError` if that is everything, and `--allow-anyone` is not set; or if a port whose
    protocol has no keys is open to every address.
    """
    if not is_loopback(config.host):
        check_shared_port(config, key_required)
    for port in ports:
        if not is_loopback(port.host or config.host):
            check_own_port(config, port)


def check_shared_port(config: ServerConfig, key_required: bool) -> None:
    """Check and log the port that all protocols share."""
    if key_required:
        rooms = ", and every room by its name" if config.room_access == "public" else ""
        log.info("without a key, everybody who reaches %s can use %s%s", config.host, OPEN, rooms)
    elif config.allow_anyone:
        log.warning(
            "everybody who reaches %s can use everything: stream, send recordings, read and delete "
            "rooms; there is no key",
            config.host,
        )
    else:
        raise UsageError(
            f"Other machines could reach {config.host} and use everything, as there is no key. "
            "Set one with DISTIL_STREAM_API_KEY or --keys, or allow it with --allow-anyone."
        )
    if config.tls_cert is None:
        log.warning(
            "connections to %s are not encrypted; use --tls-cert, or a proxy with a certificate",
            config.host,
        )


def check_own_port(config: ServerConfig, port: OpenPort) -> None:
    """Check and log the port of a single protocol, if its clients cannot show a key."""
    if port.protocol.key is not None and port.protocol.transport is not Transport.TCP:
        return
    if port.allowed:
        log.info("%s accepts %s, without a key", port.option, ", ".join(port.allowed))
    elif config.allow_anyone:
        log.warning("%s accepts everybody, without a key", port.option)
    else:
        raise UsageError(
            f"Other machines could reach {port.option}, whose protocol has no keys. Name the "
            f"clients with {port.option.replace('-port', '-allow')}, or accept every client with "
            "--allow-anyone."
        )
