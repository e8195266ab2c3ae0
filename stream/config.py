"""The settings of a server: one dataclass, which defines flags, variables and configuration file.

`port` can be set by `--port`, by `DISTIL_STREAM_PORT` and by `port = …` in the TOML file of
`--config`; the first of these takes precedence. Attribute docstrings are the help texts.
"""

import os
import tomllib
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from dataclasses import dataclass, fields
from ipaddress import ip_network
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
"""Variables with the prefix that are not settings of the server: the configuration file, the folder
of converted models and compiled kernels, and the folder of recordings for measurements."""

ADDRESS = Group("Address and access", sort_key=1)
MODEL = Group("Model", sort_key=2)
SPEECH = Group("Speech", sort_key=3)
ROOMS = Group("Rooms and calls", sort_key=4)
LIMITS = Group("Limits", sort_key=5)
LOG = Group("Log", sort_key=6)

Device = Literal["auto", "cpu", "cuda"]
Precision = Literal["auto", "int8", "float32", "float16", "bfloat16"]
Partials = Literal["model", "assistant"]
PaddedRetries = Literal["auto", "never"]
RoomAccess = Literal["key", "public"]
Vad = Literal["silero", "webrtc"]
WhenBusy = Literal["shed", "wait"]
LogLevel = Literal["debug", "info", "warning", "error"]
LogFormat = Literal["text", "json"]


