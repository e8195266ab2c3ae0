"""Validates a student on held-out examples: alone, and as an assistant of its teacher."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from stream.distil.batches import read_batch
from stream.distil.examples import Examples
from stream.distil.loss import Judgement
from stream.distil.training import Trainer
from stream.engine.checkpoints.checkpoint import Checkpoint
from stream.engine.decoding.assistant import MOST_ROWS, Assistant
from stream.engine.decoding.loop import DecodeRequest, decode
from stream.engine.decoding.rows import DecodeResult
from stream.engine.network.whisper import Whisper
from stream.evaluate.measures.scoring import WordErrors, word_errors

DECODED = 48
"""Number of windows that are decoded; the loss is computed for all."""
BATCH = 16


@dataclass(frozen=True, slots=True)
class Validation:
    """The figures of a validation after a step."""

    step: int
    loss: float
    agreement: float
    """Percent of the teacher's tokens that the student predicts, given the tokens before."""
    word_error_rate: float
    """Percent, of the student alone against the teacher's text."""
    accepted: float
    """Percent of the drafted tokens that the teacher accepts, with the student as assistant."""
    tokens_a_pass: float
    """Tokens for each decoder pass of the teacher, with the student's drafts."""


@dataclass(frozen=True, slots=True)
class HeldOut:
    """Indices of the examples to train on, and of those that are held out."""

    learnt: tuple[int, ...]
    held_out: tuple[int, ...]


def divide(examples: Examples, selected: Sequence[int], part: float, seed: int) -> HeldOut:
    """Hold out random whole runs of speech with at least the share `part` of the examples.

    A window is within one run, so no held-out audio is in a training example.

    Args:
        examples: all examples.
        selected: indices of the examples to divide.
        part: share of the examples to hold out, 0..1; at least one example is held out.
        seed: seed of the choice.
    """
    sizes = Counter(examples.examples[i].run for i in selected)
    order = np.random.default_rng([seed, 1]).permutation(sorted(sizes)).tolist()
    out: set[int] = set()
    while order and sum(sizes[run] for run in out) < max(1, part * len(selected)):
        out.add(order.pop())
    return HeldOut(
        tuple(i for i in selected if examples.examples[i].run not in out),
        tuple(i for i in selected if examples.examples[i].run in out),
    )


@torch.inference_mode()
def validate(
    trainer: Trainer, teacher: Whisper, checkpoint: Checkpoint, held_out: Sequence[int]
) -> Validation:
    """Compute the loss of all held-out examples, and decode the first `DECODED` of them.

    Args:
        trainer: the student.
        teacher: the network of the teacher, in float32.
        checkpoint: the student's checkpoint, for its vocabulary and tokenizer.
        held_out: indices of the examples.
    """
    examples = trainer.examples
    judged = Judgement()
    by_length = sorted(held_out, key=lambda i: examples.examples[i].n_positions)
    for first in range(0, len(by_length), BATCH):
        batch = read_batch(examples, by_length[first : first + BATCH])
        _, judgement = trainer.judge(batch)
        judged += judgement
    errors = WordErrors()
    results: list[DecodeResult] = []
    decoded = sorted(held_out[:DECODED], key=lambda i: examples.examples[i].n_positions)
    for first in range(0, len(decoded), MOST_ROWS):  # larger batches get no drafts on a CPU
        rows = decoded[first : first + MOST_ROWS]
        alone = decode_rows(trainer.student, None, examples, checkpoint, rows)
        results += decode_rows(teacher, trainer.student, examples, checkpoint, rows)
        for i, result in zip(rows, alone, strict=True):
            errors += word_errors(examples.examples[i].text, text_of(result, checkpoint))
    drafted = sum(result.drafted for result in results)
    return Validation(
        step=trainer.done,
        loss=round(judged.loss, 4),
        agreement=round(judged.agreement, 2),
        word_error_rate=round(errors.rate, 2),
        accepted=round(100 * sum(r.accepted for r in results) / max(drafted, 1), 2),
        tokens_a_pass=round(
            sum(len(r.log_probabilities) for r in results) / sum(r.passes for r in results), 2
        ),
    )


def decode_rows(
    model: Whisper,
    student: Whisper | None,
    examples: Examples,
    checkpoint: Checkpoint,
    rows: Sequence[int],
) -> list[DecodeResult]:
    """Decode examples with a model, with drafts of a student if there is one."""
    batch = read_batch(examples, rows)
    audio = batch.audio.to(model.device)
    return decode(
        model,
        checkpoint.vocabulary,
        audio,
        batch.n_positions,
        [request(examples, i, checkpoint) for i in rows],
        assistant=Assistant(student, audio, batch.n_positions) if student else None,
    )


def request(examples: Examples, row: int, checkpoint: Checkpoint) -> DecodeRequest:
    """Return the request for an example; its limit of tokens bounds the cost of repetitions."""
    return DecodeRequest(
        max_new_tokens=min(
            2 * examples.examples[row].n_targets + 8, checkpoint.dims.max_tokens // 2
        ),
        timestamps=checkpoint.vocabulary.no_timestamps not in examples.recipe.opening,
    )


def text_of(result: DecodeResult, checkpoint: Checkpoint) -> str:
    """Return the text of a decoded row."""
    end = checkpoint.vocabulary.end_of_text
    return str(checkpoint.tokenizer.decode([token for token in result.tokens if token < end]))
