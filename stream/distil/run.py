"""A run of training: from a student and labelled examples to a better student, in a folder.

The folder holds `checkpoint.safetensors` (to go on), `student/` (a model to use, as good as at the
last validation), the journal's two files and `curve.svg`.
"""

import time
from dataclasses import replace
from pathlib import Path

from stream.distil.curve import write_curve
from stream.distil.draft_tokens import draft_tokens
from stream.distil.examples import ExampleFolder
from stream.distil.journal import Journal, mean_progress
from stream.distil.label import checksum
from stream.distil.loss import Judgement
from stream.distil.selection import select
from stream.distil.student import half, save_checkpoint, split_projections
from stream.distil.training import Trainer, TrainingSettings, saved_settings, student_of
from stream.distil.validation import divide, validate
from stream.engine.checkpoints import Checkpoint
from stream.engine.students import LAYERS, with_layers
from stream.engine.whisper import Whisper
from stream.errors import UsageError

CHECKPOINT, STUDENT, CURVE = "checkpoint.safetensors", "student", "curve.svg"
NOTE_EVERY = 20
"""Steps."""


def train(
    teacher: Checkpoint,
    student: Checkpoint,
    examples: Path,
    out: Path,
    settings: TrainingSettings,
    *,
    device: str = "cpu",
    save_every: int = 100,
    validate_every: int = 500,
) -> Journal:
    """Train until the last step, from where the folder `out` ends.

    Raises:
        UsageError: the examples are another teacher's, or `out` is of another run.
    """
    if (out / CHECKPOINT).exists():
        settings = replace(settings, examples=saved_settings(out / CHECKPOINT).examples)
    folder = ExampleFolder(examples, settings.examples or None)
    settings = replace(settings, examples=len(folder.examples))
    if folder.recipe.teacher_sha256 != checksum(teacher.state):
        raise UsageError(f"{examples} was labelled by another {folder.recipe.teacher}.")
    parts = divide(
        folder,
        select(folder.examples, settings.max_wer).kept,
        settings.held_out,
        settings.seed,
    )
    if not parts.learnt:
        raise UsageError(f"{examples} holds nothing to learn from besides what is held out.")
    network = Whisper.from_checkpoint(teacher, device, "float32")
    layers = {name: t for name, t in student.state.items() if name.startswith(LAYERS)}
    trainer = Trainer(student_of(network, layers, student.dims), folder, parts.learnt, settings)
    if (out / CHECKPOINT).exists():
        trainer.load(out / CHECKPOINT)
    journal = Journal(out, trainer.done)

    def check() -> None:
        found = validate(trainer, network, student, parts.held_out)
        journal.note_validation(found, trainer.done / trainer.steps_a_pass)
        save_checkpoint(trained(student, trainer), out / STUDENT)
        write_curve(out / CURVE, journal.validations)

    with journal.shown():
        if not journal.validations:
            check()
        began_s = time.process_time() - journal.cpu_s
        judged, norm, noted = Judgement(), 0.0, trainer.done
        for step in trainer.steps():
            judged += step.judgement
            norm += step.gradient_norm
            last = step.number == settings.steps
            if last or step.number % NOTE_EVERY == 0:
                journal.note(
                    mean_progress(
                        step.number,
                        step.number / trainer.steps_a_pass,
                        judged,
                        settings.rate(step.number - 1),
                        norm / (step.number - noted),
                        time.process_time() - began_s,
                    )
                )
                judged, norm, noted = Judgement(), 0.0, step.number
            if last or step.number % save_every == 0:
                trainer.save(out / CHECKPOINT)
            if last or step.number % validate_every == 0:
                before_s = time.process_time()
                check()
                began_s += time.process_time() - before_s
    return journal


def trained(student: Checkpoint, trainer: Trainer) -> Checkpoint:
    """The student with what it has learnt so far."""
    layers = half(split_projections(trainer.layers.state_dict()))
    likely = draft_tokens(trainer.folder.examples, student.vocabulary)
    return replace(student, state=with_layers(student.state, layers), shortlist=likely)
