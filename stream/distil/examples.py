"""Reads and writes labelled windows: the encoder's output and the teacher's label of each.

The encoder is frozen and shared, so its output is computed once. For the teacher, the hidden states
before the projection are stored, not the logits: 1 KB for each token instead of 200. The
projection, which the student shares, turns them into all of the teacher's logits again.

A folder has `recipe.json`, `examples.jsonl` (one line for each example, in order) and two files of
float16 rows of d_model values: `audio.f16` with a row for each encoder position, and `hidden.f16`
with a row for each token of the teacher, the end of text included. The files only grow. A line is
written after its rows, so the next run can remove what a killed run did not complete.
"""

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO, TextIO

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from stream.errors import UsageError

RECIPE, LINES, AUDIO, HIDDEN = "recipe.json", "examples.jsonl", "audio.f16", "hidden.f16"


@dataclass(frozen=True, slots=True)
class LabelRecipe:
    """The teacher and the options with which all examples of a folder are made."""

    teacher: str
    teacher_sha256: str
    """SHA-256 of the teacher's weights."""
    manifest_sha256: str
    d_model: int
    opening: tuple[int, ...]
    """First tokens of every row, before the first token that the teacher predicts."""
    end_of_text: int
    seed: int
    precision: str
    """Precision of the encoder."""

    def check_goes_with(self, other: "LabelRecipe") -> None:
        """Raise `UsageError` unless one student can learn from examples of both."""
        for name in ("teacher_sha256", "opening"):
            if getattr(self, name) != getattr(other, name):
                raise UsageError(
                    f"Examples of {self.teacher} and {other.teacher} differ in their {name}; "
                    "label them with the same teacher and the same options."
                )


@dataclass(frozen=True, slots=True)
class Example:
    """One labelled window."""

    passage: int
    """Index of its passage in the manifest."""
    run: int
    """Number of the run of speech that it was cut from."""
    variant: int
    n_positions: int
    """Encoder positions, 20 ms each."""
    tokens: tuple[int, ...]
    """The teacher's tokens, without the end of text."""
    ending: str
    """Why the teacher's decoding stopped: a value of `Ending`."""
    mean_log_probability: float
    text: str
    words: int | None = None
    """Words of the normalised reference; None if there is no reference."""
    errors: int | None = None
    """Word errors of the label; None if there is no reference."""

    @property
    def n_targets(self) -> int:
        """Number of target tokens: the teacher's tokens and the end of text."""
        return len(self.tokens) + 1


class Examples:
    """The examples of some folders as one list, and the stored rows of each."""

    def __init__(self, *folders: Path, limits: Sequence[int] = ()) -> None:
        """Open folders.

        Args:
            folders: the folders.
            limits: number of first examples to use, for each folder; () for all examples.

        Raises:
            UsageError: a folder has no examples, or the recipes of two folders do not fit together.
        """
        self.folders = [ExampleFolder(folder) for folder in folders]
        for folder, limit in zip(self.folders, limits, strict=bool(limits)):
            del folder.examples[limit:]
        self.recipe = self.folders[0].recipe
        self.examples: list[Example] = []
        self._at: list[tuple[ExampleFolder, int]] = []
        n_passages, n_runs = 0, 0
        for folder in self.folders:
            folder.recipe.check_goes_with(self.recipe)
            self.examples += [
                replace(e, passage=n_passages + e.passage, run=n_runs + e.run)
                for e in folder.examples
            ]
            self._at += [(folder, i) for i in range(len(folder.examples))]
            n_passages = 1 + max(e.passage for e in self.examples)
            n_runs = 1 + max(e.run for e in self.examples)

    @property
    def counts(self) -> tuple[int, ...]:
        """Number of examples of each folder."""
        return tuple(len(folder.examples) for folder in self.folders)

    def audio(self, i: int) -> NDArray[np.float16]:
        """Return the encoder's output for example i, (n_positions, d_model)."""
        folder, number = self._at[i]
        return folder.audio.of(number)

    def hidden(self, i: int) -> NDArray[np.float16]:
        """Return the teacher's hidden states for example i, (n_targets, d_model)."""
        folder, number = self._at[i]
        return folder.hidden.of(number)


