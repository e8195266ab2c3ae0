"""The settings of a server: one dataclass, from which flags, environment and file are derived.

`port` is `--port`, `DISTIL_STREAM_PORT` and `port = …` in the TOML file of `--config`; the first of
these that names it wins. Attribute docstrings are the help texts.
"""

import os
import tomllib
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, get_args
from urllib.parse import urlsplit

from cyclopts import App, CycloptsError, Group, Parameter
from cyclopts.config import Dict, Env

from stream.errors import UsageError
from stream.origins import origin_of

if TYPE_CHECKING:
    from cyclopts.argument import ArgumentCollection

ENV_PREFIX = "DISTIL_STREAM_"

OTHER_VARIABLES = frozenset({"CONFIG", "CACHE", "DATA"})
"""Variables with our prefix that are no setting of the server: the configuration file, where
converted models are kept, where recordings to measure with are."""

ADDRESS = Group("Address and access", sort_key=1)
MODEL = Group("Model", sort_key=2)
HEARING = Group("Hearing", sort_key=3)
ROOMS = Group("Rooms and calls", sort_key=4)
LIMITS = Group("Limits", sort_key=5)
LOG = Group("Log", sort_key=6)

Device = Literal["auto", "cpu", "cuda"]
Precision = Literal["auto", "int8", "float32", "float16", "bfloat16"]
Partials = Literal["model", "assistant"]
RoomAccess = Literal["key", "public"]
Vad = Literal["silero", "webrtc"]
WhenBusy = Literal["shed", "wait"]
LogLevel = Literal["debug", "info", "warning", "error"]
LogFormat = Literal["text", "json"]


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class ServerConfig:
    """How a server listens, hears and limits. Raises `UsageError` for a value out of its range."""

    host: Annotated[str, Parameter(group=ADDRESS)] = "127.0.0.1"
    """Address to listen on; 0.0.0.0 for all."""

    port: Annotated[int, Parameter(group=ADDRESS)] = 8765
    """TCP port; 0 for any free one."""

    api_key: Annotated[str | None, Parameter(group=ADDRESS)] = None
    """Key that a client must show: `Authorization: Bearer KEY`, or `?token=KEY`."""

    allow_origin: Annotated[
        tuple[str, ...], Parameter(group=ADDRESS, negative=(), show_default=False)
    ] = ()
    """Web origin whose pages may use this server, such as https://captions.example, or "*" for any;
    may be repeated. By default only the server's own page may."""

    model: Annotated[str, Parameter(group=MODEL)] = "base"
    """Name, folder or hub id; `distil-stream models` lists them."""

    assistant: Annotated[str | None, Parameter(group=MODEL)] = None
    """Smaller model of the same tokens that drafts what the model verifies: the words stay the
    model's own. For large-v3 that is distil-large-v3.5."""

    partials: Annotated[Partials, Parameter(group=MODEL)] = "model"
    """Who hears the partials: the model, or its assistant alone, which is sooner and less right;
    then no word is committed before its final."""

    device: Annotated[Device, Parameter(group=MODEL)] = "auto"
    """Where the model runs; auto takes CUDA where there is one."""

    precision: Annotated[Precision, Parameter(group=MODEL)] = "auto"
    """Of the weights; auto takes int8 on the CPU and float16 on CUDA."""

    ways: Annotated[str, Parameter(group=MODEL)] = "auto"
    """How the CPU computes each operation: auto measures at the first start and takes the fastest
    of the right ways; `default` or OPERATION=WAY,… pin them (docs/serving.md)."""

    max_batch: Annotated[int, Parameter(group=MODEL)] = 8
    """Windows that the model transcribes at once."""

    vad: Annotated[Vad, Parameter(group=HEARING)] = "silero"
    """What tells speech from noise: Silero's network behind webrtcvad, or webrtcvad alone, which is
    the lightest."""

    vad_aggressiveness: Annotated[int, Parameter(group=HEARING)] = 2
    """How readily webrtcvad alone calls sound noise: 0 (least) to 3."""

    partial_hop_ms: Annotated[int, Parameter(group=HEARING)] = 1000
    """New audio that makes the next partial due, in milliseconds; until an utterance has words to
    show, 400 ms do. Half of it shows words sooner and costs twice as much."""

    rooms_file: Annotated[Path | None, Parameter(group=ROOMS)] = None
    """SQLite file to keep rooms in; without one they are kept in memory."""

    rooms_keep_h: Annotated[float, Parameter(group=ROOMS)] = 24.0
    """Hours that a room is kept when it is over."""

    room_access: Annotated[RoomAccess, Parameter(group=ROOMS)] = "key"
    """Who may read rooms where `api_key` is set: who shows the key, or (public) whoever knows the
    name of one. Listing them always takes the key."""

    twilio_auth_token: Annotated[str | None, Parameter(group=ROOMS)] = None
    """Auth token of a Twilio account: calls at /v1/twilio must be signed with it, and need no
    other key."""

    public_url: Annotated[str | None, Parameter(group=ROOMS)] = None
    """Address that Twilio calls, such as wss://calls.example.com, where a proxy makes it differ
    from what the server is asked for."""

    audiosocket_port: Annotated[int | None, Parameter(group=ROOMS)] = None
    """TCP port for calls from Asterisk's AudioSocket, on `host`; 0 for any free one. Without one no
    such calls are taken."""

    audiosocket_settings: Annotated[str, Parameter(group=ROOMS)] = ""
    """Settings of those calls, as a query string: language=de&endpointing_ms=700"""

    webhook_url: Annotated[str | None, Parameter(group=ROOMS)] = None
    """Address that is sent what is said in rooms, line by line, as JSON."""

    webhook_secret: Annotated[str | None, Parameter(group=ROOMS)] = None
    """Secret that those requests are signed with: `whsec_` and 24 to 64 bytes in base64."""

    max_sessions: Annotated[int, Parameter(group=LIMITS)] = 64
    """Streams at once; one more is answered 503. Each is an open file."""

    when_busy: Annotated[WhenBusy, Parameter(group=LIMITS)] = "shed"
    """What is done while windows wait too long for the engine: shed leaves out partials, and then
    new streams; wait lets everything wait."""

    max_frame_bytes: Annotated[int, Parameter(group=LIMITS)] = 1 << 20
    """Size of one websocket message; a larger one closes the connection (1009)."""

    max_ahead_s: Annotated[float, Parameter(group=LIMITS)] = 60.0
    """Seconds of audio that a client may be ahead of the engine before its socket is not read."""

    idle_s: Annotated[float, Parameter(group=LIMITS)] = 60.0
    """Seconds without a message, or without reading ours, after which a client is closed."""

    resume_s: Annotated[float, Parameter(group=LIMITS)] = 60.0
    """Seconds that a stream is kept for a client that lost its connection; 0 for not at all."""
    max_readers: Annotated[int, Parameter(group=LIMITS)] = 2000
    """Readers of rooms at once; one more is answered 503."""

    max_uploads: Annotated[int, Parameter(group=LIMITS)] = 8
    """Recordings that are received or transcribed at once; one more is answered 429."""

    max_upload_mb: Annotated[int, Parameter(group=LIMITS)] = 512
    """Size of one recording, in megabytes; a larger one is answered 413."""

    drain_s: Annotated[float, Parameter(group=LIMITS)] = 30.0
    """Seconds that streams have to get their finals when the server is told to stop."""

    log_level: Annotated[LogLevel, Parameter(group=LOG)] = "info"
    """The least that is logged, to stderr."""

    log_format: Annotated[LogFormat, Parameter(group=LOG)] = "text"
    """Lines for people, or one JSON object a line."""

    def __post_init__(self) -> None:
        within("port", self.port, 0, 65_535)
        within("max_batch", self.max_batch, 1, 256)
        within("vad_aggressiveness", self.vad_aggressiveness, 0, 3)
        within("partial_hop_ms", self.partial_hop_ms, 100, 10_000)
        within("max_sessions", self.max_sessions, 1, 100_000)
        within("max_frame_bytes", self.max_frame_bytes, 1 << 10, 1 << 26)
        within("max_ahead_s", self.max_ahead_s, 1, 3600)
        within("idle_s", self.idle_s, 0.1, 86_400)
        within("resume_s", self.resume_s, 0, 3600)
        within("max_readers", self.max_readers, 0, 1_000_000)
        within("max_uploads", self.max_uploads, 0, 10_000)
        within("max_upload_mb", self.max_upload_mb, 1, 100_000)
        within("drain_s", self.drain_s, 0, 3600)
        within("rooms_keep_h", self.rooms_keep_h, 0, 100_000)
        if self.audiosocket_port is not None:
            within("audiosocket_port", self.audiosocket_port, 0, 65_535)
        for origin in self.allow_origin:
            check_origin(origin)
        example = "wss://calls.example.com"
        check_address("public_url", self.public_url, ("ws", "wss", "http", "https"), example)
        check_address("webhook_url", self.webhook_url, ("http", "https"), "https://hooks.example")
        for field in SECRETS:
            if getattr(self, field) == "":
                raise UsageError(f"{field} is empty; leave it out, or give a value.")
        for field in CHOICES:
            one_of(field, getattr(self, field))


