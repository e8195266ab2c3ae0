"""The time to the final of a turn counts from the end of speech, and contains the VAD's stop."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from stream.bench.ttfs import read_turns, row, run, speech_end_s
from stream.errors import UsageError


def data(folder: Path, samples: NDArray[np.float32], texts: tuple[str, str]) -> Path:
    soundfile.write(folder / "voice.wav", samples, 16_000)
    for name, text in zip(("dev", "phone"), texts, strict=True):
        entry = {"audio": "voice.wav", "text": text, "seconds": len(samples) / 16_000}
        (folder / f"{name}.jsonl").write_text(f"{json.dumps(entry)}\n" * 3)
    return folder


def test_the_end_of_speech(speech: NDArray[np.float32]) -> None:
    spoken = speech[: 4 * 16_000]
    silence = np.zeros(2 * 16_000, np.float32)
    end_s = speech_end_s(np.concatenate([spoken, silence]))
    assert 2 < end_s < 4.7
    assert speech_end_s(silence) == 0.0


def test_the_sets_take_turns(tmp_path: Path, speech: NDArray[np.float32]) -> None:
    folder = data(tmp_path, speech[: 4 * 16_000], ("one", "two"))
    turns = read_turns(folder, 4)
    assert [turn.recording.text for turn in turns] == ["one", "two", "one", "two"]
    assert len(read_turns(folder, 200)) == 6
    with pytest.raises(UsageError, match="no speech"):
        read_turns(data(tmp_path, np.zeros(16_000, np.float32), ("one", "two")), 4)


def test_figures_without_turns() -> None:
    assert row("auto", 1, ()).ttfs_ms == {"count": 0}


@pytest.mark.slow
def test_the_command(
    tmp_path: Path, speech: NDArray[np.float32], capsys: pytest.CaptureFixture[str]
) -> None:
    run(data(tmp_path, speech[: 3 * 16_000], ("one", "two")), "scripted", 2, (1, 2))
    *shown, last = capsys.readouterr().out.splitlines()
    summary = json.loads(last)
    assert "VAD stop" in shown[0]
    assert [(r["retries"], r["streams"]) for r in summary["rows"]] == [
        ("auto", 1), ("never", 1), ("auto", 2), ("never", 2),
    ]  # fmt: skip
    for found in summary["rows"]:
        assert found["ttfs_ms"]["count"] == 2
        assert 180 <= found["ttfs_ms"]["p50"] < 5_000
        assert found["words"] == 2
