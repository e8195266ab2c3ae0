"""A command's last line is stored, and its output and exit status are passed on."""

import json

import pytest

from stream.bench.runs import read_runs
from stream.bench.save import run
from stream.cli.main import app
from stream.errors import UsageError
from tests.bench.test_results import ENGINE


@pytest.mark.slow
def test_the_last_line_is_stored(tmp_path, capfd, monkeypatch) -> None:
    monkeypatch.setenv("DISTIL_STREAM_WAYS", "default")
    file = tmp_path / "run.json"
    status = run(file, "models", "--json", source="a test")
    lines = capfd.readouterr().out.splitlines()
    (stored,) = read_runs(tmp_path)
    assert status == 0
    assert len(lines) > 5
    assert stored.summary == json.loads(lines[-1])
    assert stored.command == "distil-stream models --json"
    assert stored.ways == "default"
    assert stored.source == "measured; a test"


@pytest.mark.slow
def test_a_command_without_json_is_an_error(tmp_path) -> None:
    file = tmp_path / "run.json"
    with pytest.raises(UsageError, match="not a JSON object"):
        run(file, "--help")
    assert not file.exists()


def test_a_command_is_needed(tmp_path) -> None:
    with pytest.raises(UsageError, match="Name the command"):
        run(tmp_path / "run.json")


def test_options_of_the_command_are_its_own() -> None:
    typed = ["bench", "save", "run.json", *ENGINE.command.split()[1:]]
    _, bound, unused = app.parse_known_args(typed)[:3]
    assert not unused
    assert bound.arguments["command"] == tuple(ENGINE.command.split()[1:])