CHOICES = {
    "device": get_args(Device),
    "precision": get_args(Precision),
    "partials": get_args(Partials),
    "vad": get_args(Vad),
    "room_access": get_args(RoomAccess),
    "when_busy": get_args(WhenBusy),
    "log_level": get_args(LogLevel),
    "log_format": get_args(LogFormat),
}


SECRETS = ("api_key", "twilio_auth_token")
"""Fields that let clients in. An empty one is refused, in a variable as well: it is a mistake after
which the server would be open to everybody."""


def check_origin(text: str) -> None:
    """Raise `UsageError` for an origin that no page can come from."""
    if text == "*":
        return
    try:
        origin_of(text)
    except ValueError as error:
        raise UsageError(f"allow_origin: {error}") from None


def check_address(field: str, url: str | None, schemes: tuple[str, ...], example: str) -> None:
    """Raise `UsageError` for an address that cannot be one of these schemes."""
    try:
        parts = urlsplit(url or example)
        good = parts.scheme in schemes and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if not good:
        raise UsageError(f"{field} is {url!r}, which is no address; write it as {example}.")


def within(field: str, value: float, low: float, high: float) -> None:
    """Raise `UsageError` unless low <= value <= high."""
    if not low <= value <= high:
        raise UsageError(f"{field} is {value:g}; use {low:g} to {high:g}.")


