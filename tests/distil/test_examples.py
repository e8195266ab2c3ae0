from dataclasses import replace

import numpy as np
import pytest

from stream.distil.examples import (
    AUDIO,
    LINES,
    Examples,
    appending,
    read_recipe,
)
from stream.errors import UsageError
from tests.distil.small import small_recipe, small_teacher, write_examples


@pytest.fixture(scope="module")
def teacher():
    return small_teacher()


def same(one: Examples, other: Examples) -> bool:
    return one.examples == other.examples and all(
        np.array_equal(one.audio(i), other.audio(i))
        and np.array_equal(one.hidden(i), other.hidden(i))
        for i in range(len(one.examples))
    )


def test_rows_belong_to_their_example(teacher, tmp_path):
    folder = write_examples(tmp_path, teacher, n=9)
    for i, example in enumerate(folder.examples):
        assert folder.audio(i).shape == (example.n_positions, 32)
        assert folder.hidden(i).shape == (len(example.tokens) + 1, 32)
    assert len(Examples(tmp_path, limits=(4,)).examples) == 4


@pytest.mark.parametrize("harm", ["a line half written", "rows without a line", "nothing"])
def test_a_run_that_was_killed_goes_on_as_if_it_had_not_been(teacher, tmp_path, harm):
    whole = write_examples(tmp_path / "whole", teacher, n=12)
    write_examples(tmp_path / "killed", teacher, n=7)
    lines, audio = tmp_path / "killed" / LINES, tmp_path / "killed" / AUDIO
    if harm == "a line half written":
        lines.write_text(lines.read_text()[:-30])
    elif harm == "rows without a line":
        audio.write_bytes(audio.read_bytes() + b"\0" * 321)
    with appending(tmp_path / "killed", small_recipe(teacher)) as (writer, done):
        assert done == (6 if harm == "a line half written" else 7)
        for i in range(done, 12):
            writer.write(
                whole.examples[i],
                *(torch_rows(rows) for rows in (whole.audio(i), whole.hidden(i))),
            )
    assert same(Examples(tmp_path / "killed"), whole)


def torch_rows(rows):
    import torch

    return torch.from_numpy(rows.astype(np.float32))


def test_another_recipe_needs_another_folder(teacher, tmp_path):
    write_examples(tmp_path, teacher, n=2)
    other = replace(small_recipe(teacher), seed=9, precision="bfloat16")
    with (
        pytest.raises(UsageError, match=r"another recipe \(seed, precision differ\)"),
        appending(tmp_path, other),
    ):
        pass


def test_the_recipe_is_read_as_it_was_written(teacher, tmp_path):
    write_examples(tmp_path, teacher, n=1)
    assert read_recipe(tmp_path) == small_recipe(teacher)


def test_a_folder_without_examples_says_what_makes_them(teacher, tmp_path):
    with pytest.raises(UsageError, match="distil label"):
        Examples(tmp_path)
    with appending(tmp_path, small_recipe(teacher)):
        pass
    with pytest.raises(UsageError, match="distil label"):
        Examples(tmp_path)
