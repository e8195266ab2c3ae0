"""Trains a student on labelled examples, in a folder.

The folder has `checkpoint.safetensors` (to continue the run), `student/` (the model at the last
validation), the journal's two files and `curve.svg`.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from stream.distil.curve import write_curve
from stream.distil.draft_tokens import draft_tokens
from stream.distil.examples import Examples
from stream.distil.journal import Journal
from stream.distil.label import checksum
from stream.distil.selection import select
from stream.distil.settings import TrainingSettings
from stream.distil.student import half, save_checkpoint, split_projections
from stream.distil.training import Trainer, saved_settings, student_of
from stream.distil.validation import divide, validate
from stream.engine.checkpoints.checkpoint import Checkpoint
from stream.engine.checkpoints.students import LAYERS, with_layers
from stream.engine.network.whisper import Whisper
from stream.errors import UsageError

CHECKPOINT, STUDENT, CURVE = "checkpoint.safetensors", "student", "curve.svg"
NOTE_EVERY = 20
"""Steps from one row of the journal to the next."""


def train(
    teacher: Checkpoint,
    student: Checkpoint,
    folders: Sequence[Path],
    out: Path,
    settings: TrainingSettings,
    *,
    device: str = "cpu",
    save_every: int = 100,
    validate_every: int = 500,
) -> Journal:
    """Train until the last step; continue from the checkpoint in `out`, if there is one.

    Args:
        teacher: the model that labelled the examples.
        student: the student at the start of the run.
        folders: folders of examples.
        out: folder of the run.
        settings: settings of the run.
        device: device of the training.
        save_every: steps from one checkpoint to the next.
        validate_every: steps from one validation to the next.

    Raises:
        UsageError: the examples are those of another teacher, or `out` is that of another run.
    """
    network = Whisper.from_checkpoint(teacher, device, "float32")
    trainer, held_out = prepare(network, checksum(teacher.state), student, folders, out, settings)
    journal = Journal(out, trainer.done)

    def check() -> None:
        with journal.clock_stopped():
            found = validate(trainer, network, student, held_out)
            save_checkpoint(trained(student, trainer), out / STUDENT)
        journal.note_validation(found, trainer.passes)
        write_curve(out / CURVE, journal.validations)

    with journal.shown():
        if not journal.validations:
            check()
        for step in trainer.steps():
            journal.count(step)
            is_last = step.number == settings.steps
            if is_last or step.number % NOTE_EVERY == 0:
                journal.note(step.number, trainer.passes, settings.rate(step.number - 1))
            if is_last or step.number % save_every == 0:
                trainer.save(out / CHECKPOINT)
            if is_last or step.number % validate_every == 0:
                check()
    return journal


def prepare(
    network: Whisper,
    teacher_sha256: str,
    student: Checkpoint,
    folders: Sequence[Path],
    out: Path,
    settings: TrainingSettings,
) -> tuple[Trainer, tuple[int, ...]]:
    """Return a trainer at the checkpoint in `out` or at the start, and the held-out examples.

    Args:
        network: the teacher, in float32.
        teacher_sha256: SHA-256 of the teacher's weights; the examples must have the same.
        student: the student at the start of the run.
        folders: folders of examples.
        out: folder of the run, which may be new.
        settings: settings of the run.

    Raises:
        UsageError: the examples are those of another teacher, all are held out, or `out` is that of
            another run.
    """
    if (out / CHECKPOINT).exists():
        settings = replace(settings, examples=saved_settings(out / CHECKPOINT).examples)
    examples = Examples(*folders, limits=settings.examples)
    settings = replace(settings, examples=examples.counts)
    if examples.recipe.teacher_sha256 != teacher_sha256:
        raise UsageError(
            f"{folders[0]} was labelled by a teacher with other weights "
            f"({examples.recipe.teacher}); label the manifest again."
        )
    selected = select(examples.examples, settings.max_wer).kept
    parts = divide(examples, selected, settings.held_out, settings.seed)
    if not parts.learnt:
        raise UsageError("All examples are held out, so none are left to train on; label more.")
    layers = {name: t for name, t in student.state.items() if name.startswith(LAYERS)}
    trainer = Trainer(student_of(network, layers, student.dims), examples, parts.learnt, settings)
    if (out / CHECKPOINT).exists():
        trainer.load(out / CHECKPOINT)
    return trainer, parts.held_out


def trained(student: Checkpoint, trainer: Trainer) -> Checkpoint:
    """Return the student with the trainer's current weights."""
    layers = half(split_projections(trainer.layers.state_dict()))
    likely = draft_tokens(trainer.examples.examples, student.vocabulary)
    return replace(student, state=with_layers(student.state, layers), shortlist=likely)
