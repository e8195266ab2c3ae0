"""Prints the tables and progress bars of the commands."""

from collections.abc import Iterable, Mapping, Sequence

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from stream.distil.evaluation import STUDENT, TEACHER, Result
from stream.distil.examples import Examples
from stream.distil.selection import histogram, select, word_error_rate


def labelling(done: Iterable[int], total: int) -> None:
    """Consume `done`, numbers of labelled windows, and show them on a progress bar to `total`."""
    columns = (TextColumn("labelling"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task("", total=total)
        for count in done:
            progress.update(task, completed=count)


def print_selection(labelled: Examples, max_wer: float) -> None:
    """Print the word error rates of the labels, and how many examples are kept and dropped.

    Args:
        labelled: the labelled examples.
        max_wer: the highest word error rate of a label that is used, in percent.
    """
    examples = labelled.examples
    rates = [rate for example in examples if (rate := word_error_rate(example)) is not None]
    console = Console()
    if rates:
        table = Table("word error rate", "passages", "", title="Labels against references")
        bins = histogram(rates)
        most = max(count for _, count in bins)
        for name, count in bins:
            table.add_row(name, str(count), "█" * round(40 * count / most))
        console.print(table)
    found = select(examples, max_wer)
    console.print(
        f"{len(examples)} examples: {len(found.kept)} kept; {found.far_from_reference} dropped "
        f"because the word error rate of their passage's label is above {max_wer:g} %, "
        f"{found.rejected} because the guards reject the label."
    )


def print_comparison(results: Sequence[Result], weight_bytes: Mapping[str, int]) -> None:
    """Print the figures of each system, and its decoding speed relative to the teacher."""
    table = Table(title="Teacher and student", title_justify="left")
    columns = ("condition", "batch", "system", "WER %", "ins %", "5-dup", "other words",
               "accepted %", "tokens/pass", "tokens/s", "decode", "weights MB")  # fmt: skip
    for number, column in enumerate(columns):
        table.add_column(column, justify="left" if number in (0, 2) else "right")
    teachers = {(r.condition, r.batch): r.counts for r in results if r.system == TEACHER}
    for row in results:
        counts, teacher = row.counts, teachers[row.condition, row.batch]
        found = counts.as_json()
        compared = row.system not in (TEACHER, STUDENT)
        table.add_row(
            row.condition,
            str(row.batch),
            row.system,
            f"{found['wer']:.2f}" if found["words"] else "",
            f"{found['insertion_rate']:.2f}" if found["words"] else "",
            str(found["repeated_5grams"]) if found["words"] else "",
            f"{counts.different} of {counts.windows}" if compared else "",
            "" if found["accepted_percent"] is None else f"{found['accepted_percent']:.1f}",
            f"{found['tokens_per_pass']:.2f}",
            f"{found['tokens_per_s']:.0f}",
            f"{teacher.decode_s / counts.decode_s:.2f}×",
            f"{weight_bytes[row.system] / 1e6:.0f}",
        )
    Console(width=140).print(table)
