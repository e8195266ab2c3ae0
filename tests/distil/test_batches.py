import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from stream.distil.batches import batches_of_pass, corrupted, read_batch
from tests.distil.small import small_teacher, write_examples


@given(
    lengths=st.lists(st.integers(1, 1500), max_size=90),
    batch=st.integers(1, 9),
    seed=st.integers(0, 3),
    number=st.integers(0, 5),
)
def test_an_epoch_uses_every_row_once(lengths, batch, seed, number):
    batches = batches_of_pass(lengths, batch, seed, number)
    assert sorted(i for rows in batches for i in rows) == list(range(len(lengths)))
    assert len(batches) == -(-len(lengths) // batch)
    assert batches == batches_of_pass(lengths, batch, seed, number)


def test_each_pass_is_in_another_order_and_rows_of_a_length_are_together():
    lengths = np.random.default_rng(0).integers(1, 1500, 400).tolist()
    first, second = (batches_of_pass(lengths, 8, 0, number) for number in (0, 1))
    assert first != second
    spread = [max(lengths[i] for i in rows) - min(lengths[i] for i in rows) for rows in first]
    assert np.mean(spread) < 150
    assert sorted(map(sorted, first)) != sorted(map(sorted, second))


@pytest.mark.slow
def test_targets_and_inputs_are_aligned(tmp_path):
    teacher = small_teacher()
    folder = write_examples(tmp_path, teacher, n=6)
    batch = read_batch(folder, (4, 1, 3))
    opening, end = list(folder.recipe.opening), folder.recipe.end_of_text
    at = 0
    for row, i in enumerate((4, 1, 3)):
        example = folder.examples[i]
        n = example.n_targets
        assert batch.tokens[row, : len(opening) + n - 1].tolist() == [*opening, *example.tokens]
        assert batch.real[row].sum() == n
        assert batch.targets[at : at + n].tolist() == [*example.tokens, end]
        hidden = torch.from_numpy(folder.hidden(i).astype(np.float32))
        assert torch.equal(batch.teacher[at : at + n], hidden)
        assert batch.n_positions[row] == example.n_positions
        assert not batch.audio[row, example.n_positions :].any()
        at += n
    assert batch.skip == len(opening) - 1
    assert batch.real.shape == (3, batch.tokens.shape[1] - batch.skip)


@pytest.mark.slow
def test_inputs_are_corrupted_and_targets_are_not(tmp_path):
    folder = write_examples(tmp_path, small_teacher(), n=24)
    batch = read_batch(folder, range(24))
    opening = batch.skip + 1
    one, other = (corrupted(batch, 0.3, torch.Generator().manual_seed(4)) for _ in range(2))
    assert torch.equal(one.tokens, other.tokens)
    assert torch.equal(one.audio, other.audio)
    assert torch.equal(one.tokens[:, :opening], batch.tokens[:, :opening])
    changed = (one.tokens != batch.tokens)[:, opening:]
    assert 0.1 < changed[batch.real[:, 1:]].float().mean() < 0.4
    assert one.audio.shape[1] < batch.audio.shape[1]
    for row, n, whole in zip(one.audio, one.n_positions, batch.audio, strict=True):
        assert n > 0
        assert all((position == whole).all(1).any() for position in row[:n])
        assert not row[n:].any()
    assert torch.equal(one.targets, batch.targets)
    assert torch.equal(one.teacher, batch.teacher)


def test_nothing_is_corrupted_without_noise(tmp_path):
    batch = read_batch(write_examples(tmp_path, small_teacher(), n=6), range(6))
    same = corrupted(batch, 0.0, torch.Generator().manual_seed(0))
    assert torch.equal(same.tokens, batch.tokens)
    assert torch.equal(same.audio, batch.audio)
    assert torch.equal(same.n_positions, batch.n_positions)
