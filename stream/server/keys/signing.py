"""Signatures with the secret of the server: tokens of browsers and of streams that are resumed.

Every text is signed together with its purpose, so that a signature of one kind is never valid as
another. Servers with the same `--secret-file` accept each other's signatures.
"""

import base64
import hmac
import os
import secrets
from pathlib import Path

import msgspec

from stream.errors import UsageError
from stream.server.keys.key_file import as_bytes

SECRET_BYTES = 32

TOKEN_PREFIX = "dst_"
"""Prefix of a token that `POST /v1/tokens` made."""


class Signer:
    """Signs texts and verifies signatures."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def sign(self, purpose: str, text: str) -> str:
        """Return the signature of a text for a purpose, in hexadecimal digits."""
        return hmac.digest(self._secret, as_bytes(f"{purpose}\n{text}"), "sha256").hex()

    def verifies(self, purpose: str, text: str, signature: str) -> bool:
        """Return whether a signature is that of a text for a purpose."""
        return hmac.compare_digest(self.sign(purpose, text).encode(), as_bytes(signature))


def read_secret(path: Path | None) -> bytes:
    """Return the secret in a file, which is made with the mode 600 if it does not exist.

    Without a file the secret is a new one, and its signatures end with the process.

    Raises `UsageError` if the file cannot be read or made, is too short, or is readable by others.
    """
    if path is None:
        return secrets.token_bytes(SECRET_BYTES)
    try:
        make_secret(path)
        with path.open("rb") as file:
            mode, secret = os.fstat(file.fileno()).st_mode, file.read(4096).strip()
    except OSError as error:
        raise UsageError(f"secret_file: {path} cannot be read: {error.strerror}.") from None
    if os.name == "posix" and mode & 0o007:
        raise UsageError(f"secret_file: everybody can read {path}; run `chmod 600 {path}`.")
    if len(secret) < SECRET_BYTES:
        raise UsageError(
            f"secret_file: {path} has {len(secret)} bytes, fewer than {SECRET_BYTES}; delete it, "
            "and the server makes another one."
        )
    return secret


def make_secret(path: Path) -> None:
    """Make the file with a new secret if it does not exist; whole, or not at all."""
    if path.exists():
        return
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(secrets.token_hex(SECRET_BYTES).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(temporary, path)  # fails if another server of a cluster was faster
        except FileExistsError:
            return
    finally:
        os.unlink(temporary)


def packed(content: object) -> str:
    """Return an object as JSON in URL-safe base64 without padding."""
    return base64.urlsafe_b64encode(msgspec.json.encode(content)).decode().rstrip("=")


def unpacked(text: str) -> bytes:
    """Return the JSON in URL-safe base64 without padding. Raises `ValueError`."""
    if not text.isascii():
        raise ValueError("not base64")
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
