"""The whole command: a server, a model, a recording, tables and one JSON line."""

import json

import numpy as np
import pytest
import soundfile

from stream.errors import UsageError
from stream.evaluate.command import evaluate, spread
from stream.evaluate.playback import Pace
from stream.evaluate.running import pace_of

OPENING = "it was the best of times it was the worst of times it was the age of wisdom"


def write_manifest(folder, speech, seconds):
    soundfile.write(folder / "opening.wav", speech[: seconds * 16_000], 16_000)
    path = folder / "set.jsonl"
    path.write_text(json.dumps({"audio": "opening.wav", "text": OPENING, "kind": "read"}))
    return path


@pytest.mark.model
def test_speech_is_scored_and_silence_has_no_words(speech, tmp_path, capsys):
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


@pytest.mark.model
def test_repeats_of_two_channels_have_means_with_their_errors(speech, tmp_path, capsys):
    left = speech[: 3 * 16_000]
    stereo = np.stack([left, np.roll(left, 8000)], axis=1)
    soundfile.write(tmp_path / "call.wav", stereo, 16_000)
    opening = "it was the best of times"
    entry = {"audio": "call.wav", "text_by_channel": [opening, opening], "kind": "phone"}
    (tmp_path / "set.jsonl").write_text(json.dumps(entry))
    evaluate(tmp_path / "set.jsonl", model="tiny.en", fast=True, repeats=2)
    *tables, last = capsys.readouterr().out.splitlines()
    summary = json.loads(last)
    assert (summary["violations"], summary["failures"]) == (0, 0)
    total = summary["suites"]["speech"]["total"]
    assert (total["recordings"], total["words"]) == (2, 24)  # both repeats
    again = summary["repeats"]
    assert again["count"] == 2
    means = again["suites"]["speech"]["scores"]["total"]
    assert means["streamed"]["wer"]["mean"] == pytest.approx(total["streamed"]["wer"], abs=0.01)
    assert means["same-model"]["deletions"]["error"] is not None
    assert any("means of 2 repeats" in line for line in tables)


@pytest.mark.parametrize("repeats", [0, -1])
def test_repeats_are_counted_from_one(speech, tmp_path, repeats):
    with pytest.raises(UsageError, match="use 1 or more"):
        evaluate(write_manifest(tmp_path, speech, 3), repeats=repeats)


def test_an_empty_manifest_is_an_error():
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
