"""`distil-stream transcribe` without a server, with a scripted model."""

import io
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from stream.cli.transcribe_local import (
    INTERRUPTED,
    OutputOptions,
    recordings,
    target,
    transcribe_offline,
)
from stream.core.windows import Hypothesis, Window
from stream.engine.scripted import ScriptedTranscriber, counting
from stream.errors import UsageError
from stream.recordings.api import Model
from stream.recordings.formats import FORMATS
from tests.cli.command_line import transcribe


@pytest.fixture
def talk(tmp_path: Path, speech: NDArray[np.float32]) -> Path:
    path = tmp_path / "talk.flac"
    soundfile.write(path, speech[: 20 * 16_000], 16_000)
    return path


def test_it_prints_a_line_a_segment(talk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert transcribe([talk], model="scripted") == 0
    captured = capsys.readouterr()
    assert "two three" in captured.out
    assert captured.err == ""


def test_words_are_listed_below_their_line(talk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert transcribe([talk], model="scripted", words=True) == 0
    first, word, *_ = capsys.readouterr().out.splitlines()
    assert word.split()[-1] == first.split()[0]
    assert float(word.split()[0]) < float(word.split()[1])


@pytest.mark.slow
@pytest.mark.parametrize("format", FORMATS)
def test_every_format_as_a_file_and_printed(
    talk: Path, tmp_path: Path, format: str, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "out" / "deep"
    assert transcribe([talk], model="scripted", format=format, output=output) == 0
    assert capsys.readouterr().out == ""
    (file,) = output.iterdir()
    assert file.name == f"talk.{format}"
    text = file.read_text()
    assert "two" in text
    assert transcribe([talk], model="scripted", format=format) == 0
    assert capsys.readouterr().out == text


def test_json_says_everything(talk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert transcribe([talk], model="scripted", format="json") == 0
    body = json.loads(capsys.readouterr().out)
    assert body["duration"] == pytest.approx(20, abs=0.1)
    words = [w["word"] for s in body["segments"] for w in s["words"]]
    assert " ".join(words) == body["text"]


@pytest.mark.slow
def test_a_file_that_cannot_be_transcribed_does_not_stop_the_others(
    talk: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    notes = tmp_path / "notes.mp3"
    notes.write_text("These are notes.")
    empty = tmp_path / "empty.wav"
    empty.touch()
    missing = tmp_path / "missing.wav"
    assert transcribe([notes, empty, missing, talk], model="scripted") == 1
    captured = capsys.readouterr()
    assert all(line.startswith("talk.flac: ") for line in captured.out.splitlines())
    assert captured.out
    complaints = captured.err.splitlines()
    assert len(complaints) == 3
    assert [c.startswith(str(p)) for c, p in zip(complaints, (notes, empty, missing), strict=True)]
    assert "No such file" in complaints[2]


def test_a_silent_recording_has_no_words(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    soundfile.write(tmp_path / "silent.wav", np.zeros(32_000), 16_000)
    assert transcribe([tmp_path / "silent.wav"], model="scripted", output=tmp_path) == 0
    assert (tmp_path / "silent.txt").read_text() == ""
    assert capsys.readouterr().err == ""


def test_truncated_audio_is_reported(talk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    talk.write_bytes(talk.read_bytes()[: talk.stat().st_size // 2])
    assert transcribe([talk], model="scripted") == 0
    captured = capsys.readouterr()
    assert "two" in captured.out
    assert "is incomplete" in captured.err


@pytest.mark.slow
def test_channels_apart(tmp_path: Path, speech: NDArray[np.float32]) -> None:
    call = np.stack([speech[: 20 * 16_000], np.roll(speech[: 20 * 16_000], 80_000)], axis=1)
    path = tmp_path / "call.wav"
    soundfile.write(path, call, 16_000)
    for format, named in {"txt": "[1] ", "srt": "Channel 1: ", "vtt": "<v Channel 1>"}.items():
        status = transcribe(
            [path], model="scripted", channels="split", format=format, output=tmp_path
        )
        assert status == 0
        assert named in (tmp_path / f"call.{format}").read_text()


class Interrupted(ScriptedTranscriber):
    """Somebody presses Ctrl-C while the third batch is transcribed."""

    def __init__(self) -> None:
        super().__init__(counting())
        self.batches = 0

    def transcribe(self, windows: Sequence[Window]) -> list[Hypothesis]:
        self.batches += 1
        if self.batches == 3:
            raise KeyboardInterrupt
        return super().transcribe(windows)


@pytest.mark.slow
def test_an_interruption_keeps_the_finished_part(
    tmp_path: Path, speech: NDArray[np.float32]
) -> None:
    path = tmp_path / "long.wav"
    soundfile.write(path, np.tile(speech, 4), 16_000)
    model = Model("scripted", batch_size=2)
    model.transcriber = Interrupted()
    wanted = OutputOptions(format="srt", output=tmp_path)
    assert transcribe_offline(model, [path, path], wanted) == INTERRUPTED
    kept = (tmp_path / "long.srt").read_text()
    assert kept.count(" --> ") > 2
    assert not list(tmp_path.glob(".*.part"))


def test_folders_patterns_and_twins(tmp_path: Path) -> None:
    for name in ("a.mp3", "a.wav", "b/c.mp4", "b/notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    a, twin, c = tmp_path / "a.mp3", tmp_path / "a.wav", tmp_path / "b" / "c.mp4"
    assert recordings([tmp_path]) == [a, twin, c]
    assert recordings([tmp_path / "*.mp3", a, tmp_path / "**" / "c*"]) == [a, c]
    with pytest.raises(UsageError, match="No file matches"):
        recordings([tmp_path / "*.xyz"])
    (tmp_path / "none").mkdir()
    with pytest.raises(UsageError, match="no recordings in the folder"):
        recordings([tmp_path / "none"])


@pytest.mark.slow
def test_recordings_of_one_name_do_not_share_a_file(
    tmp_path: Path, speech: NDArray[np.float32]
) -> None:
    for name in ("a.flac", "a.wav"):
        soundfile.write(tmp_path / name, speech[: 5 * 16_000], 16_000)
    output = tmp_path / "out"
    assert transcribe([tmp_path], model="scripted", output=output) == 0
    assert sorted(file.name for file in output.iterdir()) == ["a.flac.txt", "a.wav.txt"]


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        (["a/talk.wav"], ["talk"]),
        (["r/a/jan/talk.wav", "r/b/jan/talk.wav"], ["a_jan_talk.wav", "b_jan_talk.wav"]),
        (["talk.wav", "a/talk.wav", "-"], ["talk.wav", "a_talk.wav", "stdin"]),
        (["/x/y.wav", "/z/y.wav"], ["x_y.wav", "z_y.wav"]),
    ],
)
def test_names_are_as_long_as_they_need_be(paths: list[str], names: list[str]) -> None:
    found = [Path(path) for path in paths]
    wanted = OutputOptions(output=Path("out"))
    assert [target(path, found, wanted) for path in found] == [
        Path("out") / f"{name}.txt" for name in names
    ]


@pytest.mark.slow
def test_standard_input(talk: Path) -> None:
    command = [sys.executable, "-c", "from stream.cli.main import main; main()"]
    done = subprocess.run(
        [*command, "transcribe", "-", "--model", "scripted", "--format", "vtt"],
        input=talk.read_bytes(),
        capture_output=True,
        check=True,
        env=os.environ,
    )
    assert done.stdout.startswith(b"WEBVTT")
    assert io.BytesIO(done.stdout).getvalue().count(b" --> ") > 2


def test_options_that_exclude_each_other() -> None:
    with pytest.raises(UsageError, match="exclude each other"):
        transcribe([Path("a.wav")], offline=True, server="ws://127.0.0.1:1")
    with pytest.raises(UsageError, match="no option --loud"):
        transcribe([Path("a.wav"), Path("--loud")])
    with pytest.raises(UsageError, match="with --offline"):
        transcribe([Path("a.wav")], format="srt", server="ws://127.0.0.1:1")
