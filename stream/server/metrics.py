"""The metrics of the server, each declared once; `docs/serving.md` lists them.

Each server has its own registry, so that several can run in one process.
"""

from functools import partial

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

from stream.core.windows import WindowKind
from stream.engine.engine import BatchReport, Engine
from stream.protocols.interface import StreamCounts

NAMESPACE = "distil_stream"
"""The prefix of all names, except those of the process and the Python platform."""
CONTENT_TYPE = exposition.CONTENT_TYPE_PLAIN_0_0_4
SECOND_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
LATENESS_BUCKETS = (0.001, 0.002, 0.005, 0.01, 0.015, 0.02, 0.03, 0.05, 0.1, 0.25, 1)


class Metrics:
    """Counts events of the server; all methods may be called from any thread."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        gauge = partial(Gauge, namespace=NAMESPACE, registry=self.registry)
        counter = partial(Counter, namespace=NAMESPACE, registry=self.registry)
        histogram = partial(Histogram, namespace=NAMESPACE, registry=self.registry)
        self.sessions = gauge("sessions", "Streams that are open.")
        self.queued = gauge("windows_queued", "Windows that wait for the engine.")
        self.in_flight = gauge("windows_in_flight", "Windows that are being transcribed.")
        self.ready = gauge("ready", "1 while streams are accepted.")
        self.closed = counter("sessions_closed", "Streams that ended.", ["close_code"])
        self.parked = gauge(
            "sessions_parked", "Parked streams: they lost their connection and can be resumed."
        )
        self.resumed = counter("sessions_resumed", "Streams that were resumed.")
        self.refused = counter(
            "handshakes_refused", "Streams that were refused, by HTTP status.", ["status"]
        )
        self.keys_refused = counter("keys_refused", "Wrong keys, tokens and signatures.")
        self.uploads = counter(
            "uploads", "Recordings over HTTP, by the status of the response.", ["status"]
        )
        self.audio_s = counter("audio_seconds", "Audio received, counted when a stream ends.")
        self.call_audio_s = counter(
            "call_audio_seconds",
            "For calls: audio that did not come, and audio that arrived too late.",
            ["kind"],
        )
        self.skipped = counter("messages_skipped", "Messages of unknown kinds, left out.")
        self.readers = gauge("room_readers", "Readers of rooms.")
        self.webhooks = counter("webhooks", "Messages to the webhook.", ["outcome"])
        self.messages = counter("messages", "Finals, partials and errors.", ["kind"])
        self.coalesced = counter(
            "messages_coalesced",
            "Partials and progress messages that a newer one replaced before they were sent.",
        )
        self.windows = counter("windows", "Windows transcribed.", ["kind", "outcome"])
        self.window_audio_s = counter("window_audio_seconds", "Audio of the windows transcribed.")
        self.words_dropped = counter(
            "words_dropped", "Words that guards removed from finals and recordings.", ["guard"]
        )
        self.engine_s = counter("engine_seconds", "Time that the engine was busy.")
        self.batch = histogram(
            "batch_windows", "Windows in a batch.", buckets=(1, 2, 4, 8, 16, 32, 64)
        )
        self.queue_s = histogram("queue_seconds", "Time a window waited.", buckets=SECOND_BUCKETS)
        self.memory_bytes = gauge(
            "encoder_memory_bytes", "What the encoder remembers of all streams."
        )
        self.memory_windows = gauge(
            "encoder_memory_windows",
            "Windows of live streams so far, encoded from memory (hit) or in full (miss).",
            ["result"],
        )
        self.load = gauge(
            "load",
            "0: normal, 1: slow partials, 2: finals only, 3: new streams are refused as well.",
        )
        self.wait_s = gauge(
            "wait_seconds",
            "The longest recent wait of a window; it halves every two seconds.",
        )
        self.loop_late_s = histogram(
            "loop_lateness_seconds",
            "How late the event loop was, twenty times a second.",
            buckets=LATENESS_BUCKETS,
        )
        self.final_s = histogram(
            "final_latency_seconds",
            "From the arrival of the last sample of speech to the sending of its final.",
            buckets=SECOND_BUCKETS,
        )

    def watch(self, engine: Engine) -> None:
        """Set the engine whose queue length is read whenever the metrics are requested."""
        self.queued.set_function(lambda: engine.queued)
        self.in_flight.set_function(lambda: engine.in_flight)
        if (memories := engine.transcriber.memories) is not None:
            self.memory_bytes.set_function(lambda: memories.n_bytes)
            self.memory_windows.labels("hit").set_function(lambda: memories.hits)
            self.memory_windows.labels("miss").set_function(lambda: memories.misses)

    def count_batch(self, report: BatchReport) -> None:
        """Count a batch that the engine has transcribed."""
        self.batch.observe(len(report.hypotheses))
        self.window_audio_s.inc(report.audio_s)
        self.engine_s.inc(report.took_s)
        for hypothesis in report.hypotheses:
            outcome = "failed" if hypothesis.failure else "transcribed"
            self.windows.labels(hypothesis.window.kind.value, outcome).inc()
            self.queue_s.observe(hypothesis.timing.queue_ms / 1000)
            if hypothesis.window.kind is not WindowKind.PARTIAL:
                for word in hypothesis.dropped:
                    self.words_dropped.labels(word.guard).inc()

    def count_session(self, counts: StreamCounts, coalesced: int, close_code: int) -> None:
        """Count a stream that has ended; `coalesced` messages were replaced by newer ones."""
        self.closed.labels(str(close_code)).inc()
        self.audio_s.inc(counts.audio_s)
        self.call_audio_s.labels("filled").inc(counts.filled_s)
        self.call_audio_s.labels("late").inc(counts.late_s)
        self.skipped.inc(counts.skipped)
        self.messages.labels("final").inc(counts.finals)
        self.messages.labels("partial").inc(counts.partials)
        self.messages.labels("error").inc(counts.errors)
        self.coalesced.inc(coalesced)

    def count_webhook(self, outcome: str) -> None:
        """Count a message to the webhook; `outcome` is delivered, failed or dropped."""
        self.webhooks.labels(outcome).inc()

    def exposition(self) -> bytes:
        """Return the metrics as Prometheus text."""
        return generate_latest(self.registry)