class ExampleFolder:
    """The examples of one folder."""

    def __init__(self, folder: Path) -> None:
        self.recipe = read_recipe(folder)
        self.examples = list(read_examples(folder))
        if not self.examples:
            raise UsageError(f"{folder} has no examples; `distil-stream distil label` makes them.")
        d_model = self.recipe.d_model
        self.audio = Rows(folder / AUDIO, d_model, [e.n_positions for e in self.examples])
        self.hidden = Rows(folder / HIDDEN, d_model, [e.n_targets for e in self.examples])


class Rows:
    """A file of float16 rows; each example has a number of consecutive rows."""

    def __init__(self, path: Path, d_model: int, lengths: Sequence[int]) -> None:
        self._starts = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
        n_rows = int(self._starts[-1])
        self._rows: NDArray[np.float16] = np.memmap(path, np.float16, "r", shape=(n_rows, d_model))

    def of(self, i: int) -> NDArray[np.float16]:
        """Return the rows of example i, (its length, d_model)."""
        return self._rows[self._starts[i] : self._starts[i + 1]]


class ExampleWriter:
    """Appends examples to the files of a folder; `appending` makes it."""

    def __init__(self, lines: TextIO, audio: BinaryIO, hidden: BinaryIO) -> None:
        self._lines, self._audio, self._hidden = lines, audio, hidden

    def write(self, example: Example, audio: Tensor, hidden: Tensor) -> None:
        """Append an example.

        Args:
            example: the teacher's label.
            audio: (n_positions, d_model), the encoder's output.
            hidden: (n_targets, d_model), the teacher's hidden states.
        """
        assert len(audio) == example.n_positions
        assert len(hidden) == example.n_targets
        for file, rows in ((self._audio, audio), (self._hidden, hidden)):
            file.write(rows.cpu().numpy().astype(np.float16).tobytes())
            file.flush()
        self._lines.write(json.dumps(asdict(example)) + "\n")
        self._lines.flush()


@contextmanager
def appending(folder: Path, recipe: LabelRecipe) -> Iterator[tuple[ExampleWriter, int]]:
    """Open a folder to append examples; yield the writer, and the number of existing examples.

    Raises:
        UsageError: the folder's examples were made by another recipe.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if (folder / RECIPE).exists():
        if (theirs := read_recipe(folder)) != recipe:
            differs = [k for k, v in asdict(recipe).items() if asdict(theirs)[k] != v]
            raise UsageError(
                f"{folder} has examples of another recipe ({', '.join(differs)} differ); "
                "name another folder, or delete this one."
            )
    else:
        (folder / RECIPE).write_text(json.dumps(asdict(recipe), indent=1) + "\n")
    done = list(read_examples(folder))
    row_bytes = 2 * recipe.d_model
    cut(folder / AUDIO, row_bytes * sum(e.n_positions for e in done))
    cut(folder / HIDDEN, row_bytes * sum(e.n_targets for e in done))
    cut(folder / LINES, complete_bytes(folder / LINES))
    with (
        (folder / LINES).open("a") as lines,
        (folder / AUDIO).open("ab") as audio,
        (folder / HIDDEN).open("ab") as hidden,
    ):
        yield ExampleWriter(lines, audio, hidden), len(done)


def read_recipe(folder: Path) -> LabelRecipe:
    """Return the recipe of a folder.

    Raises:
        UsageError: the folder has no recipe, or it is damaged.
    """
    try:
        fields: dict[str, Any] = json.loads((folder / RECIPE).read_text())
        return LabelRecipe(**{**fields, "opening": tuple(fields["opening"])})
    except FileNotFoundError:
        raise UsageError(
            f"{folder} has no examples; `distil-stream distil label` makes them."
        ) from None
    except (ValueError, TypeError, KeyError) as error:
        raise UsageError(f"{folder / RECIPE} is damaged: {error}.") from error


def read_examples(folder: Path) -> Iterator[Example]:
    """Yield the examples of a folder that were written completely."""
    path = folder / LINES
    if not path.exists():
        return
    with path.open("rb") as file:
        for line in file.read(complete_bytes(path)).splitlines():
            fields = json.loads(line)
            yield Example(**{**fields, "tokens": tuple(fields["tokens"])})


def complete_bytes(path: Path) -> int:
    """Return the number of bytes of a file's complete lines; 0 if it does not exist."""
    return path.read_bytes().rfind(b"\n") + 1 if path.exists() else 0


def cut(path: Path, n_bytes: int) -> None:
    """Truncate a file, which must have at least `n_bytes`; create it if it does not exist."""
    path.touch()
    assert path.stat().st_size >= n_bytes, f"{path} lost bytes"
    os.truncate(path, n_bytes)
