"""The figures of `bench engine`, and how they are shown."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rich.table import Table

from stream.evaluate.report.tables import table


@dataclass(frozen=True, slots=True)
class SpeedRow:
    """One contender at one length."""

    window_s: float
    system: str
    precision: str
    batch: int
    draft: str
    windows: int
    wall_ms: float
    """Of a window, the median of the rounds; so the next three."""
    cpu_ms: float
    wall_ratio: float | None
    """How many times as fast as faster-whisper; None without it."""
    cpu_ratio: float | None
    decode_ms: float | None
    """Of a window, in the decoder; None where a system does not say."""
    batch_ratio: float | None
    """How many times as fast the decoder is as with a window at a time."""
    passes: float | None
    """Of the decoder, for a window; None where a system does not say."""
    drafted: int
    accepted: int
    changed: int | None
    """Windows whose tokens are not those of a window alone, without a draft; None where nothing is
    promised."""
    word_differences: float | None
    """From what transformers hears, in percent of its words; None without it."""


def as_table(window_s: float, rows: Sequence[SpeedRow]) -> Table:
    """Show the rows of one length."""
    made = table(
        f"windows of {window_s:g} s",
        "", "precision", "batch", "draft", "ms", "speed", "CPU ms", "CPU",
        "decoder ms", "batch", "passes", "accepted", "equal", "words off",
    )  # fmt: skip
    made.columns[0].no_wrap = made.columns[1].no_wrap = True
    made.caption = (
        "speed and CPU: how many times less than faster-whisper; batch: how many times less time\n"
        "in the decoder than a window at a time; passes: of the decoder, for a window; accepted:\n"
        "draft tokens; words off: from what transformers hears, in percent"
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


def shown(value: Any, form: str) -> str:
    """Return a figure in a form; nothing where there is none."""
    return "" if value is None else form.format(value)
