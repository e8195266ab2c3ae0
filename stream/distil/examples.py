"""Labelled windows on disk: what the encoder made of each, and what the teacher says of it.

The encoder is frozen and shared, so its output is computed once. Of the teacher it is the hidden
state before the projection that is kept, not the logits: 1 KB a token instead of 200, and the
projection, which the student shares, makes of it all of the teacher's logits again, none left out.

A folder holds `recipe.json`, `examples.jsonl` (a line an example, in order) and two files of
float16 rows of d_model values, one row after the other: `audio.f16`, a row an encoder position, and
`hidden.f16`, a row a token that the teacher says, its end of text included. They only ever grow; a
line is written when its rows are, so what a killed run left unfinished is cut off by the next.
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
    """How the examples of a folder are made; another recipe needs another folder."""

    teacher: str
    teacher_sha256: str
    """Of its weights."""
    manifest_sha256: str
    d_model: int
    opening: tuple[int, ...]
    """Tokens that every row begins with, before the first that is the teacher's own."""
    end_of_text: int
    seed: int
    precision: str
    """What the encoder multiplies in."""

    def check_goes_with(self, other: "LabelRecipe") -> None:
        """Raise `UsageError` unless one student can learn from examples of both."""
        for name in ("teacher_sha256", "opening"):
            if getattr(self, name) != getattr(other, name):
                raise UsageError(
                    f"Examples of {self.teacher} and {other.teacher} differ in their {name}; "
                    "label them by one teacher and alike."
                )


@dataclass(frozen=True, slots=True)
class Example:
    """One labelled window."""

    passage: int
    """Its number in the manifest."""
    run: int
    """Of the run of speech that it was cut from."""
    variant: int
    n_positions: int
    """Of the encoder, 20 ms each."""
    tokens: tuple[int, ...]
    """What the teacher says, without the end."""
    ending: str
    """Why it stopped: `Ending` by value."""
    mean_log_probability: float
    text: str
    words: int | None = None
    """Of the normalised reference; None where there is none."""
    errors: int | None = None
    """Words of the label that are wrong."""

    @property
    def n_targets(self) -> int:
        """Tokens that are learnt from it: the teacher's, and the end."""
        return len(self.tokens) + 1


class Examples:
    """The examples of some folders as one list, and the rows of each."""

    def __init__(self, *folders: Path, limits: Sequence[int] = ()) -> None:
        """Open folders, or so many of the first examples of each.

        Raises:
            UsageError: a folder holds none, or those of one cannot be learnt with those of another.
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
        """How many are of each folder."""
        return tuple(len(folder.examples) for folder in self.folders)

    def audio(self, i: int) -> NDArray[np.float16]:
        """The encoded window of example i, (n_positions, d_model)."""
        folder, number = self._at[i]
        return folder.audio.of(number)

    def hidden(self, i: int) -> NDArray[np.float16]:
        """The teacher's hidden states of example i, (n_targets, d_model)."""
        folder, number = self._at[i]
        return folder.hidden.of(number)


class ExampleFolder:
    """The examples of one folder."""

    def __init__(self, folder: Path) -> None:
        self.recipe = read_recipe(folder)
        self.examples = list(read_examples(folder))
        if not self.examples:
            raise UsageError(f"{folder} holds no examples; let `distil-stream distil label` run.")
        d_model = self.recipe.d_model
        self.audio = Rows(folder / AUDIO, d_model, [e.n_positions for e in self.examples])
        self.hidden = Rows(folder / HIDDEN, d_model, [e.n_targets for e in self.examples])


class Rows:
    """A file of rows, so many of which are of each example."""

    def __init__(self, path: Path, d_model: int, lengths: Sequence[int]) -> None:
        self._starts = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
        n_rows = int(self._starts[-1])
        self._rows: NDArray[np.float16] = np.memmap(path, np.float16, "r", shape=(n_rows, d_model))

    def of(self, i: int) -> NDArray[np.float16]:
        """The rows of example i, (its length, d_model)."""
        return self._rows[self._starts[i] : self._starts[i + 1]]


class ExampleWriter:
    """Appends to a folder; made by `appending`."""

    def __init__(self, lines: TextIO, audio: BinaryIO, hidden: BinaryIO) -> None:
        self._lines, self._audio, self._hidden = lines, audio, hidden

    def write(self, example: Example, audio: Tensor, hidden: Tensor) -> None:
        """Append an example.

        Args:
            example: what the teacher says.
            audio: (n_positions, d_model).
            hidden: (n_targets, d_model).
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
    """Open a folder to go on where it ends; yields the writer and how many examples there are.

    Raises:
        UsageError: the folder's examples were made by another recipe.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if (folder / RECIPE).exists():
        if (theirs := read_recipe(folder)) != recipe:
            differs = [k for k, v in asdict(recipe).items() if asdict(theirs)[k] != v]
            raise UsageError(
                f"{folder} holds examples of another recipe ({', '.join(differs)} differ); "
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
    """Return the recipe of a folder; raises `UsageError` where there is none."""
    try:
        fields: dict[str, Any] = json.loads((folder / RECIPE).read_text())
        return LabelRecipe(**{**fields, "opening": tuple(fields["opening"])})
    except FileNotFoundError:
        raise UsageError(
            f"{folder} holds no examples; `distil-stream distil label` makes them."
        ) from None
    except (ValueError, TypeError, KeyError) as error:
        raise UsageError(f"{folder / RECIPE} is damaged: {error}.") from error


def read_examples(folder: Path) -> Iterator[Example]:
    """Yield the examples of which every byte was written."""
    path = folder / LINES
    if not path.exists():
        return
    with path.open("rb") as file:
        for line in file.read(complete_bytes(path)).splitlines():
            fields = json.loads(line)
            yield Example(**{**fields, "tokens": tuple(fields["tokens"])})


def complete_bytes(path: Path) -> int:
    """How many bytes of a file are complete lines; 0 where there is no file."""
    return path.read_bytes().rfind(b"\n") + 1 if path.exists() else 0


def cut(path: Path, n_bytes: int) -> None:
    """Shorten a file, making it where there is none; it is never shorter than that already."""
    path.touch()
    assert path.stat().st_size >= n_bytes, f"{path} lost bytes"
    os.truncate(path, n_bytes)
