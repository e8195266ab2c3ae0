"""Finds what the holder of a key or of a token may do; reads the keys again if they change."""

import hmac
import logging
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from stream.config import ServerConfig
from stream.errors import UsageError
from stream.server.keys.grants import ANYONE, API_KEY, Grant, Token
from stream.server.keys.key_file import Key, as_bytes, hash_of, read_keys
from stream.server.keys.signing import TOKEN_PREFIX, Signer, packed, read_secret, unpacked

log = logging.getLogger(__name__)

VENDORS_PREFIX = "ek_"
"""Prefix of a short-lived key that a protocol made with `Service.sign`."""


class Expiry(msgspec.Struct, frozen=True):
    """The field of a protocol's short-lived key that the server itself reads."""

    exp: float


class Keyring:
    """The keys of a server."""

    def __init__(self, config: ServerConfig, wall_time: Callable[[], float] = time.time) -> None:
        """Read the file of keys and the secret. Raises `UsageError` if one cannot be used."""
        self.signer = Signer(read_secret(config.secret_file))
        self._api_key = read_api_key(config)
        self._path = config.keys
        self._wall_time = wall_time
        self._keys: Mapping[str, Key] = read_keys(config.keys) if config.keys else {}
        self._stamp = stamp_of(config.keys)

    @property
    def required(self) -> bool:
        """Whether clients must show a key."""
        return self._api_key is not None or self._path is not None

    def grant_of(self, shown: str | None) -> Grant | None:
        """Return what a shown key or token allows; None if it is missing or not valid."""
        if shown and shown.startswith(TOKEN_PREFIX):
            return self._grant_of_token(shown.removeprefix(TOKEN_PREFIX))
        if not self.required:
            return Grant(ANYONE)
        if not shown:
            return None
        if self._api_key is not None and hmac.compare_digest(
            as_bytes(shown), self._api_key.encode()
        ):
            return Grant(API_KEY)
        if shown.startswith(VENDORS_PREFIX):
            return self._grant_of_vendors(shown.removeprefix(VENDORS_PREFIX))
        key = self._keys.get(hash_of(shown))
        return Grant(key) if key is not None and not key.expired(self._wall_time()) else None

    def still_valid(self, grant: Grant) -> bool:
        """Return whether a grant was not revoked and has not expired; a token's end is no matter.

        A token is for opening; what was opened with it may last longer.
        """
        rights = grant.rights
        present = self._keys.get(rights.sha256)
        return rights.sha256 == "" or (
            present is not None and not present.expired(self._wall_time())
        )

    def rights_of(self, name: str) -> Key | None:
        """Return the rights of the key of this name; None if there is none that is valid."""
        if name == ANYONE.name:
            return None if self.required else ANYONE
        if name == API_KEY.name and self._api_key is not None:
            return API_KEY
        key = next((key for key in self._keys.values() if key.name == name), None)
        return key if key is not None and not key.expired(self._wall_time()) else None

    def token(self, token: Token) -> str:
        """Return a token as text, signed."""
        payload = packed(token)
        return f"{TOKEN_PREFIX}{payload}.{self.signer.sign(TOKEN_PREFIX, payload)}"

    def sign_for(self, grant: Grant, text: str) -> str:
        """Return the end of a protocol's short-lived key: its maker, signed."""
        name = packed(grant.name)
        return f"{name}.{self.signer.sign(VENDORS_PREFIX, f'{text}.{name}')}"

    def reload_if_changed(self) -> bool:
        """Read the file of keys again if it has changed; return whether it was.

        If it cannot be read now, the keys stay as they are, and the log says why.
        """
        stamp = stamp_of(self._path)
        if self._path is None or stamp == self._stamp:
            return False
        self._stamp = stamp
        try:
            self._keys = read_keys(self._path)
        except UsageError as error:
            log.error("the keys stay as they were: %s", error)
            return False
        log.info("read %d keys again", len(self._keys))
        return True

    def _grant_of_token(self, text: str) -> Grant | None:
        payload, _, signature = text.partition(".")
        if not self.signer.verifies(TOKEN_PREFIX, payload, signature):
            return None
        try:
            token = msgspec.json.decode(unpacked(payload), type=Token)
        except (ValueError, msgspec.DecodeError):  # of another version
            return None
        rights = self.rights_of(token.key)
        return Grant(rights, token) if rights and self._wall_time() < token.exp else None

    def _grant_of_vendors(self, text: str) -> Grant | None:
        signed, _, signature = text.rpartition(".")
        payload, _, name = signed.partition(".")
        if not self.signer.verifies(VENDORS_PREFIX, signed, signature):
            return None
        try:
            expiry = msgspec.json.decode(unpacked(payload), type=Expiry)
            key = msgspec.json.decode(unpacked(name), type=str)
        except (ValueError, msgspec.DecodeError):
            return None
        rights = self.rights_of(key)
        # Pages get these keys, to stream with them and for nothing else.
        token = Token(key=key, purpose="stream", exp=expiry.exp)
        return Grant(rights, token) if rights and self._wall_time() < expiry.exp else None


def read_api_key(config: ServerConfig) -> str | None:
    """Return the key of `api_key` or of the file that `api_key_file` names.

    Raises `UsageError` if the file cannot be read or is blank.
    """
    path = config.api_key_file
    if path is None:
        return config.api_key
    try:
        key = path.read_text("utf-8").strip()
    except OSError as error:
        raise UsageError(f"api_key_file: {path} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise UsageError(f"api_key_file: {path} is not text in UTF-8.") from None
    if not key:
        raise UsageError(f"api_key_file: {path} is empty; leave it out, or write a key into it.")
    return key


def stamp_of(path: Path | None) -> tuple[int, ...] | None:
    """Return what changes when a file is written or replaced; None if there is no file."""
    try:
        seen = path.stat() if path else None
    except OSError:
        return None
    return (seen.st_mtime_ns, seen.st_size, seen.st_ino) if seen else None
