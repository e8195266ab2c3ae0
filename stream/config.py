"""The settings of a server: one dataclass, from which flags, environment and file are derived.

`port` is `--port`, `DISTIL_STREAM_PORT` and `port = …` in the TOML file of `--config`; the first of
these that names it wins. Attribute docstrings are the help texts.
"""

import os
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, get_args

from cyclopts import App, CycloptsError, Group, Parameter
from cyclopts.config import Env, Toml

from stream.errors import UsageError

if TYPE_CHECKING:
    from cyclopts.argument import ArgumentCollection

ENV_PREFIX = "DISTIL_STREAM_"

OTHER_VARIABLES = frozenset({"CONFIG", "CACHE", "DATA"})
"""Variables with our prefix that are no setting of the server: the configuration file, where
converted models are kept, where recordings to measure with are."""

ADDRESS = Group("Address and access", sort_key=1)
MODEL = Group("Model", sort_key=2)
HEARING = Group("Hearing", sort_key=3)
LIMITS = Group("Limits", sort_key=4)
LOG = Group("Log", sort_key=5)

Device = Literal["auto", "cpu", "cuda"]
Precision = Literal["auto", "int8", "float32", "float16", "bfloat16"]
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

    device: Annotated[Device, Parameter(group=MODEL)] = "auto"
    """Where the model runs; auto takes CUDA where there is one."""

    precision: Annotated[Precision, Parameter(group=MODEL)] = "auto"
    """Of the weights; auto takes int8 on the CPU and float16 on CUDA."""

    max_batch: Annotated[int, Parameter(group=MODEL)] = 8
    """Windows that the model transcribes at once."""

    vad: Annotated[Vad, Parameter(group=HEARING)] = "silero"
    """What tells speech from noise: Silero's network behind webrtcvad, or webrtcvad alone, which is
    the lightest."""

    vad_aggressiveness: Annotated[int, Parameter(group=HEARING)] = 2
    """How readily webrtcvad alone calls sound noise: 0 (least) to 3."""

    partial_hop_ms: Annotated[int, Parameter(group=HEARING)] = 500
    """New audio that makes the next partial due, in milliseconds."""

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
        within("drain_s", self.drain_s, 0, 3600)
        if self.api_key == "":
            raise UsageError("api_key is empty; leave it out, or give a key.")
        for field in ("device", "precision", "vad", "when_busy", "log_level", "log_format"):
            one_of(field, getattr(self, field))


CHOICES = {
    "device": get_args(Device),
    "precision": get_args(Precision),
    "vad": get_args(Vad),
    "when_busy": get_args(WhenBusy),
    "log_level": get_args(LogLevel),
    "log_format": get_args(LogFormat),
}


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


def from_file(app: App, commands: tuple[str, ...], arguments: "ArgumentCollection") -> None:
    """Take what neither flag nor variable says from the TOML file that `--config` names."""
    for argument in arguments:
        if argument.name == "--config" and argument.tokens:
            path = Path(argument.tokens[-1].value)
            if not path.is_file():
                raise CycloptsError(msg=f"There is no configuration file {path}.")
            Toml(path, use_commands_as_keys=False)(app, commands, arguments)


SOURCES = (from_environment, Env(ENV_PREFIX, command=False, show=False), from_file)
"""Where settings come from besides the flags, the strongest first; for `App(config=…)`."""
