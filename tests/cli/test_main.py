"""The command line, as its user meets it."""

import json
import re
import socket
import subprocess
import sys
from dataclasses import fields

import pytest

from stream.cli.main import loop_factory
from stream.config import ServerConfig
from stream.engine.checkpoints.hub import HUB_MODELS
from stream.engine.checkpoints.students import STUDENTS


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from stream.cli.main import main; main()", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_help_names_the_commands() -> None:
    done = run("--help")
    assert done.returncode == 0
    for command in ("serve", "transcribe", "models", "evaluate", "bench"):
        assert command in done.stdout


@pytest.mark.slow
def test_help_of_serve_explains_every_setting() -> None:
    done = run("serve", "--help")
    for field in fields(ServerConfig):
        flag = f"--{field.name.replace('_', '-')}"
        assert re.search(rf"{flag}\S*( [A-Z.]+)? +[A-Z]", done.stdout), flag
    for group in ("Address and access", "Model", "Speech", "Limits", "Log"):
        assert f"─ {group} ─" in done.stdout


def test_help_does_not_load_the_models_library() -> None:
    check = "import sys, stream.cli.main; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--port", "99999"), "port is 99999; use 0 to 65535."),
        (("--model", "no-such-model", "--port", "0"), "no-such-model"),
    ],
)
def test_wrong_arguments_are_an_error_of_one_sentence(
    arguments: tuple[str, ...], sentence: str
) -> None:
    done = run("serve", *arguments)
    assert done.returncode == 1
    assert sentence in done.stderr
    assert done.stderr.splitlines()[-1].startswith("distil-stream: ")
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_a_port_that_is_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = run("serve", "--model", "scripted", "--port", str(port))
    assert done.returncode == 1
    assert f"Cannot listen on 127.0.0.1 port {port}: Address already in use." in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_models() -> None:
    done = run("models", "--json")
    assert done.returncode == 0
    listed = {it["name"]: it for it in map(json.loads, done.stdout.splitlines())}
    assert set(listed) == {*HUB_MODELS, *STUDENTS}
    assert listed["tiny.en"]["languages"] == "English"
    assert listed["base"]["parameters"] == 74
    table = run("models").stdout.splitlines()
    assert [line.split()[0] for line in table[1:-1]] == list(listed)


def test_bench_names_its_measurements() -> None:
    assert "margins" in run("bench", "--help").stdout


@pytest.mark.skipif(sys.platform == "win32", reason="there is no uvloop")
def test_the_loop_is_uvloop() -> None:
    assert loop_factory().__module__ == "uvloop"
