"""The figures of `bench engine`, and the table that shows them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rich.table import Table

from stream.evaluate.report.tables import table


@dataclass(frozen=True, slots=True)
class SpeedRow:
    """The figures of one contender for windows of one length."""

    window_s: float
    system: str
    precision: str
    batch: int
    draft: str
    windows: int
    wall_ms: float
    """Milliseconds for a window, the median of the rounds."""
    cpu_ms: float
    """CPU milliseconds for a window, the median of the rounds."""
    wall_ratio: float | None
    """Time of faster-whisper divided by this time, the median of the rounds; None without it."""
    cpu_ratio: float | None
    """CPU time of faster-whisper divided by this CPU time; None without it."""
    decode_ms: float | None
    """Milliseconds in the decoder for a window; None if a system does not report it."""
    batch_ratio: float | None
    """Decoder time with a batch of one window divided by this decoder time."""
    passes: float | None
    """Decoder passes for a window; None if a system does not report it."""
    drafted: int
    accepted: int
    changed: int | None
    """Windows whose tokens differ from those of the window alone without a draft; None for systems
    that are not compared."""
    word_differences: float | None
    """Word error rate against the text of transformers, in percent; None without it."""


def as_table(window_s: float, rows: Sequence[SpeedRow]) -> Table:
    """Return the table of the rows of one window length."""
    made = table(
        f"windows of {window_s:g} s",
        "", "precision", "batch", "draft", "ms", "speed", "CPU ms", "CPU",
        "decoder ms", "batch", "passes", "accepted", "equal", "words off",
    )  # fmt: skip
    made.columns[0].no_wrap = made.columns[1].no_wrap = True
    made.caption = (
        "speed and CPU: time of faster-whisper / this time; batch: decoder time with a batch of\n"
        "one window / this decoder time; passes: decoder passes for a window; accepted: draft\n"
        "tokens; words off: word error rate against the text of transformers, in percent"
    )
    made.caption_justify = "left"
    for row in rows:
        made.add_row(
            row.system,
            row.precision,
            str(row.batch),
            row.draft,
            f"{row.wall_ms:.0f}",
            shown(row.wall_ratio, "{:.2f}×"),
            f"{row.cpu_ms:.0f}",
            shown(row.cpu_ratio, "{:.2f}×"),
            shown(row.decode_ms, "{:.0f}"),
            shown(row.batch_ratio, "{:.2f}×"),
            shown(row.passes, "{:.1f}"),
            f"{row.accepted} of {row.drafted}" if row.drafted else "",
            "" if row.changed is None else "yes" if not row.changed else f"{row.changed} differ",
            shown(row.word_differences, "{:.2f}"),
        )
    return made


def shown(value: Any, template: str) -> str:
    """Return a figure formatted with a template; "" for None."""
    return "" if value is None else template.format(value)
