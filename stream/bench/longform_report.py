"""The figures of `bench longform`, and the table that shows them."""

from collections.abc import Sequence
from dataclasses import dataclass

from rich.table import Table

from stream.bench.engine_report import shown
from stream.evaluate.report.tables import table


@dataclass(frozen=True, slots=True)
class LongRow:
    """The figures of one system."""

    system: str
    precision: str
    batch: int
    word_error_rate: float
    """Percent."""
    substitutions: int
    deletions: int
    insertions: int
    cpu_s: float
    """CPU seconds for an hour of audio."""
    wall_s: float
    """Seconds for an hour of audio."""
    faster_whisper: float | None
    """Time of faster-whisper divided by this time; None without it."""
    faster_whisper_cpu: float | None
    """CPU time of faster-whisper divided by this CPU time; None without it."""
    transformers: float | None
    """Time of transformers divided by this time; None without it."""
    transformers_cpu: float | None
    """CPU time of transformers divided by this CPU time; None without it."""


def as_table(title: str, rows: Sequence[LongRow]) -> Table:
    """Return the table of the rows."""
    made = table(
        title,
        "", "precision", "batch", "WER %", "sub/del/ins", "CPU s/h", "s/h",
        "faster-whisper", "CPU", "transformers", "CPU",
    )  # fmt: skip
    made.columns[0].no_wrap = True
    made.caption = "faster-whisper, transformers: time of that system / this time"
    made.caption_justify = "left"
    for row in rows:
        ratios = (
            row.faster_whisper,
            row.faster_whisper_cpu,
            row.transformers,
            row.transformers_cpu,
        )
        made.add_row(
            row.system,
            row.precision,
            str(row.batch),
            f"{row.word_error_rate:.2f}",
            f"{row.substitutions}/{row.deletions}/{row.insertions}",
            f"{row.cpu_s:.0f}",
            f"{row.wall_s:.0f}",
            *(shown(ratio, "{:.2f}×") for ratio in ratios),
        )
    return made