OTHER_CONNECTIONS = 256
"""Connections that are neither streams, readers nor uploads: pages, health, metrics."""


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class ServerConfig:
    """All settings of a server. Raises `UsageError` for a value out of its range."""

    host: Annotated[str, Parameter(group=ADDRESS)] = "127.0.0.1"
    """Address on which the server accepts connections; 0.0.0.0 for all interfaces."""

    port: Annotated[int, Parameter(group=ADDRESS)] = 8765
    """TCP port; 0 for any free one."""

    api_key: Annotated[str | None, Parameter(group=ADDRESS)] = None
    """Key that a client must send: `Authorization: Bearer KEY`. It allows everything; `keys` is for
    several keys with less."""

    api_key_file: Annotated[Path | None, Parameter(group=ADDRESS)] = None
    """File that holds that key, instead of `api_key`."""

    keys: Annotated[Path | None, Parameter(group=ADDRESS)] = None
    """TOML file of keys, with what each may do; it is read again when it changes. Make them with
    `distil-stream keys add`."""

    secret_file: Annotated[Path | None, Parameter(group=ADDRESS)] = None
    """File with the secret that signs tokens; it is made if there is none. Without it, tokens are
    valid until the server stops. Servers of a cluster share it."""

    allow_anyone: Annotated[bool, Parameter(group=ADDRESS, negative=())] = False
    """Start without a key on an address that other machines can reach."""

    allow_host: Annotated[
        tuple[str, ...], Parameter(group=ADDRESS, negative=(), show_default=False)
    ] = ()
    """Name under which clients reach the server (the Host header), or "*" for any; may be repeated.
    Addresses, the names of this machine's loopback and the host of `public_url` are allowed."""

    trust_proxy: Annotated[
        tuple[str, ...], Parameter(group=ADDRESS, negative=(), show_default=False)
    ] = ()
    """Address or network of a proxy whose Forwarded and X-Forwarded headers are believed, such as
    127.0.0.1 or 10.0.0.0/8; may be repeated. By default none is."""

    tls_cert: Annotated[Path | None, Parameter(group=ADDRESS)] = None
    """Certificate with its chain, in PEM, for TLS of the server's own; read again when renewed."""

    tls_key: Annotated[Path | None, Parameter(group=ADDRESS)] = None
    """Key of that certificate, in PEM, without a passphrase."""

    audit_file: Annotated[Path | None, Parameter(group=ADDRESS)] = None
    """File to which a line is added whenever somebody opens a stream, or reads, renames or deletes
    a room; never what was said."""

    allow_origin: Annotated[
        tuple[str, ...], Parameter(group=ADDRESS, negative=(), show_default=False)
    ] = ()
    """Web origin whose pages may use this server, such as https://captions.example, or "*" for any;
    may be repeated. By default only the server's own page is allowed."""

    model: Annotated[str, Parameter(group=MODEL)] = "base"
    """Name, folder or hub id of the model; `distil-stream models` lists the names."""

    assistant: Annotated[str | None, Parameter(group=MODEL)] = None
    """Smaller model with the same tokens, whose drafts the model verifies; the words do not change.
    For large-v3, use distil-large-v3.5."""

    partials: Annotated[Partials, Parameter(group=MODEL)] = "model"
    """Which model transcribes the partials: the model itself, or its assistant, which is faster and
    makes more errors; then words are committed only by the final."""

    device: Annotated[Device, Parameter(group=MODEL)] = "auto"
    """Where the model runs; auto selects CUDA if there is a GPU."""

    precision: Annotated[Precision, Parameter(group=MODEL)] = "auto"
    """Precision of the weights; auto selects int8 on the CPU and float16 on CUDA."""

    ways: Annotated[str, Parameter(group=MODEL)] = "auto"
    """How the CPU computes each operation: auto measures at the first start and selects the fastest
    accurate way; `default` or OPERATION=WAY,… fix the ways (docs/serving.md)."""

    encoder_memory_mb: Annotated[int, Parameter(group=MODEL)] = 0
    """Megabytes that the encoder may remember of all streams, so that it encodes new audio only; 0
    encodes each window in full (docs/serving.md)."""

    padded_retries: Annotated[PaddedRetries, Parameter(group=MODEL)] = "auto"
    """Whether improbable words are decoded again at 30 s of padding; without it, the slowest finals
    are faster and more words are wrong (`bench ttfs` measures both)."""

    max_batch: Annotated[int, Parameter(group=MODEL)] = 8
    """Windows that the model transcribes at once, at most."""

    vad: Annotated[Vad, Parameter(group=SPEECH)] = "silero"
    """Voice activity detection: Silero's network after webrtcvad, or webrtcvad alone, which needs
    the least CPU time."""

    vad_aggressiveness: Annotated[int, Parameter(group=SPEECH)] = 2
    """How much audio webrtcvad, if used alone, rejects as noise: 0 (least) to 3 (most)."""

    partial_hop_ms: Annotated[int, Parameter(group=SPEECH)] = 1000
    """New audio between two partials, in milliseconds; 400 ms until an utterance has words. Half of
    the default shows words sooner and takes nearly twice the CPU time."""

    rooms_file: Annotated[Path | None, Parameter(group=ROOMS)] = None
    """SQLite file in which rooms are stored; without one they are stored in memory."""

    rooms_keep_h: Annotated[float, Parameter(group=ROOMS)] = 24.0
    """Hours for which a room is stored after its end."""

    room_access: Annotated[RoomAccess, Parameter(group=ROOMS)] = "key"
    """Which clients may read rooms if `api_key` is set: those that send the key, or (public) any
    client that has the name of the room. The list of rooms always requires the key."""

    twilio_auth_token: Annotated[str | None, Parameter(group=ROOMS)] = None
    """Auth token of a Twilio account: calls at /v1/twilio must be signed with it, and require no
    other key."""

    public_url: Annotated[str | None, Parameter(group=ROOMS)] = None
    """URL at which clients reach the server, such as wss://calls.example.com: its host is allowed,
    and Twilio's signatures are checked with it."""

    whisperlive_port: Annotated[int | None, Parameter(group=ADDRESS)] = None
    """TCP port for clients of WhisperLive, on `host`; 0 for any free one."""

    vosk_port: Annotated[int | None, Parameter(group=ADDRESS)] = None
    """TCP port for clients of vosk-server, on `host`; 0 for any free one."""

    wyoming_port: Annotated[int | None, Parameter(group=ADDRESS)] = None
    """TCP port for Wyoming, Home Assistant's voice protocol; 0 for any free one."""

    wyoming_host: Annotated[str, Parameter(group=ADDRESS)] = "127.0.0.1"
    """Address of that port. Wyoming has no key: beyond loopback, `wyoming_allow` is required."""

    wyoming_allow: Annotated[
        tuple[str, ...], Parameter(group=ADDRESS, negative=(), show_default=False)
    ] = ()
    """Address or network from which it may be used, such as 192.168.1.20; may be repeated."""

    audiosocket_port: Annotated[int | None, Parameter(group=ROOMS)] = None
    """TCP port for calls from Asterisk's AudioSocket; 0 for any free one. Without it, no such calls
    are accepted."""

    audiosocket_host: Annotated[str, Parameter(group=ROOMS)] = "127.0.0.1"
    """Address of that port. AudioSocket has no key: beyond loopback, `audiosocket_allow` is
    required."""

    audiosocket_allow: Annotated[
        tuple[str, ...], Parameter(group=ROOMS, negative=(), show_default=False)
    ] = ()
    """Address or network from which such calls are accepted, such as 10.0.0.7 or 10.0.0.0/24; may
    be repeated."""

    audiosocket_settings: Annotated[str, Parameter(group=ROOMS)] = ""
    """Settings of those calls, as a query string: language=de&endpointing_ms=700"""

    webhook_url: Annotated[str | None, Parameter(group=ROOMS)] = None
    """URL to which the finals and other events of rooms are sent as JSON."""

    webhook_secret: Annotated[str | None, Parameter(group=ROOMS)] = None
    """Secret that signs those requests: `whsec_` and 24 to 64 bytes in base64."""

    max_sessions: Annotated[int, Parameter(group=LIMITS)] = 64
    """Streams at once; a further one is refused with 503. Each takes an open file."""

    when_busy: Annotated[WhenBusy, Parameter(group=LIMITS)] = "shed"
    """What the server does if windows wait too long for the engine: shed leaves out partials, and
    then refuses new streams; wait delays everything."""

    max_frame_bytes: Annotated[int, Parameter(group=LIMITS)] = 1 << 20
    """Maximum size of a websocket message; a larger one closes the connection (1009)."""

    max_ahead_s: Annotated[float, Parameter(group=LIMITS)] = 60.0
    """Seconds of audio that may wait for the engine; then the socket of the client is not read."""

    max_gap_s: Annotated[float, Parameter(group=LIMITS)] = 3600.0
    """Longest jump in the time stamps of a stream, in seconds, that its clock follows; a longer one
    is taken for an error of the sender."""

    idle_s: Annotated[float, Parameter(group=LIMITS)] = 60.0
    """Seconds after which a client is disconnected that sends no message or does not read."""

    resume_s: Annotated[float, Parameter(group=LIMITS)] = 60.0
    """Seconds for which a stream can be resumed after its connection is lost; 0 disables it."""

    max_readers: Annotated[int, Parameter(group=LIMITS)] = 2000
    """Readers of rooms at once; a further one is refused with 503."""

    max_uploads: Annotated[int, Parameter(group=LIMITS)] = 8
    """Recordings that are received or transcribed at once; a further one is refused with 429."""

    max_upload_mb: Annotated[int, Parameter(group=LIMITS)] = 512
    """Maximum size of a recording, in megabytes; a larger one is refused with 413."""

    max_per_address: Annotated[int | None, Parameter(group=LIMITS)] = None
    """Connections from one address at once, and uploads among them. By default a quarter of all
    that are allowed, or any number from this machine, where a proxy may run."""

    drain_s: Annotated[float, Parameter(group=LIMITS)] = 30.0
    """Seconds that streams have to get their finals when the server is stopped."""

    log_level: Annotated[LogLevel, Parameter(group=LOG)] = "info"
    """Lowest level that is logged, to stderr."""

    log_format: Annotated[LogFormat, Parameter(group=LOG)] = "text"
    """Format of log lines: text, or a JSON object for each line."""

    @property
    def max_connections(self) -> int:
        """Connections of all kinds at once: streams, readers, uploads, and other requests."""
        return self.max_sessions + self.max_readers + self.max_uploads + OTHER_CONNECTIONS

    def __post_init__(self) -> None:
        within("port", self.port, 0, 65_535)
        within("max_batch", self.max_batch, 1, 256)
        within("encoder_memory_mb", self.encoder_memory_mb, 0, 1_000_000)
        within("vad_aggressiveness", self.vad_aggressiveness, 0, 3)
        within("partial_hop_ms", self.partial_hop_ms, 100, 10_000)
        within("max_sessions", self.max_sessions, 1, 100_000)
        within("max_frame_bytes", self.max_frame_bytes, 1 << 10, 1 << 26)
        within("max_ahead_s", self.max_ahead_s, 1, 3600)
        within("max_gap_s", self.max_gap_s, 0, 1_000_000)
        within("idle_s", self.idle_s, 0.1, 86_400)
        within("resume_s", self.resume_s, 0, 3600)
        within("max_readers", self.max_readers, 0, 1_000_000)
        within("max_uploads", self.max_uploads, 0, 10_000)
        within("max_upload_mb", self.max_upload_mb, 1, 100_000)
        if self.max_per_address is not None:
            within("max_per_address", self.max_per_address, 1, 1_000_000)
        within("drain_s", self.drain_s, 0, 3600)
        within("rooms_keep_h", self.rooms_keep_h, 0, 100_000)
        for name in ("whisperlive_port", "vosk_port", "wyoming_port", "audiosocket_port"):
            if (number := getattr(self, name)) is not None:
                within(name, number, 0, 65_535)
        for origin in self.allow_origin:
            check_origin(origin)
        example = "wss://calls.example.com"
        check_address("public_url", self.public_url, ("ws", "wss", "http", "https"), example)
        check_address("webhook_url", self.webhook_url, ("http", "https"), "https://hooks.example")
        for field in ("trust_proxy", "audiosocket_allow", "wyoming_allow"):
            for text in getattr(self, field):
                check_network(field, text)
        if self.api_key is not None and self.api_key_file is not None:
            raise UsageError("api_key and api_key_file are both set; leave one of them out.")
        for field in SECRETS:
            secret: str | None = getattr(self, field)
            if secret is not None and not secret.strip():
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
"""Fields with secrets that grant access. An empty one is refused, also in a variable: it is
probably a mistake, and would open the server to everybody."""


