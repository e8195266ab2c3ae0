"""Every metric is declared once, counted, and listed in the documentation."""

from pathlib import Path

from stream.core.windows import DroppedWord, Hypothesis
from stream.engine.engine import BatchReport, Engine
from stream.engine.scripted import ScriptedTranscriber
from stream.protocols.interface import StreamCounts
from stream.server.metrics import Metrics
from tests.engine.windows import a_window

SERVING = (Path(__file__).parents[2] / "docs" / "serving.md").read_text()


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(f"distil_stream_{name}", labels)


def test_all_metrics_are_documented() -> None:
    names = [family.name for family in Metrics().registry.collect()]
    ours = [name for name in names if name.startswith("distil_stream_")]
    assert len(ours) >= 15
    assert [name for name in ours if name not in SERVING] == []


def test_they_count_batches() -> None:
    metrics = Metrics()
    good = Hypothesis(a_window(), words=())
    bad = Hypothesis(a_window(final=True), words=(), failure="It broke.")
    metrics.count_batch(BatchReport((good, bad), audio_s=3.0, took_s=0.5, waits=()))
    assert value(metrics, "windows_total", kind="partial", outcome="transcribed") == 1
    assert value(metrics, "windows_total", kind="final", outcome="failed") == 1
    assert value(metrics, "batch_windows_sum") == 2
    assert value(metrics, "window_audio_seconds_total") == 3.0
    assert value(metrics, "engine_seconds_total") == 0.5


def test_metrics_count_the_words_that_guards_removed() -> None:
    metrics = Metrics()
    dropped = (DroppedWord("loop", 1), DroppedWord("loop", 2), DroppedWord("unsure", 3))
    final = Hypothesis(a_window(final=True), words=(), dropped=dropped)
    partial = Hypothesis(a_window(), words=(), dropped=dropped)
    metrics.count_batch(BatchReport((final, partial), audio_s=3.0, took_s=0.5, waits=()))
    assert value(metrics, "words_dropped_total", guard="loop") == 2
    assert value(metrics, "words_dropped_total", guard="unsure") == 1


def test_they_count_streams() -> None:
    metrics = Metrics()
    counts = StreamCounts(audio_s=12.5, finals=3, partials=20, errors=1)
    metrics.count_session(counts, coalesced=7, close_code=1000)
    assert value(metrics, "sessions_closed_total", close_code="1000") == 1
    assert value(metrics, "audio_seconds_total") == 12.5
    assert value(metrics, "messages_total", kind="final") == 3
    assert value(metrics, "messages_coalesced_total") == 7


def test_metrics_contain_the_queue_of_the_engine() -> None:
    metrics = Metrics()
    engine = Engine(ScriptedTranscriber([]))
    metrics.watch(engine)
    engine.submit(a_window(), lambda hypothesis: None)
    assert value(metrics, "windows_queued") == 1
    assert value(metrics, "windows_in_flight") == 0
