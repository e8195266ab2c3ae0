"""The figures of `bench longform`, and how they are shown."""

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
    """For an hour of audio; so the next."""
    wall_s: float
    faster_whisper: float | None
    """How many times as fast as it, by the clock; None without it."""
    faster_whisper_cpu: float | None
    transformers: float | None
    transformers_cpu: float | None


def as_table(title: str, rows: Sequence[LongRow]) -> Table:
    """Show the rows."""
    made = table(
        title,
        "", "precision", "batch", "WER %", "sub/del/ins", "CPU s/h", "s/h",
        "faster-whisper", "CPU", "transformers", "CPU",
    )  # fmt: skip
    made.columns[0].no_wrap = True
    made.caption = "faster-whisper, transformers: how many times as fast as they are"
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
