"""How good a student is on speech that it has not learnt from: alone, and as an assistant."""

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
"""Windows that are decoded; all are judged."""
BATCH = 16


@dataclass(frozen=True, slots=True)
class Validation:
    """What was found at a step."""

    step: int
    loss: float
    agreement: float
    """Percent of the teacher's tokens that the student would have said, given those before."""
    word_error_rate: float
    """Percent, of the student alone against what the teacher says."""
    accepted: float
    """Percent of the drafted tokens, as the teacher's assistant."""
    tokens_a_pass: float
    """Tokens said in one pass of the teacher, with the student's drafts."""


@dataclass(frozen=True, slots=True)
class HeldOut:
    """Which examples are learnt from and which are not."""

    learnt: tuple[int, ...]
    held_out: tuple[int, ...]


def divide(examples: Examples, kept: Sequence[int], part: float, seed: int) -> HeldOut:
    """Hold out whole runs of speech, by chance, that have at least this part of the examples.

    No window is of two runs, so none that is learnt from was heard in what is held out.
    """
    sizes = Counter(examples.examples[i].run for i in kept)
    order = np.random.default_rng([seed, 1]).permutation(sorted(sizes)).tolist()
    out: set[int] = set()
    while order and sum(sizes[run] for run in out) < max(1, part * len(kept)):
        out.add(order.pop())
    return HeldOut(
        tuple(i for i in kept if examples.examples[i].run not in out),
        tuple(i for i in kept if examples.examples[i].run in out),
    )


@torch.inference_mode()
def validate(
    trainer: Trainer, teacher: Whisper, checkpoint: Checkpoint, held_out: Sequence[int]
) -> Validation:
    """Judge the student on examples that were held out, and let it speak on some of them."""
    examples = trainer.examples
    judged = Judgement()
    by_length = sorted(held_out, key=lambda i: examples.examples[i].n_positions)
    for first in range(0, len(by_length), BATCH):
        batch = read_batch(examples, by_length[first : first + BATCH])
        _, judgement = trainer.judge(batch)
        judged += judgement
    errors = WordErrors()
    results: list[DecodeResult] = []
    spoken = sorted(held_out[:DECODED], key=lambda i: examples.examples[i].n_positions)
    for first in range(0, len(spoken), MOST_ROWS):  # more have no drafts on a CPU
        rows = spoken[first : first + MOST_ROWS]
        alone = speak(trainer.student, None, examples, checkpoint, rows)
        results += speak(teacher, trainer.student, examples, checkpoint, rows)
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


def speak(
    model: Whisper,
    student: Whisper | None,
    examples: Examples,
    checkpoint: Checkpoint,
    rows: Sequence[int],
) -> list[DecodeResult]:
    """Decode examples, with a student's drafts or without."""
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
    """Ask for about as much as the teacher said: a student that repeats itself costs no more."""
    return DecodeRequest(
        max_new_tokens=min(
            2 * examples.examples[row].n_targets + 8, checkpoint.dims.max_tokens // 2
        ),
        timestamps=checkpoint.vocabulary.no_timestamps not in examples.recipe.opening,
    )


def text_of(result: DecodeResult, checkpoint: Checkpoint) -> str:
    """The words of a row."""
    end = checkpoint.vocabulary.end_of_text
    return str(checkpoint.tokenizer.decode([token for token in result.tokens if token < end]))
