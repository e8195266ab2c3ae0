"""What a run of training depends on, besides the student and the examples.

Imported with the command line, so it knows no torch.
"""

from dataclasses import asdict, dataclass
from typing import Annotated, Any, Literal

from cyclopts import Parameter


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingSettings:
    """What a run's numbers depend on."""

    steps: int
    """Batches to learn from, in all; may be raised as long as the rate has not begun to fall."""
    decay_steps: int | None = None
    """The last steps, over which the learning rate falls to nought; a quarter unless told."""
    warm_up_steps: int = 50
    """The first steps, over which the learning rate rises."""
    learning_rate: float = 5e-4
    """Of AdamW, between warm-up and decay."""
    weight_decay: float = 0.01
    """Of AdamW, for matrices."""
    batch: int = 16
    """Examples in a step."""
    dropout: float = 0.05
    """Part of what each layer adds that is left out by chance."""
    noise: float = 0.05
    """Part of the tokens that are replaced, and half of the most that is left out of the audio."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """What is multiplied in: bfloat16 takes half the time where the processor has it."""
    max_wer: float = 10.0
    """Word error rate, in percent, above which the label of a passage is not learnt from."""
    held_out: float = 0.02
    """Part of the runs of speech that is kept for validation."""
    seed: int = 0
    """Of all chance."""
    examples: Annotated[tuple[int, ...], Parameter(parse=False)] = ()
    """How many of each folder's are known to the run: they may hold more by now."""

    @property
    def fixed(self) -> dict[str, Any]:
        """All but the length of the run, which may be changed as long as no decay has begun."""
        return {k: v for k, v in asdict(self).items() if k not in ("steps", "decay_steps")}

    @property
    def first_decay_step(self) -> int:
        """The step from which the rate falls, counted from 0."""
        return self.steps - (self.steps // 4 if self.decay_steps is None else self.decay_steps)

    def rate(self, step: int) -> float:
        """The learning rate of a step, which are counted from 0."""
        rising = (step + 1) / max(self.warm_up_steps, 1)
        falling = (self.steps - step) / max(self.steps - self.first_decay_step, 1)
        return self.learning_rate * min(1.0, rising, falling)
