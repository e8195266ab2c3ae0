"""`distil-stream keys`: add keys to the file of a server, list them and revoke them."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from stream.server.keys.key_file import Key, Permission, add_key, in_days, read_keys, revoke_key

app = App(name="keys", help="Add, list and revoke the keys of a server.")

File = Annotated[Path, Parameter(name="--keys", env_var="DISTIL_STREAM_KEYS")]
Several = Parameter(negative=(), show_default=False)


@app.command
def add(
    name: str,
    *,
    file: File,
    may: Annotated[tuple[Permission, ...], Several] = ("stream", "upload"),
    open_rooms: Annotated[tuple[str, ...], Several] = ("*",),
    speak_in: Annotated[tuple[str, ...], Several] = (),
    read_rooms: Annotated[tuple[str, ...], Several] = (),
    labels: Annotated[tuple[str, ...], Several] = ("*",),
    max_streams: int | None = None,
    max_uploads: int | None = None,
    audio_s_an_hour: float | None = None,
    days: float | None = None,
) -> None:
    """Add a key, and print its secret, which is stored nowhere.

    A running server accepts the key within a second.

    Parameters
    ----------
    name
        Name of the key, for logs and for the owner of rooms.
    file
        The file of keys; it is created if there is none.
    may
        What the key may do: stream, upload, administer, record; may be repeated.
    open_rooms
        Pattern of the names of rooms that the key may open, such as "desk-*"; may be repeated.
    speak_in
        Pattern of rooms of other keys in which the key may speak; may be repeated.
    read_rooms
        Pattern of rooms of other keys that the key may read; may be repeated.
    labels
        Pattern of the labels under which the key may speak in rooms; may be repeated.
    max_streams
        Greatest number of streams at the same time.
    max_uploads
        Greatest number of recordings at the same time.
    audio_s_an_hour
        Greatest number of seconds of audio within an hour, streams and recordings together.
    days
        Days after which the key expires.
    """
    key = Key(
        name=name,
        may=may,
        open_rooms=open_rooms,
        speak_in=speak_in,
        read_rooms=read_rooms,
        labels=labels,
        max_streams=max_streams,
        max_uploads=max_uploads,
        audio_s_an_hour=audio_s_an_hour,
        expires=None if days is None else in_days(days),
    )
    print(add_key(file, key))


@app.command(name="list")
def list_keys(*, file: File) -> None:
    """List the keys: names, rights, limits and expiry.

    Parameters
    ----------
    file
        The file of keys.
    """
    print(f"{'name':20} {'may':32} {'streams':>7} {'uploads':>7} {'audio s/h':>9}  expires")
    for key in sorted(read_keys(file).values(), key=lambda key: key.name):
        limits = f"{number(key.max_streams):>7} {number(key.max_uploads):>7}"
        may, audio = ",".join(key.may), number(key.audio_s_an_hour)
        print(f"{key.name:20} {may:32} {limits} {audio:>9}  {expiry_of(key)}")


@app.command
def revoke(name: str, *, file: File) -> None:
    """Remove a key. A running server ends the streams of the key within a second.

    Parameters
    ----------
    name
        Name of the key.
    file
        The file of keys.
    """
    revoke_key(file, name)


def number(limit: float | None) -> str:
    """Return a limit as text; a dash if there is none."""
    return "-" if limit is None else f"{limit:g}"


def expiry_of(key: Key) -> str:
    """Return the time in UTC at which a key expires or has expired, as text; else `never`."""
    if key.expires is None:
        return "never"
    expired = " (expired)" if key.expired(datetime.now(UTC).timestamp()) else ""
    return f"{key.expires.astimezone(UTC):%Y-%m-%d %H:%M} UTC{expired}"
