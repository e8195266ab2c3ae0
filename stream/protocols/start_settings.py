"""Makes the settings of a session from what a client asks for, and checks them.

`from_query` reads a query string; `settings_of` makes the settings of every session. The path of a
setting through the code is described in `core/settings`.
"""

import re
from collections.abc import Mapping, Sequence
from typing import get_origin, get_type_hints

import msgspec

from stream.core.languages import language_code
from stream.core.settings import CONTAINER, StreamSettings
from stream.errors import PeerError, SettingsError
from stream.protocols.close_codes import CloseCode
from stream.protocols.interface import RoomMembership, Service
from stream.protocols.labels import label_of
from stream.protocols.messages import Start

SERVER_FIELDS = frozenset({"token"})
"""Fields of the query string that the server itself uses: the key."""


def from_query(query: Mapping[str, Sequence[str]]) -> Start:
    """Return the fields of `start` in a query string; a list repeats its field.

    A field without a value counts as not set, because forms and telephones send fields that way.

    Raises `PeerError` for an unknown field, a value of the wrong type, or `resume`.
    """
    fields: dict[str, object] = {}
    for name, values in query.items():
        given = [value for value in values if value.strip()]
        if name in SERVER_FIELDS or (not given and name in Start.__struct_fields__):
            continue
        if is_list(name):  # the position of a speaker in the list is its channel
            fields[name] = tuple(values if name == "speakers" else given)
        elif name == "resume":
            message = "`resume` is not allowed in the query string; send it in `start`."
            raise PeerError("resume_refused", message, CloseCode.RESUME_REFUSED)
        else:
            fields[name] = given[-1].strip() if given else ""
    try:
        return msgspec.convert({"type": "start", **fields}, Start, strict=False)
    except msgspec.ValidationError as error:
        raise SettingsError("query", f"The query string is invalid: {error}.") from None


def is_list(field: str) -> bool:
    """Return whether the value of a field of `start` is a list."""
    hint = get_type_hints(Start).get(field)
    return any(get_origin(part) is tuple for part in getattr(hint, "__args__", ()))


RESUME_SENTENCE = "This server does not resume streams; start a new one without `resume`."
CONTAINER_SENTENCE = (
    "This server does not unpack containers; send raw audio as pcm_s16le, pcm_f32le, mulaw or alaw."
)


def settings_of(asked: Mapping[str, object], service: Service) -> StreamSettings:
    """Return the settings of a session.

    Args:
        asked: fields of `start`, with values of the right types.
        service: what the server offers.

    Raises:
        PeerError: a value is invalid, or the server does not support it.
    """
    fields = {name: value for name, value in asked.items() if name not in ("room", "speakers")}
    if "language" in fields:
        fields["language"] = language_code(str(fields["language"]), service.languages)
    if fields.pop("resume", None) is not None:
        raise PeerError("resume_refused", RESUME_SENTENCE, CloseCode.RESUME_REFUSED)
    model = fields.pop("model", None)
    if model not in (None, service.model):
        raise SettingsError("model", f"model is {model!r}; this server runs {service.model!r}.")
    if fields.get("encoding") == CONTAINER and service.container is None:
        raise SettingsError("encoding", CONTAINER_SENTENCE)
    settings = StreamSettings(**fields)  # type: ignore[arg-type]
    settings.check()
    check_language(settings.language, service)
    if settings.task == "translate" and len(service.languages) == 1:
        raise SettingsError(
            "task", f"task is 'translate'; {service.model} supports only {service.languages[0]!r}."
        )
    return settings


ROOM_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}")


def membership_of(
    asked: Mapping[str, object], settings: StreamSettings, about: Mapping[str, str] | None = None
) -> RoomMembership | None:
    """Return the membership that the fields `room` and `speakers` specify; None without a room.

    Raises `SettingsError` for an invalid name or label.
    """
    room, speakers = asked.get("room"), asked.get("speakers", ())
    assert isinstance(speakers, tuple)
    if room is None:
        if speakers:
            raise SettingsError("speakers", "speakers has labels, but there is no room; name one.")
        return None
    if not ROOM_NAME.fullmatch(str(room)):
        raise SettingsError(
            "room", f"room is {room!r}; use 1 to 80 letters, digits, dots, dashes and underscores."
        )
    if len(speakers) > settings.channels:
        raise SettingsError(
            "speakers",
            f"speakers has {len(speakers)} labels, and the stream {settings.channels} channels.",
        )
    try:
        labels = tuple(label_of(speaker) for speaker in speakers)
    except ValueError as error:
        raise SettingsError("speakers", str(error)) from None
    return RoomMembership(str(room), settings.channels, settings.sample_rate, labels, about or {})


def check_language(language: str, service: Service) -> None:
    """Raise `SettingsError` for a language that the model does not support; `auto` is allowed."""
    if language != "auto" and language not in service.languages:
        known = ", ".join(sorted(service.languages))
        raise SettingsError("language", f"language is {language!r}; use auto or one of {known}.")