def one_of(field: str, value: str) -> None:
    """Raise `UsageError` unless the value is among the choices of its field."""
    if value not in CHOICES[field]:
        raise UsageError(f"{field} is {value!r}; use one of {', '.join(CHOICES[field])}.")


def from_environment(app: App, commands: tuple[str, ...], arguments: "ArgumentCollection") -> None:
    """Refuse a variable with our prefix that means nothing: a typing error would go unnoticed."""
    known = {field.name.upper() for field in fields(ServerConfig)} | OTHER_VARIABLES
    for variable in os.environ:
        if variable.startswith(ENV_PREFIX) and variable.removeprefix(ENV_PREFIX) not in known:
            raise CycloptsError(msg=f"The environment variable {variable} is no setting of ours.")


def from_variables(app: App, commands: tuple[str, ...], arguments: "ArgumentCollection") -> None:
    """Take what no flag says from variables; one without a value counts as not set.

    That is what Compose and systemd make of a variable that nobody set.
    """
    Env(ENV_PREFIX, command=False, show=False)(app, commands, arguments)
    for argument in arguments:
        if argument.name.lstrip("-").replace("-", "_") not in SECRETS:
            blank = [
                token for token in argument.tokens if token.source == "env" and not token.value
            ]
            for token in blank:
                argument.tokens.remove(token)


def from_file(app: App, commands: tuple[str, ...], arguments: "ArgumentCollection") -> None:
    """Take what neither flag nor variable says from the TOML file that `--config` names."""
    for argument in arguments:
        if argument.name == "--config" and argument.tokens:
            path = Path(argument.tokens[-1].value)
            read = Dict(read_toml(path), source=str(path), use_commands_as_keys=False)
            read(app, commands, arguments)


def read_toml(path: Path) -> dict[str, object]:
    """Return the content of a TOML file, in UTF-8 or in the UTF-16 that Windows writes.

    Raises:
        CycloptsError: the file cannot be read, or is no TOML.
    """
    if not path.is_file():
        raise CycloptsError(msg=f"There is no configuration file {path}.")
    try:
        content = path.read_bytes()
        wide = content.startswith((BOM_UTF16_LE, BOM_UTF16_BE))
        return tomllib.loads(content.decode("utf-16" if wide else "utf-8-sig"))
    except OSError as error:
        raise CycloptsError(msg=f"{path} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise CycloptsError(msg=f"{path} is not text in UTF-8; save it so.") from None
    except tomllib.TOMLDecodeError as error:
        raise CycloptsError(msg=f"{path} is no TOML: {error}.") from None


SOURCES = (from_environment, from_variables, from_file)
"""Where settings come from besides the flags, the strongest first; for `App(config=…)`."""