def check_origin(text: str) -> None:
    """Raise `UsageError` for an invalid web origin; "*" is valid."""
    if text == "*":
        return
    try:
        origin_of(text)
    except ValueError as error:
        raise UsageError(f"allow_origin: {error}") from None


def check_network(field: str, text: str) -> None:
    """Raise `UsageError` for a text that is no address and no network."""
    try:
        ip_network(text.strip(), strict=False)
    except ValueError:
        raise UsageError(
            f"{field} is {text!r}, which is not an address or a network; write 10.0.0.7 or "
            "10.0.0.0/24."
        ) from None


def check_address(field: str, url: str | None, schemes: tuple[str, ...], example: str) -> None:
    """Raise `UsageError` unless the URL is None or a valid one with one of these schemes.

    The message names the field and gives the example.
    """
    try:
        parts = urlsplit(url or example)
        good = parts.scheme in schemes and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if not good:
        raise UsageError(f"{field} is {url!r}, which is not a URL; write it like {example}.")


def within(field: str, value: float, low: float, high: float) -> None:
    """Raise `UsageError` unless low <= value <= high."""
    if not low <= value <= high:
        raise UsageError(f"{field} is {value:g}; use {low:g} to {high:g}.")


def one_of(field: str, value: str) -> None:
    """Raise `UsageError` unless the value is one of `CHOICES[field]`."""
    if value not in CHOICES[field]:
        raise UsageError(f"{field} is {value!r}; use one of {', '.join(CHOICES[field])}.")


