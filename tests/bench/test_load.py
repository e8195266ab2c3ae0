"""The ramp goes on until finals come too late, and its figures are shown."""

import json

import pytest
import soundfile

from stream.bench.load import carried, run
from stream.bench.load_report import page
from stream.bench.load_steps import LoadRow
from tests.clients import recording


def row(system, streams, p95):
    figures = {"p95": p95} if p95 else {"count": 0}
    return LoadRow(system, streams, 60.0, 0.1, figures, 4, 2.0, 5.0, 300, 1.0, 1.0, 0.0, 0, {}, {})


def test_the_capacity_of_a_system_meets_the_bar():
    rows = [row("ours", 1, 600), row("ours", 2, 1500), row("ours", 3, 1501), row("usual", 1, None)]
    assert carried(rows, "ours", 1.0) == 2
    assert carried(rows, "usual", 1.0) == 0


@pytest.mark.slow
def test_the_command_ramps_and_draws(tmp_path, capsys):
    soundfile.write(tmp_path / "voice.wav", recording.samples(), 16_000)
    cut = {"audio": "voice.wav", "text": "one two", "seconds": recording.SECONDS}
    (tmp_path / "long.jsonl").write_text(json.dumps({"cuts": [cut] * 4}))
    report = tmp_path / "report"
    run(
        tmp_path, "scripted", (1, 2), seconds=5, continuous_s=12, continuous_speed=2.0,
        usual=False, report=report,
    )  # fmt: skip
    *shown, last = capsys.readouterr().out.splitlines()
    summary = json.loads(last)
    assert summary["carried"] == {"ours": 2}
    assert [r["streams"] for r in summary["rows"]] == [1, 2]
    for found in summary["rows"]:
        assert found["failures"] == 0
        assert found["finals"] == 2 * found["streams"]
        assert found["final_ms"]["p50"] >= 450
        assert found["cpu_s_per_audio_s"] > 0
        assert found["other_cores"] >= 0
        assert found["player_late_p99_ms"] >= 0
        assert found["server"]["loop_late_p99_ms"] >= 0
    (talk,) = summary["continuous"]
    assert talk["audio_s"] >= 12
    assert talk["partials_per_s"] > 0
    assert talk["ages"][0]["from_s"] == 0
    assert talk["ages"][0]["to_s"] == pytest.approx(10, abs=2)
    assert any("ours: 2 streams" in line for line in shown)
    assert json.loads((report / "load.json").read_text()) == summary
    assert (report / "load.html").read_text().count("<svg") == 3


@pytest.mark.parametrize("late_ms", [None, 4000.0])
def test_a_page_without_finals_or_beyond_the_bar(late_ms):
    shown = {
        "system": "usual", "streams": 1, "late_ms": late_ms, "cpu_s_per_audio_s": 1.0,
        "final_ms": {"count": 0},
    }  # fmt: skip
    summary = {
        "model": "base", "cores": 2, "bar_s": 1.0, "carried": {"usual": 0}, "rows": [shown],
        "continuous": [],
    }  # fmt: skip
    assert "usual" in "".join(page(summary))
