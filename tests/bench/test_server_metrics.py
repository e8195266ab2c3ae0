"""Metrics of a server are read, and what happened between two moments."""

import pytest

from stream.bench.server_metrics import ServerMetrics, parse_metrics, quantile
from stream.core.windows import Hypothesis
from stream.engine.engine import BatchReport
from stream.server.metrics import Metrics
from tests.engine.windows import a_window


def test_events_during_an_interruption():
    metrics = Metrics()
    metrics.loop_late_s.observe(0.9)
    before = parse_metrics(metrics.exposition().decode())
    for _ in range(99):
        metrics.loop_late_s.observe(0.0005)
    metrics.loop_late_s.observe(0.018)
    answers = tuple(Hypothesis(a_window(i), words=()) for i in range(3))
    metrics.count_batch(BatchReport(answers, audio_s=3.0, took_s=0.5, waits=()))
    metrics.load.set(2)
    found = parse_metrics(metrics.exposition().decode()).since(before)
    assert found["loop_late_p99_ms"] == pytest.approx(1.0)
    assert found["windows_in_a_batch"] == 3
    assert found["load"] == 2


def test_a_server_without_metrics_says_nothing():
    assert ServerMetrics().since(ServerMetrics()) == {}


def test_a_quantile_lies_within_its_bucket():
    buckets = {0.1: 50.0, 0.2: 100.0, float("inf"): 100.0}
    assert quantile(buckets, 0.5) == pytest.approx(0.1)
    assert quantile(buckets, 0.75) == pytest.approx(0.15)
    assert quantile({0.1: 0.0, float("inf"): 4.0}, 0.99) == 0.1
    assert quantile({0.1: 0.0, float("inf"): 0.0}, 0.99) == 0
