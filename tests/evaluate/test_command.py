"""The whole command: a server, a model, a recording, tables and one JSON line."""

import json

import pytest
import soundfile

from stream.errors import UsageError
from stream.evaluate.command import evaluate, pace_of, spread
from stream.evaluate.playback import Pace

OPENING = "it was the best of times it was the worst of times it was the age of wisdom"


def write_manifest(folder, speech, seconds):
    soundfile.write(folder / "opening.wav", speech[: seconds * 16_000], 16_000)
    path = folder / "set.jsonl"
    path.write_text(json.dumps({"audio": "opening.wav", "text": OPENING, "kind": "read"}))
    return path


@pytest.mark.model
def test_speech_is_scored_and_silence_stays_silent(speech, tmp_path, capsys):
    status = evaluate(
        write_manifest(tmp_path, speech, 8),
        suite=("speech", "silence"),
        minutes=0.1,
        model="tiny.en",
        fast=True,
        report=tmp_path / "report",
    )
    *table, last = capsys.readouterr().out.splitlines()
    summary = json.loads(last)
    assert status == 0
    assert any("total" in line for line in table)
    assert summary["violations"] == summary["failures"] == 0
    total = summary["suites"]["speech"]["total"]
    assert total["streamed"]["deletions"] <= 2
    assert abs(total["price_of_streaming"]) < 15
    assert summary["suites"]["silence"]["groups"]["dial tone"]["words_invented"] == {"streamed": 0}
    assert {cost["system"] for cost in summary["cost"]} == {"streamed", "same-model"}
    assert all(cost["cpu_s_per_audio_s"] > 0 for cost in summary["cost"])
    report = json.loads((tmp_path / "report/report.json").read_text())
    assert len(report["recordings"]) == summary["suites"]["silence"]["total"]["recordings"] + 1
    assert (tmp_path / "report/report.html").read_text().count("<svg") >= 3


@pytest.mark.slow
def test_in_real_time_words_have_latencies(speech, tmp_path, capsys):
    manifest = write_manifest(tmp_path, speech, 3)
    assert evaluate(manifest, model="scripted", offline=False) == 0
    summary = json.loads(capsys.readouterr().out.splitlines()[-1])
    found = summary["suites"]["speech"]["latency_ms"]
    assert found["word_times_from"] == "finals"
    # The silence that ends an utterance cannot have been heard before it was over; the VAD
    # judges 20 to 30 ms at a time.
    assert found["speech_end_to_final"]["p50"] >= 450
    assert found["word_to_commit"]["count"] == found["word_to_shown"]["count"] > 0


def test_nothing_to_play_is_the_callers_fault():
    with pytest.raises(UsageError, match="manifest"):
        evaluate()


def test_a_limit_is_spread_over_the_set():
    assert spread("abcdefghij", 3) == ["a", "d", "g"]
    assert spread("abc", 10) == spread("abc", None) == ["a", "b", "c"]


def test_silence_is_played_at_the_same_pace_as_speech_but_more_at_a_time():
    pace = Pace(streams=1, trailing_silence_s=1.0, endpointing_ms=300)
    assert pace_of("speech", pace) == pace
    assert pace_of("silence", pace) == Pace(streams=16, endpointing_ms=300)
    assert pace_of("silence", Pace(streams=20, fast=True)) == Pace(streams=20, fast=True)
