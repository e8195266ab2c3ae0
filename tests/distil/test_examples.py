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
def test_a_killed_training_run_resumes_exactly(teacher, tmp_path, harm):
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


def test_an_empty_folder_of_examples_is_an_error_that_names_the_command(teacher, tmp_path):
    with pytest.raises(UsageError, match="distil label"):
        Examples(tmp_path)
    with appending(tmp_path, small_recipe(teacher)):
        pass
    with pytest.raises(UsageError, match="distil label"):
        Examples(tmp_path)


def test_folders_are_read_as_one(teacher, tmp_path):
    one = write_examples(tmp_path / "one", teacher, n=5)
    other = write_examples(tmp_path / "other", teacher, n=7, seed=8)
    both = Examples(tmp_path / "one", tmp_path / "other")
    assert both.counts == (5, 7)
    for i in range(12):
        source, number = (one, i) if i < 5 else (other, i - 5)
        assert both.examples[i].tokens == source.examples[number].tokens
        assert np.array_equal(both.audio(i), source.audio(number))
        assert np.array_equal(both.hidden(i), source.hidden(number))
    # No passage and no run of speech of one folder is taken for one of the other.
    assert len({e.passage for e in both.examples}) == 12
    assert {e.run for e in both.examples[:5]}.isdisjoint(e.run for e in both.examples[5:])
    assert Examples(tmp_path / "one", tmp_path / "other", limits=(2, 3)).counts == (2, 3)


def test_folders_of_two_teachers_cannot_train_one_student(teacher, tmp_path):
    write_examples(tmp_path / "one", teacher, n=2)
    write_examples(tmp_path / "other", small_teacher(seed=1), n=2)
    with pytest.raises(UsageError, match="differ in their teacher_sha256"):
        Examples(tmp_path / "one", tmp_path / "other")
