"""Reads the server's metrics from `/metrics`, and computes differences between two readings."""

import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise

from prometheus_client.parser import text_string_to_metric_families

LATENESS = "distil_stream_loop_lateness_seconds"
BATCH = "distil_stream_batch_windows"
LOAD = "distil_stream_load"


@dataclass(frozen=True, slots=True)
class ServerMetrics:
    """A reading: values of metrics by name, and counts of histograms by name and upper bound."""

    values: Mapping[str, float] = field(default_factory=dict)
    buckets: Mapping[str, Mapping[float, float]] = field(default_factory=dict)

    def since(self, before: "ServerMetrics") -> dict[str, float]:
        """Return the figures of the time since an earlier reading, as far as they are known."""
        found = {}
        if LATENESS in self.buckets:
            late = quantile(self._histogram(before, LATENESS), 0.99)
            found["loop_late_p99_ms"] = round(1000 * late, 1)
        batches = self._counted(before, f"{BATCH}_count")
        if batches:
            found["windows_in_a_batch"] = round(self._counted(before, f"{BATCH}_sum") / batches, 2)
        if LOAD in self.values:
            found["load"] = self.values[LOAD]
        return found

    def _counted(self, before: "ServerMetrics", name: str) -> float:
        return self.values.get(name, 0.0) - before.values.get(name, 0.0)

    def _histogram(self, before: "ServerMetrics", name: str) -> dict[float, float]:
        earlier = before.buckets.get(name, {})
        return {le: count - earlier.get(le, 0.0) for le, count in self.buckets[name].items()}


def read_metrics(url: str) -> ServerMetrics:
    """Read the metrics of the server at `url`, which ends with a slash."""
    with urllib.request.urlopen(f"{url}metrics") as answer:
        return parse_metrics(answer.read().decode())


def parse_metrics(text: str) -> ServerMetrics:
    """Parse Prometheus text; samples with labels are ignored, except buckets of histograms."""
    values: dict[str, float] = {}
    buckets: dict[str, dict[float, float]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if not sample.labels:
                values[sample.name] = sample.value
            elif set(sample.labels) == {"le"}:
                bound = float(sample.labels["le"])
                buckets.setdefault(family.name, {})[bound] = sample.value
    return ServerMetrics(values, buckets)


def quantile(buckets: Mapping[float, float], part: float) -> float:
    """Return a quantile of a histogram, interpolated as in Prometheus.

    Args:
        buckets: cumulative counts by upper bound.
        part: the quantile, 0..1.
    """
    bounds = sorted(buckets.items())
    if not bounds or not bounds[-1][1]:
        return 0.0
    wanted = part * bounds[-1][1]
    for (low, below), (high, upto) in pairwise([(0.0, 0.0), *bounds]):
        if upto >= wanted:
            inside = (wanted - below) / ((upto - below) or 1)
            return low if high == float("inf") else low + inside * (high - low)
    return bounds[-1][0]
