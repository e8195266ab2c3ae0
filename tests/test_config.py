"""One dataclass: flags, environment and file all set it; what is unknown is an error."""

import json
import os
from dataclasses import fields
from pathlib import Path

import pytest
from cyclopts import App, CycloptsError

from stream.config import CHOICES, ENV_PREFIX, SOURCES, ServerConfig
from stream.errors import UsageError


def parse(*arguments: str) -> ServerConfig:
    """What `serve` is called with."""
    app = App(config=SOURCES, result_action="return_value")

    @app.default
    def serve(*, config: Path | None = None, settings: ServerConfig | None = None) -> ServerConfig:
        return settings or ServerConfig()

    parsed = app(arguments, exit_on_error=False, print_error=False)
    assert isinstance(parsed, ServerConfig)
    return parsed


VALUES = {
    "host": "0.0.0.0",
    "port": 1234,
    "max_per_address": 9,
    "api_key": "secret",
    "api_key_file": Path("key"),
    "keys": Path("keys.toml"),
    "secret_file": Path("secret"),
    "allow_anyone": True,
    "allow_host": ("captions.example", "captions.test"),
    "trust_proxy": ("127.0.0.1", "10.0.0.0/8"),
    "tls_cert": Path("cert.pem"),
    "tls_key": Path("key.pem"),
    "audit_file": Path("audit.log"),
    "allow_origin": ("https://a.example", "https://b.example"),
    "model": "tiny.en",
    "assistant": "small-student",
    "partials": "assistant",
    "device": "cpu",
    "precision": "float32",
    "ways": "default",
    "encoder_memory_mb": 64,
    "padded_retries": "never",
    "max_batch": 3,
    "vad": "webrtc",
    "vad_aggressiveness": 3,
    "partial_hop_ms": 250,
    "rooms_file": Path("rooms.db"),
    "rooms_keep_h": 0.5,
    "room_access": "public",
    "twilio_auth_token": "token",
    "public_url": "wss://calls.example",
    "whisperlive_port": 9090,
    "vosk_port": 2700,
    "wyoming_port": 10_300,
    "wyoming_host": "10.0.0.2",
    "wyoming_allow": ("10.0.0.8",),
    "audiosocket_port": 9092,
    "audiosocket_host": "10.0.0.1",
    "audiosocket_allow": ("10.0.0.7", "10.1.0.0/16"),
    "audiosocket_settings": "language=en",
    "webhook_url": "https://hooks.example/said",
    "webhook_secret": "whsec_AAAA",
    "max_sessions": 5,
    "max_readers": 7,
    "when_busy": "wait",
    "max_frame_bytes": 4096,
    "max_ahead_s": 2.5,
    "max_gap_s": 90.0,
    "idle_s": 5.5,
    "resume_s": 12.5,
    "max_uploads": 3,
    "max_upload_mb": 7,
    "drain_s": 0.5,
    "log_level": "debug",
    "log_format": "json",
}


def test_every_field_is_tried_here() -> None:
    assert set(VALUES) == {field.name for field in fields(ServerConfig)}


