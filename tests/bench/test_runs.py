"""Stored runs: what is written is read back, and holds no path of the machine."""

import json

import pytest

from stream.bench.runs import Run, as_typed, machine, read_runs, write_run
from stream.errors import UsageError


def run_of(command: str, **summary: object) -> Run:
    return Run(
        command=command,
        cpu="a processor",
        instructions="AVX2",
        cores=2,
        ways="default",
        commit="abc1234",
        date="2026-11-30",
        source="measured",
        summary=dict(summary),
    )


def test_written_files_are_read_again(tmp_path) -> None:
    first, second = run_of("distil-stream bench idle", rows=[]), run_of("distil-stream evaluate x")
    write_run(second, tmp_path / "b.json")
    write_run(first, tmp_path / "a.json")
    assert read_runs(tmp_path) == [first, second]


def test_the_kind_is_the_command_without_arguments() -> None:
    assert run_of("distil-stream bench load --data FOLDER").kind == "bench load"
    assert run_of("distil-stream distil evaluate dev.jsonl").kind == "distil evaluate"
    assert run_of("distil-stream evaluate dev.jsonl --fast").kind == "evaluate"


def test_paths_of_this_machine_are_not_stored(tmp_path) -> None:
    arguments = ["evaluate", str(tmp_path / "dev.jsonl"), "out", "--data", str(tmp_path)]
    typed = as_typed(arguments)
    assert typed == "distil-stream evaluate FOLDER/dev.jsonl out --data FOLDER"


def test_the_machine_is_described() -> None:
    facts = machine()
    assert facts["cores"] >= 1
    assert facts["cpu"]
    assert facts["commit"]


@pytest.mark.parametrize("text", ["{", json.dumps({"command": "x"})])
def test_a_file_that_is_no_stored_result_is_named(tmp_path, text: str) -> None:
    (tmp_path / "broken.json").write_text(text)
    with pytest.raises(UsageError, match=r"broken\.json is not a stored run"):
        read_runs(tmp_path)


def test_a_folder_without_runs_is_an_error(tmp_path) -> None:
    with pytest.raises(UsageError, match="no stored run"):
        read_runs(tmp_path)
