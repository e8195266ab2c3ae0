"""TLS of the server's own: a certificate that is read again when it has been renewed."""

import asyncio
import logging
import ssl
from pathlib import Path

from stream.errors import UsageError

log = logging.getLogger(__name__)

LOOK_EVERY_S = 10.0
"""Seconds between two looks at the files of the certificate and the key."""


def certificate_of(certificate: Path | None, key: Path | None) -> "Certificate | None":
    """Return the certificate in two files; None without any. Raises `UsageError`."""
    if certificate is None and key is None:
        return None
    if certificate is None or key is None:
        raise UsageError("tls_cert and tls_key belong together; give both, or none.")
    return Certificate(certificate, key)


class Certificate:
    """A certificate with its key, and the context that uses it for new connections."""

    def __init__(self, certificate: Path, key: Path) -> None:
        """Read both files. Raises `UsageError` if they do not fit or cannot be read."""
        self._paths = certificate, key
        self._stamps = self._look()
        self.context = self._load(ssl.create_default_context(ssl.Purpose.CLIENT_AUTH))

    def reload_if_changed(self) -> bool:
        """Read the files again if one has changed; return whether new ones are in use.

        If they do not fit, because only one of them was replaced yet, the old ones stay.
        """
        stamps = self._look()
        if stamps == self._stamps:
            return False
        try:
            self._load(ssl.create_default_context(ssl.Purpose.CLIENT_AUTH))
            self._load(self.context)
        except UsageError as error:
            log.warning("the old certificate stays in use: %s", error)
            return False
        self._stamps = stamps
        log.info("read the certificate again")
        return True

    async def watch(self) -> None:
        """Read the files again whenever they change; runs until it is cancelled."""
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            self.reload_if_changed()

    def _look(self) -> list[tuple[int, int] | None]:
        stamps: list[tuple[int, int] | None] = []
        for path in self._paths:
            try:
                seen = path.stat()
                stamps.append((seen.st_mtime_ns, seen.st_ino))
            except OSError:
                stamps.append(None)
        return stamps

    def _load(self, context: ssl.SSLContext) -> ssl.SSLContext:
        certificate, key = self._paths
        # Without this, a key with a passphrase would be asked for on the terminal.
        try:
            context.load_cert_chain(certificate, key, password=lambda: b"")
        except (OSError, ssl.SSLError, ValueError) as error:
            raise UsageError(
                f"tls_cert {certificate} and tls_key {key} cannot be used: {error}. Give a "
                "certificate and its key in PEM, the key without a passphrase."
            ) from None
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(["http/1.1"])
        return context
