"""The files for operators: alerts that Prometheus accepts, each explained; a unit for systemd."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from stream.server.metrics import Metrics

DOCS = Path(__file__).parents[1] / "docs"
RULES = DOCS / "operations" / "distil-stream.rules.yml"
UNIT = DOCS / "operations" / "distil-stream.service"


def test_each_alert_is_explained_and_no_other() -> None:
    alerts = re.findall(r"- alert: (\w+)", RULES.read_text())
    explained = re.findall(r"^\| `(DistilStream\w+)` \|", (DOCS / "operating.md").read_text(), re.M)
    assert len(alerts) > 10
    assert explained == alerts


def test_the_alerts_use_metrics_that_there_are() -> None:
    series = {
        sample
        for family in Metrics().registry.collect()
        for suffix in ("", "_total", "_bucket")
        for sample in [family.name + suffix]
    }
    text = re.sub(r"^#.*$", "", RULES.read_text(), flags=re.M)
    used = set(re.findall(r"\b(?:distil_stream|process)_[a-z_]+", text))
    assert len(used) > 8
    assert used <= series


@pytest.mark.skipif(not shutil.which("promtool"), reason="promtool is not installed")
def test_prometheus_accepts_the_rules(tmp_path: Path) -> None:
    subprocess.run(["promtool", "check", "rules", RULES], check=True, capture_output=True)
    series = {
        "DistilStreamDown": 'up{job="distil-stream", instance="a"}|0x20',
        "DistilStreamRefusesForLoad": 'distil_stream_load{instance="a"}|3x20',
        "DistilStreamKeysRefused": 'distil_stream_keys_refused_total{instance="a"}|0+10x20',
        "DistilStreamWindowsFail": 'distil_stream_windows_total{outcome="failed"}|0+1x20',
    }
    tests = [f"rule_files: [{RULES}]", "evaluation_interval: 1m", "tests:"]
    for alert, one in series.items():
        name, values = one.split("|")
        tests += [
            "  - interval: 1m",
            f"    input_series: [{{series: '{name}', values: '{values}'}}]",
            "    promql_expr_test:",
            f"      - expr: count(ALERTS{{alertname='{alert}', alertstate='firing'}})",
            "        eval_time: 15m",
            "        exp_samples: [{labels: '{}', value: 1}]",
        ]
    file = tmp_path / "rules.test.yml"
    file.write_text("\n".join(tests) + "\n")
    outcome = subprocess.run(
        ["promtool", "test", "rules", file], capture_output=True, text=True, check=False
    )
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd is not installed")
def test_systemd_accepts_the_unit(tmp_path: Path) -> None:
    unit = tmp_path / "distil-stream.service"
    unit.write_text(re.sub(r"ExecStart=\S+", "ExecStart=/bin/true", UNIT.read_text()))
    outcome = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", unit], capture_output=True, text=True, check=False
    )
    said = [line for line in outcome.stderr.splitlines() if "distil-stream.service" in line]
    assert said == []


def test_the_hashes_are_those_of_the_constraints() -> None:
    root = DOCS.parent
    pins = [line for line in (root / "constraints.txt").read_text().splitlines() if line[0] != "#"]
    lines = (root / "hashes.txt").read_text().splitlines()
    hashed = [line.split(" --hash=sha256:") for line in lines if not line.startswith("#")]
    assert sorted(pin for pin, _ in hashed) == sorted(pins)
    assert all(re.fullmatch(r"[0-9a-f]{64}", digest) for _, digest in hashed)