@pytest.fixture
def no_variables(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for variable in os.environ:
        if variable.startswith(ENV_PREFIX):
            monkeypatch.delenv(variable)
    return monkeypatch


@pytest.mark.parametrize("field", VALUES)
def test_flags(field: str, no_variables: pytest.MonkeyPatch) -> None:
    value = VALUES[field]
    flag = f"--{field.replace('_', '-')}"
    values = value if isinstance(value, tuple) else (value,)
    arguments = [argument for each in values for argument in (flag, str(each))]
    if value is True:
        arguments = [flag]
    assert getattr(parse(*arguments), field) == value


@pytest.mark.parametrize("field", VALUES)
def test_variables(field: str, no_variables: pytest.MonkeyPatch) -> None:
    value = VALUES[field]
    text = " ".join(value) if isinstance(value, tuple) else str(value)
    no_variables.setenv(ENV_PREFIX + field.upper(), text)
    assert getattr(parse(), field) == value


@pytest.mark.parametrize("field", VALUES)
def test_file(field: str, tmp_path: Path, no_variables: pytest.MonkeyPatch) -> None:
    value = VALUES[field]
    toml = tmp_path / "config.toml"
    toml.write_text(f"{field} = {json.dumps(value, default=str)}\n")
    assert getattr(parse("--config", str(toml)), field) == value
    no_variables.setenv(f"{ENV_PREFIX}CONFIG", str(toml))
    assert getattr(parse(), field) == value


def test_flags_win_over_variables_and_those_over_the_file(
    tmp_path: Path, no_variables: pytest.MonkeyPatch
) -> None:
    toml = tmp_path / "config.toml"
    toml.write_text("port = 1\nmax_batch = 1\nmax_sessions = 1\n")
    no_variables.setenv(f"{ENV_PREFIX}PORT", "2")
    no_variables.setenv(f"{ENV_PREFIX}MAX_BATCH", "2")
    config = parse("--config", str(toml), "--port", "3")
    assert (config.port, config.max_batch, config.max_sessions) == (3, 2, 1)


def test_what_is_unknown(tmp_path: Path, no_variables: pytest.MonkeyPatch) -> None:
    toml = tmp_path / "config.toml"
    toml.write_text("prot = 1\n")
    with pytest.raises(CycloptsError, match="prot"):
        parse("--config", str(toml))
    with pytest.raises(CycloptsError, match="no configuration file"):
        parse("--config", str(tmp_path / "nothing.toml"))
    with pytest.raises(CycloptsError, match="prot"):
        parse("--prot", "1")
    no_variables.setenv(f"{ENV_PREFIX}PROT", "1")
    with pytest.raises(CycloptsError, match=f"{ENV_PREFIX}PROT is not a setting"):
        parse()


def test_a_file_that_is_no_toml(tmp_path: Path, no_variables: pytest.MonkeyPatch) -> None:
    toml = tmp_path / "config.toml"
    toml.write_text("port: 1\n")
    with pytest.raises(CycloptsError, match=r"config\.toml is not valid TOML: .*line 1"):
        parse("--config", str(toml))


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_a_file_with_a_byte_order_mark_and_crlf(
    encoding: str, tmp_path: Path, no_variables: pytest.MonkeyPatch
) -> None:
    mark = "\ufeff" if encoding.startswith("utf-16-") else ""
    toml = tmp_path / "config.toml"
    toml.write_bytes(f'{mark}# für alle\r\nmax_batch = 5\r\nmodel = "tiny.en"\r\n'.encode(encoding))
    config = parse("--config", str(toml))
    assert (config.max_batch, config.model) == (5, "tiny.en")


def test_a_file_that_cannot_be_read(tmp_path: Path, no_variables: pytest.MonkeyPatch) -> None:
    toml = tmp_path / "config.toml"
    toml.write_bytes('model = "für"\n'.encode("latin-1"))
    with pytest.raises(CycloptsError, match="not text in UTF-8; save it as UTF-8"):
        parse("--config", str(toml))


@pytest.mark.parametrize(
    "field", [field for field in VALUES if field not in ("api_key", "twilio_auth_token")]
)
def test_a_variable_without_a_value_is_not_set(
    field: str, no_variables: pytest.MonkeyPatch
) -> None:
    no_variables.setenv(ENV_PREFIX + field.upper(), "")
    assert parse() == ServerConfig()


def test_a_blank_variable_leaves_the_files_value(
    tmp_path: Path, no_variables: pytest.MonkeyPatch
) -> None:
    toml = tmp_path / "config.toml"
    toml.write_text("max_sessions = 3.0\n")
    no_variables.setenv(f"{ENV_PREFIX}MAX_SESSIONS", "")
    assert parse("--config", str(toml)).max_sessions == 3
    no_variables.setenv(f"{ENV_PREFIX}CONFIG", "")
    assert parse() == ServerConfig()


@pytest.mark.parametrize("field", ["api_key", "twilio_auth_token"])
def test_a_blank_secret_is_refused(field: str, no_variables: pytest.MonkeyPatch) -> None:
    no_variables.setenv(ENV_PREFIX + field.upper(), "")
    with pytest.raises(UsageError, match=f"{field} is empty"):
        parse()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("allow_origin", ("https://a.example", "captions.example")),
        ("public_url", "calls.example"),
        ("public_url", "sip://calls.example"),
        ("public_url", "wss:///v1/twilio"),
        ("webhook_url", "hooks.example/said"),
        ("webhook_url", "wss://hooks.example"),
        ("webhook_url", "https://[hooks.example"),
    ],
)
def test_invalid_addresses(field: str, value: object) -> None:
    with pytest.raises(UsageError, match=field):
        ServerConfig(**{field: value})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("port", -1),
        ("port", 70_000),
        ("encoder_memory_mb", -1),
        ("max_batch", 0),
        ("vad_aggressiveness", 4),
        ("partial_hop_ms", 0),
        ("max_sessions", 0),
        ("max_frame_bytes", 0),
        ("max_ahead_s", 0.0),
        ("max_gap_s", -1.0),
        ("idle_s", 0.0),
        ("drain_s", -1.0),
        ("api_key", ""),
        *((field, "x") for field in CHOICES),
    ],
)
def test_values_out_of_range(field: str, value: object) -> None:
    with pytest.raises(UsageError, match=field):
        ServerConfig(**{field: value})  # type: ignore[arg-type]