def check_variables(app: App, commands: tuple[str, ...], arguments: "ArgumentCollection") -> None:
    """Check the names of the variables only; `from_variables` reads their values.

    Raises `CycloptsError` if a variable with the prefix is not a setting, such as a misspelt one.
    """
    known = {field.name.upper() for field in fields(ServerConfig)} | OTHER_VARIABLES
    for variable in os.environ:
        if variable.startswith(ENV_PREFIX) and variable.removeprefix(ENV_PREFIX) not in known:
            raise CycloptsError(msg=f"The environment variable {variable} is not a setting.")


def from_variables(app: App, commands: tuple[str, ...], arguments: "ArgumentCollection") -> None:
    """Read settings that no flag sets from variables; an empty variable counts as not set.

    Compose and systemd pass a variable that is not set as an empty one.
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
    """Read settings that neither a flag nor a variable sets from the TOML file of `--config`.

    Raises `CycloptsError` if the file is missing or invalid.
    """
    for argument in arguments:
        if argument.name == "--config" and argument.tokens:
            path = Path(argument.tokens[-1].value)
            read = Dict(read_toml(path), source=str(path), use_commands_as_keys=False)
            read(app, commands, arguments)


def read_toml(path: Path) -> dict[str, object]:
    """Return the content of a TOML file in UTF-8, or in UTF-16, as some Windows programs write it.

    Raises:
        CycloptsError: the file cannot be read, or is not valid TOML.
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
        raise CycloptsError(msg=f"{path} is not text in UTF-8; save it as UTF-8.") from None
    except tomllib.TOMLDecodeError as error:
        raise CycloptsError(msg=f"{path} is not valid TOML: {error}.") from None


SOURCES = (check_variables, from_variables, from_file)
"""Sources of settings besides the flags, for `App(config=…)`; an earlier one takes precedence."""
