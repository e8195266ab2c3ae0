"""The file of keys: TOML, with the SHA-256 of each key instead of the key itself.

A key is made from 32 random bytes, so that a fast hash is sufficient: it cannot be guessed from its
hash. `docs/keys.md` describes the file.
"""

import hashlib
import os
import re
import secrets
import tempfile
import tomllib
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal, cast, get_args

import msgspec
import tomlkit
from tomlkit.items import AoT

from stream.errors import UsageError

Permission = Literal["stream", "upload", "administer", "record"]
PERMISSIONS: tuple[Permission, ...] = get_args(Permission)

PREFIX = "dsk_"
"""Prefix of a key, by which scanners for secrets can find it."""

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}")

RESERVED = "api-key"
"""The name of the key that `--api-key` sets."""

Time = Annotated[datetime, msgspec.Meta(tz=True)]
Count = Annotated[int, msgspec.Meta(ge=0)]


class Key(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """What the holder of a key may do. Patterns are those of a shell: `desk-*`."""

    name: str
    sha256: str = ""
    """SHA-256 of the key, in hexadecimal digits."""
    may: tuple[Permission, ...] = ("stream", "upload")
    open_rooms: tuple[str, ...] = ("*",)
    """Patterns of the names of rooms that it may open; they belong to it then."""
    speak_in: tuple[str, ...] = ()
    """Patterns of rooms of other keys in which it may speak."""
    read_rooms: tuple[str, ...] = ()
    """Patterns of rooms of other keys that it may read."""
    labels: tuple[str, ...] = ("*",)
    """Patterns of the labels under which it may speak in rooms."""
    max_streams: Count | None = None
    """Streams at once; None for no limit of its own."""
    max_uploads: Count | None = None
    """Recordings at once; None for no limit of its own."""
    audio_s_an_hour: Annotated[float, msgspec.Meta(ge=0)] | None = None
    """Seconds of audio within an hour, of streams and recordings; None for no limit."""
    expires: Time | None = None

    @property
    def owner(self) -> str | None:
        """The owner of the rooms that it opens; None if they belong to no key."""
        return self.name or None

    def expired(self, now: float) -> bool:
        """Return whether the key is no longer valid at a time in seconds since 1970."""
        return self.expires is not None and now >= self.expires.timestamp()


class KeyFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The content of the file."""

    key: tuple[Key, ...] = ()


def hash_of(key: str) -> str:
    """Return the SHA-256 of a key in hexadecimal digits."""
    return hashlib.sha256(as_bytes(key)).hexdigest()


def as_bytes(shown: str) -> bytes:
    """Return a text that a client sent as bytes; a header may hold what is not UTF-8."""
    return shown.encode(errors="backslashreplace")


def read_keys(path: Path) -> Mapping[str, Key]:
    """Return the keys of a file by their hashes.

    Raises `UsageError` if the file cannot be read or is invalid.
    """
    try:
        keys = msgspec.convert(tomllib.loads(path.read_text("utf-8")), KeyFile).key
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise UsageError(f"{path} is not text in UTF-8; save it as UTF-8.") from None
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{path} is not valid TOML: {error}.") from None
    except msgspec.ValidationError as error:
        raise UsageError(f"{path} is not a valid file of keys: {error}.") from None
    for key in keys:
        check(key, path)
    for what, values in (("name", [k.name for k in keys]), ("sha256", [k.sha256 for k in keys])):
        if twice := next((value for value in values if values.count(value) > 1), None):
            raise UsageError(
                f"{path}: the {what} {twice!r} is there twice; remove one of the keys."
            )
    return {key.sha256: key for key in keys}


def check(key: Key, path: Path) -> None:
    """Raise `UsageError` if the name or the hash of a key is invalid."""
    if not NAME.fullmatch(key.name):
        raise UsageError(
            f"{path}: the name {key.name!r} is invalid; use 1 to 80 letters, digits, dots, dashes "
            "and underscores."
        )
    if key.name == RESERVED:
        raise UsageError(f"{path}: the name {RESERVED!r} is that of --api-key; use another one.")
    if not re.fullmatch(r"[0-9a-f]{64}", key.sha256):
        raise UsageError(
            f"{path}: the sha256 of {key.name!r} is not 64 hexadecimal digits in lower case; make "
            "the key with `distil-stream keys add`."
        )


def add_key(path: Path, key: Key) -> str:
    """Add a key to a file, which is created if there is none; comments stay.

    Args:
        path: the file.
        key: the name and the rights of the new key; its hash is made here.

    Returns:
        The key itself, which is stored nowhere.

    Raises:
        UsageError: the file is invalid or cannot be written, or has a key of this name.
    """
    present = read_keys(path) if path.exists() else {}
    if any(one.name == key.name for one in present.values()):
        raise UsageError(f"{path} has a key {key.name!r} already; revoke it, or use another name.")
    secret = PREFIX + secrets.token_urlsafe(32)
    made = msgspec.structs.replace(key, sha256=hash_of(secret))
    check(made, path)
    document = tomlkit.parse(path.read_text("utf-8")) if path.exists() else tomlkit.document()
    table = tomlkit.table()
    for name, value in msgspec.to_builtins(made, builtin_types=(datetime,)).items():
        table[name] = list(value) if isinstance(value, tuple) else value
    if "key" not in document:
        document["key"] = tomlkit.aot()
    cast(AoT, document["key"]).append(table)
    write(path, tomlkit.dumps(document))
    return secret


def revoke_key(path: Path, name: str) -> None:
    """Remove a key from a file. Raises `UsageError` if it has none of this name."""
    if name not in {key.name for key in read_keys(path).values()}:
        raise UsageError(f"{path} has no key {name!r}.")
    document = tomlkit.parse(path.read_text("utf-8"))
    tables = cast(AoT, document["key"])
    del tables[[table["name"] for table in tables].index(name)]
    if not tables:
        del document["key"]
    write(path, tomlkit.dumps(document))


def write(path: Path, text: str) -> None:
    """Replace a file at once, so that a server never reads half of it. Raises `UsageError`."""
    target = path.resolve()  # a link stays a link
    try:
        handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        if target.exists():
            os.chmod(temporary, target.stat().st_mode & 0o777)
        os.replace(temporary, target)
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}.") from None


def in_days(days: float) -> datetime:
    """Return the time after this many days, to the second."""
    now = datetime.now(UTC).timestamp()
    return datetime.fromtimestamp(round(now + days * 86_400), UTC)
