"""The whole command: a server, a model, a recording, tables and one JSON line."""

import json

import pytest
import soundfile

from stream.errors import UsageError
from stream.evaluate import evaluate

OPENING = "it was the best of times it was the worst of times it was the age of wisdom"


@pytest.mark.model
def test_speech_is_scored_and_silence_stays_silent(speech, tmp_path, capsys):
    soundfile.write(tmp_path / "opening.wav", speech[: 8 * 16_000], 16_000)
    manifest = tmp_path / "set.jsonl"
    manifest.write_text(json.dumps({"audio": "opening.wav", "text": OPENING, "kind": "read"}))
    report = tmp_path / "report.jsonl"
    status = evaluate(manifest, model="tiny.en", fast=True, silence_minutes=0.2, report=report)
    *table, last = capsys.readouterr().out.splitlines()
    summary = json.loads(last)
    assert status == 0
    assert any("total" in line for line in table)
    assert summary["recordings"] == 4
    assert summary["words_invented"] == summary["violations"] == summary["failures"] == 0
    assert summary["streamed"]["deletions"] <= 2
    assert abs(summary["difference"]) < 15
    assert len(report.read_text().splitlines()) == 4


def test_nothing_to_play_is_the_callers_fault():
    with pytest.raises(UsageError, match="manifest"):
        evaluate()
