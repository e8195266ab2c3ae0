"""Records the progress of a run in files, and shows it as a table while the run lasts."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.table import Table

from stream.distil.loss import Judgement
from stream.distil.training import Step
from stream.distil.validation import Validation

STEPS, VALIDATIONS = "steps.jsonl", "validations.jsonl"
COLUMNS = ("step", "passes", "loss", "agreement %", "WER to teacher %", "accepted %", "tokens/pass")


@dataclass(frozen=True, slots=True)
class Progress:
    """The figures of some consecutive steps of a run."""

    step: int
    """The last of the steps."""
    passes: float
    """Passes over the examples so far."""
    loss: float
    agreement: float
    """Percent."""
    learning_rate: float
    gradient_norm: float
    cpu_s: float
    """CPU seconds since the run began."""


class Journal:
    """Writes the figures of a run to files, and shows them as a table."""

    def __init__(self, folder: Path, done: int) -> None:
        """Open the journal of a run that continues after step `done`; drop the rows of later steps.

        Later steps can have rows if the run was killed before it saved a checkpoint.
        """
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.validations = [row for row in read_rows(folder / VALIDATIONS) if row["step"] <= done]
        self.progress = [row for row in read_rows(folder / STEPS) if row["step"] <= done]
        write_rows(folder / VALIDATIONS, self.validations)
        write_rows(folder / STEPS, self.progress)
        self.console = Console(stderr=True)
        self._live: Live | None = None
        self._judged, self._norms, self._n_steps = Judgement(), 0.0, 0
        spent_s = float(self.progress[-1]["cpu_s"]) if self.progress else 0.0
        self._began_s = time.process_time() - spent_s

    @property
    def cpu_s(self) -> float:
        """CPU seconds of all steps so far, those of earlier processes included."""
        return time.process_time() - self._began_s

    @contextmanager
    def clock_stopped(self) -> Iterator[None]:
        """Exclude the CPU time of the block from `cpu_s`."""
        before_s = time.process_time()
        yield
        self._began_s += time.process_time() - before_s

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Show the table while the block runs."""
        with Live(self.table(), console=self.console, auto_refresh=False) as self._live:
            yield
        self._live = None

    def count(self, step: Step) -> None:
        """Add the figures of a step to those that the next `note` will write."""
        self._judged += step.judgement
        self._norms += step.gradient_norm
        self._n_steps += 1

    def note(self, step: int, passes: float, rate: float) -> None:
        """Write and show the figures of the steps since the last call."""
        progress = Progress(
            step=step,
            passes=round(passes, 3),
            loss=round(self._judged.loss, 4),
            agreement=round(self._judged.agreement, 2),
            learning_rate=rate,
            gradient_norm=round(self._norms / self._n_steps, 3),
            cpu_s=round(self.cpu_s, 1),
        )
        self._judged, self._norms, self._n_steps = Judgement(), 0.0, 0
        self.progress.append(asdict(progress))
        append_row(self.folder / STEPS, self.progress[-1])
        self._show()

    def note_validation(self, validation: Validation, passes: float) -> None:
        """Write and show the figures of a validation."""
        row = {**asdict(validation), "passes": round(passes, 3), "cpu_s": round(self.cpu_s, 1)}
        self.validations.append(row)
        append_row(self.folder / VALIDATIONS, row)
        self._show()

    def table(self) -> Table:
        """Return the table of validations, with the latest steps below it."""
        table = Table(*COLUMNS)
        for row in self.validations:
            table.add_row(
                str(row["step"]),
                f"{row['passes']:.2f}",
                f"{row['loss']:.3f}",
                f"{row['agreement']:.1f}",
                f"{row['word_error_rate']:.1f}",
                f"{row['accepted']:.1f}",
                f"{row['tokens_a_pass']:.2f}",
            )
        if self.progress:
            last = self.progress[-1]
            table.caption = (
                f"step {last['step']}, pass {last['passes']:.2f}: loss {last['loss']:.3f}, "
                f"agreement {last['agreement']:.1f} %, rate {last['learning_rate']:.2e}, gradient "
                f"{last['gradient_norm']:.2f}, {last['cpu_s']:.0f} CPU s"
            )
        return table

    def _show(self) -> None:
        if self._live is not None:
            self._live.update(self.table(), refresh=True)


def read_rows(path: Path) -> list[dict[str, Any]]:
    """Return the rows of a file's complete lines; [] if it does not exist."""
    if not path.exists():
        return []
    lines = path.read_text().split("\n")[:-1]
    return [json.loads(line) for line in lines]


def write_rows(path: Path, rows: list[dict[str, Any]]) -> None:
    """Replace a file by these rows."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def append_row(path: Path, row: dict[str, Any]) -> None:
    """Append a row to a file."""
    with path.open("a") as file:
        file.write(json.dumps(row) + "\n")
