"""Tests that systems transcribe whole recordings in turns, and that their totals are right."""

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from stream.bench.longform import (
    ReadRecording,
    chosen,
    fastest,
    measured,
    recordings_of,
    rows_of,
    run,
)
from stream.bench.rivals.long_contenders import LongContender
from stream.errors import UsageError
from stream.evaluate.material.recordings import Audio, Recording

SECOND = 16_000


class FakeTranscriber:
    """Returns the same text for every recording, and records the length of each."""

    def __init__(self, name: str, lengths: list[tuple[str, int]], text: str = "") -> None:
        self.name, self.lengths, self.text = name, lengths, text

    def __call__(self, samples: NDArray[np.float32]) -> str:
        self.lengths.append((self.name, len(samples)))
        return self.text


def contender(name: str, transcribe: FakeTranscriber, batch: int = 1) -> LongContender:
    return LongContender(name, "int8", batch, transcribe)


def spoken(seconds: int, text: str) -> ReadRecording:
    return ReadRecording(np.zeros(seconds * SECOND, np.float32), text)


def test_each_is_first_once() -> None:
    lengths: list[tuple[str, int]] = []
    systems = [contender(name, FakeTranscriber(name, lengths)) for name in "abc"]
    measured(systems, [spoken(1, "x"), spoken(2, "x"), spoken(3, "x")])
    assert "".join(name for name, _ in lengths) == "abc" + "bca" + "cab"


def test_errors_add_up_and_the_others_are_the_baselines() -> None:
    lengths: list[tuple[str, int]] = []
    systems = [
        contender("ours, chunked", FakeTranscriber("ours", lengths, "red green")),
        contender("faster-whisper, batched", FakeTranscriber("theirs", lengths, "red green blue")),
        contender("transformers", FakeTranscriber("oracle", lengths, "red grown blue")),
    ]
    tallies = measured(systems, [spoken(60, "red green blue"), spoken(60, "red green blue")])
    assert [tally.audio_s for tally in tallies] == [120.0] * 3
    ours, theirs, oracle = rows_of(systems, tallies)
    assert (ours.substitutions, ours.deletions, ours.insertions) == (0, 2, 0)
    assert ours.word_error_rate == pytest.approx(100 / 3, abs=0.01)
    assert theirs.word_error_rate == 0
    assert oracle.substitutions == 2
    assert theirs.faster_whisper == theirs.faster_whisper_cpu == oracle.transformers == 1
    assert ours.faster_whisper is not None


def test_one_system_has_no_ratio() -> None:
    systems = [contender("ours, chunked", FakeTranscriber("ours", []))]
    (row,) = rows_of(systems, measured(systems, [spoken(1, "one")]))
    assert row.faster_whisper is row.transformers is None


def test_the_fastest_way_is_timed_again() -> None:
    lengths: list[tuple[str, int]] = []
    ticks = iter([0.0, 5.0, 10.0, 12.0, 20.0, 24.0])
    candidates = [contender(name, FakeTranscriber(name, lengths)) for name in "abc"]
    chosen = fastest(candidates, np.zeros(100 * SECOND, np.float32), lambda: next(ticks))
    assert chosen.system == "b"
    assert [n // SECOND for _, n in lengths] == [30, 60] * 3


def test_whole_recordings_up_to_the_minutes() -> None:
    audio = Audio(np.zeros(40 * SECOND, np.int16), SECOND)
    one = Recording("a", "read", "", "text", lambda: audio)
    assert len(chosen([one] * 5, minutes=1)) == 2
    assert len(chosen([one] * 5, minutes=0.1)) == 1


def test_without_data_the_shipped_speech_is_used(speech: NDArray[np.float32]) -> None:
    (one,) = chosen(recordings_of(None), 1)
    assert len(one.samples) == pytest.approx(len(speech), abs=SECOND)
    assert one.text.startswith("It was the best of times")


def test_a_manifest_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        recordings_of(tmp_path)


@pytest.mark.model
def test_the_command_prints_a_table_and_a_line_of_json(
    speech: NDArray[np.float32], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(None, "tiny.en", chunk_lengths=(12.0,), batch_sizes=(2,), others=False) == 0
    *shown, last = capsys.readouterr().out.splitlines()
    summary = json.loads(last)
    assert "1 recordings, 0.7 minutes" in shown[0]
    assert [row["system"] for row in summary["rows"]] == [
        "ours, chunked",
        "ours, sequential",
        "ours, chunks of 12 s",
        "ours, chunked",
    ]
    assert all(row["word_error_rate"] < 15 for row in summary["rows"])
    assert all(row["cpu_s"] > 0 for row in summary["rows"])
