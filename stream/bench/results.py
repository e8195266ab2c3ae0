"""Writes docs/benchmarks.md, and the figures in the README, from the stored runs."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from stream.bench.results_headlines import headlines
from stream.bench.results_sections import SECTIONS, Section
from stream.bench.runs import FOLDER, Run, read_runs
from stream.errors import UsageError

INTRODUCTION = """\
# Benchmarks

This page is written by `distil-stream bench results` from the files in `benchmarks/results/`; do
not edit it. The number at the end of each row is that of the [run](#runs): command, machine, commit
and date. Figures of different machines cannot be compared. The reasons for the defaults are
described in [decisions](decisions/README.md), the measures in [evaluation.md](evaluation.md).

To add a run: `distil-stream bench save benchmarks/results/NAME.json COMMAND`, then
`distil-stream bench results`.
"""
BEGIN = "<!-- written by `distil-stream bench results` -->"
END = "<!-- end -->"


def run(
    folder: Path = FOLDER,
    page: Path = Path("docs/benchmarks.md"),
    readme: Path = Path("README.md"),
    *,
    check: bool = False,
) -> int:
    """Write the page of benchmarks, and the five figures of the README, from the stored runs.

    Parameters
    ----------
    folder
        The stored runs.
    page
        Markdown file to write.
    readme
        Markdown file whose lines between two marks are replaced.
    check
        Write nothing; the exit status is 1 if a file is not up to date.
    """
    runs = read_runs(folder)
    wanted = {page: page_of(runs), readme: readme_of(readme.read_text(), runs)}
    stale = [file for file, text in wanted.items() if not file.exists() or file.read_text() != text]
    for file in stale:
        print(f"{file} {'is not up to date' if check else 'was written'}")
        if not check:
            file.write_text(wanted[file])
    return 1 if check and stale else 0


def page_of(runs: Sequence[Run]) -> str:
    """Return the page of benchmarks in Markdown."""
    parts = [INTRODUCTION, "## In short\n", table_of_headlines(runs)]
    for section in SECTIONS:
        parts += section_of(section, runs)
    parts += ["## Runs\n", *described(runs)]
    return "\n".join(parts)


def readme_of(text: str, runs: Sequence[Run]) -> str:
    """Return the README with the figures of these runs.

    Raises:
        UsageError: the text has no marks for the figures.
    """
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise UsageError(f"The README has no marks {BEGIN} and {END}.")
    return f"{before}{BEGIN}\n{table_of_headlines(runs)}{END}{after}"


def table_of_headlines(runs: Sequence[Run]) -> str:
    """Return the table of the main figures."""
    rows = [
        [one.question, one.answer, one.comparison, f"`{one.run.kind}`, {machine_of(one.run)}"]
        for one in headlines(runs)
    ]
    return markdown(["", "distil-stream, base, int8", "for comparison", "measured with"], rows)


def section_of(section: Section, runs: Sequence[Run]) -> Iterator[str]:
    """Yield the parts of a section: nothing if no run belongs to it."""
    rows = [
        [*row, f"[{number}](#runs)"]
        for number, run in enumerate(runs, 1)
        if run.kind in section.kinds
        for row in section.rows(run.summary)
    ]
    if rows:
        yield f"## {section.title}\n"
        yield f"{section.text}\n"
        yield markdown([*section.columns, "run"], rows)


def described(runs: Sequence[Run]) -> Iterator[str]:
    """Yield a paragraph for each run, with its command."""
    for number, run in enumerate(runs, 1):
        commit = f"commit {run.commit}" if run.commit else "commit not recorded"
        ways = f", ways {run.ways}" if run.ways else ""
        yield f"**{number}.** {machine_of(run)}{ways}; {commit}, {run.date}; {run.source}:\n"
        yield f"    {run.command}\n"


def machine_of(run: Run) -> str:
    """Return a machine in a few words."""
    cores = f"{run.cores} core" + ("s" if run.cores != 1 else "")
    return ", ".join(part for part in (run.cpu, run.instructions, cores) if part)


def markdown(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table in Markdown."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "".join(
        "|" + "".join(f" {cell} |" if cell else " |" for cell in line) + "\n" for line in lines
    )
