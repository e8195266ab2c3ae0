"""The sections of docs/benchmarks.md: which table shows the runs of which command."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from stream.bench import results_rows as rows


@dataclass(frozen=True, slots=True)
class Section:
    """A section of the page: one table, with rows of all runs of some commands."""

    title: str
    text: str
    """An explanation of the figures."""
    kinds: tuple[str, ...]
    """Commands whose runs are shown."""
    columns: tuple[str, ...]
    rows: Callable[[dict[str, Any]], Iterator[rows.Row]]
    """Makes the rows of one run, from its summary."""


SECTIONS: Sequence[Section] = (
    Section(
        "Accuracy",
        "Word error rates in percent, with substitutions, deletions and insertions. *Streamed*: "
        "the finals of streams. *Offline*: the same model on whole recordings, padded to 30 s.",
        ("evaluate",),
        ("speech", "words", "streamed %", "sub/del/ins", "offline %", "sub/del/ins"),
        rows.accuracy,
    ),
    Section(
        "Latency",
        "Milliseconds, at the pace of speech. The time from the end of speech to the final "
        "includes the silence that ends an utterance (500 ms).",
        ("evaluate",),
        ("from → to", "median", "90 %", "95 %"),
        rows.latency,
    ),
    Section(
        "Flicker",
        "Normalised erasure: shown words that changed or were removed, together with all shown "
        "words after them, per word of the finals; the target is 0.15. *Unstable*: only the words "
        "that themselves changed or were removed. *Violations*: committed words that changed, and "
        "samples that are in no final and were not found to be silent.",
        ("evaluate",),
        ("erasure", "unstable", "violations"),
        rows.flicker,
    ),
    Section(
        "Silence",
        "Words recognised in an hour of audio that contains no words. The target is 0 in silence "
        "and tones, and at most 5 in babble and music.",
        ("evaluate",),
        ("audio", "minutes", "words/hour", "faster-whisper"),
        rows.silence,
    ),
    Section(
        "Cost of streams",
        "CPU seconds for a second of audio, and resident memory of the server at its peak.",
        ("evaluate",),
        ("system, suite", "CPU s/s", "MiB"),
        rows.streaming_cost,
    ),
    Section(
        "Capacity: streams at once",
        "Streams at the pace of speech, next to a server that is built the usual way "
        "(faster-whisper in int8, padded windows, a model behind a lock, a transcript every "
        "second). *Late* is the 95th percentile of the time from the end of speech to the final, "
        "without the endpointing time. A server can serve a number of streams if *late* is at "
        "most a second.",
        ("bench load",),
        ("system", "streams", "CPU s/s", "partials/s", "final, median ms", "late ms", "WER %"),
        rows.load,
    ),
    Section(
        "Speech that never pauses",
        "One stream without a pause, slowed down so that every system can show all of its "
        "captions: CPU seconds for a second of audio.",
        ("bench load",),
        ("system", "CPU s/s", "captions/s", "WER %"),
        rows.continuous,
    ),
    Section(
        "Cost of a window",
        "Milliseconds for a window: elapsed time (*ms*) and CPU time. *Less CPU* is the CPU time "
        "of faster-whisper divided by that of the system. Batch and draft have an effect on the "
        "decoder only.",
        ("bench engine",),
        ("system", "s", "batch", "draft", "ms", "CPU ms", "less CPU", "decoder ms", "passes"),
        rows.engine,
    ),
    Section(
        "Long recordings",
        "Seconds of CPU time and of elapsed time for an hour of audio, and how many times as "
        "fast as faster-whisper and as transformers a system is.",
        ("bench longform",),
        (
            *("system", "batch", "WER %", "sub/del/ins", "CPU s/h", "s/h"),
            *("× faster-whisper", "× transformers"),
        ),
        rows.longform,
    ),
    Section(
        "Settings of a session",
        "Rehearsed on the audio clock. Milliseconds are medians: from the end of a word to its "
        "first appearance and to its commit, and from the start of speech to the first partial.",
        ("bench rehearsal",),
        (
            *("variant", "WER %", "price", "sub/del/ins", "erasure", "shown", "committed", "first"),
            "CPU s/s",
        ),
        rows.rehearsal,
    ),
    Section(
        "A student as assistant",
        "The teacher, the teacher with its student's drafts (the same words), and the student "
        "alone. *Decoding* is the time in the decoder, in seconds.",
        ("distil evaluate",),
        ("system", "batch", "WER %", "drafts accepted %", "tokens/pass", "decoding s"),
        rows.student,
    ),
    Section(
        "The captions page",
        "In a real Chromium: the median time from the end of a word until it is painted as "
        "committed, and the part of it that the page takes, in milliseconds.",
        ("bench page",),
        ("spoken → committed", "the page's part", "sound → sent", "message → painted"),
        rows.page,
    ),
    Section(
        "Readers of a room",
        "The delay of a final for a reader after the first client that has it, in milliseconds. "
        "The target for 1000 readers is a median of 200 ms on one core.",
        ("bench readers",),
        ("readers", "finals delivered", "median", "95 %", "worst", "server CPU, cores"),
        rows.readers,
    ),
)
