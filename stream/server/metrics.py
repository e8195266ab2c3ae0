"""Every metric of the server, declared once; `docs/serving.md` lists them.

Each server has a registry of its own, so that several can live in one process.
"""

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    exposition,
    generate_latest,
)

from stream.engine.worker import BatchReport, Engine
from stream.protocols.port import Tally

CONTENT_TYPE = exposition.CONTENT_TYPE_PLAIN_0_0_4
SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
LATENESS = (0.001, 0.002, 0.005, 0.01, 0.015, 0.02, 0.03, 0.05, 0.1, 0.25, 1)


class Metrics:
    """Counts what happens; all methods may be called from any thread."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        name = "distil_stream_"
        self.sessions = Gauge(f"{name}sessions", "Streams that are open.", registry=registry)
        self.queued = Gauge(
            f"{name}windows_queued", "Windows that wait for the engine.", registry=registry
        )
        self.in_flight = Gauge(
            f"{name}windows_in_flight", "Windows that are being transcribed.", registry=registry
        )
        self.ready = Gauge(
            f"{name}ready", "1 when the model is warm and streams are taken.", registry=registry
        )
        self.closed = Counter(
            f"{name}sessions_closed", "Streams that ended.", ["close_code"], registry=registry
        )
        self.kept = Gauge(
            f"{name}sessions_kept",
            "Streams that lost their connection and can be resumed.",
            registry=registry,
        )
        self.resumed = Counter(
            f"{name}sessions_resumed", "Streams that went on after a loss.", registry=registry
        )
        self.refused = Counter(
            f"{name}handshakes_refused", "Streams that never began.", ["status"], registry=registry
        )
        self.uploads = Counter(
            f"{name}uploads", "Recordings over HTTP, answered.", ["status"], registry=registry
        )
        self.audio_s = Counter(
            f"{name}audio_seconds", "Audio received, of each stream.", registry=registry
        )
        self.call_audio_s = Counter(
            f"{name}call_audio_seconds",
            "Silence filled in, and audio that came too late, of each call.",
            ["kind"],
            registry=registry,
        )
        self.readers = Gauge(f"{name}room_readers", "Readers of rooms.", registry=registry)
        self.webhooks = Counter(
            f"{name}webhooks", "Messages to the webhook.", ["outcome"], registry=registry
        )
        self.messages = Counter(
            f"{name}messages", "Finals, partials and errors.", ["kind"], registry=registry
        )
        self.coalesced = Counter(
            f"{name}messages_coalesced",
            "Partials and progress that a newer one overtook before they could be sent.",
            registry=registry,
        )
        self.windows = Counter(
            f"{name}windows", "Windows transcribed.", ["kind", "outcome"], registry=registry
        )
        self.window_audio_s = Counter(
            f"{name}window_audio_seconds", "Audio of the windows transcribed.", registry=registry
        )
        self.engine_s = Counter(
            f"{name}engine_seconds", "Time that the engine was busy.", registry=registry
        )
        self.batch = Histogram(
            f"{name}batch_windows",
            "Windows in a batch.",
            buckets=(1, 2, 4, 8, 16, 32, 64),
            registry=registry,
        )
        self.queue_s = Histogram(
            f"{name}queue_seconds", "Time a window waited.", buckets=SECONDS, registry=registry
        )
        self.load = Gauge(
            f"{name}load",
            "0: normal, 1: slow partials, 2: finals only, 3: new streams are refused as well.",
            registry=registry,
        )
        self.wait_s = Gauge(
            f"{name}wait_seconds",
            "The longest that a window has lately waited; it halves every two seconds.",
            registry=registry,
        )
        self.loop_late_s = Histogram(
            f"{name}loop_lateness_seconds",
            "How late the event loop was, twenty times a second.",
            buckets=LATENESS,
            registry=registry,
        )
        self.final_s = Histogram(
            f"{name}final_latency_seconds",
            "From the arrival of the last sample of speech to the sending of its final.",
            buckets=SECONDS,
            registry=registry,
        )

    def watch(self, engine: Engine) -> None:
        """Read the engine's queue whenever the metrics are asked for."""
        self.queued.set_function(lambda: engine.queued)
        self.in_flight.set_function(lambda: engine.in_flight)

    def count_batch(self, report: BatchReport) -> None:
        """Count one pass of the engine."""
        self.batch.observe(len(report.hypotheses))
        self.window_audio_s.inc(report.audio_s)
        self.engine_s.inc(report.took_s)
        for hypothesis in report.hypotheses:
            outcome = "failed" if hypothesis.failure else "transcribed"
            self.windows.labels(hypothesis.window.kind.value, outcome).inc()
            self.queue_s.observe(hypothesis.timing.queue_ms / 1000)

    def count_session(self, tally: Tally, coalesced: int, close_code: int) -> None:
        """Count a stream that has ended."""
        self.closed.labels(str(close_code)).inc()
        self.audio_s.inc(tally.audio_s)
        self.call_audio_s.labels("filled").inc(tally.filled_s)
        self.call_audio_s.labels("late").inc(tally.late_s)
        self.messages.labels("final").inc(tally.finals)
        self.messages.labels("partial").inc(tally.partials)
        self.messages.labels("error").inc(tally.errors)
        self.coalesced.inc(coalesced)

    def count_webhook(self, outcome: str) -> None:
        """Count a message to the webhook that was delivered, failed or dropped."""
        self.webhooks.labels(outcome).inc()

    def exposition(self) -> bytes:
        """Return the metrics as Prometheus text."""
        return generate_latest(self.registry)
