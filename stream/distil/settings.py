"""The settings of a training run.

The command line imports this module, so it must not import torch.
"""

from dataclasses import asdict, dataclass
from typing import Annotated, Any, Literal

from cyclopts import Parameter


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingSettings:
    """All settings that the result of a run depends on, besides the student and the examples."""

    steps: int
    """Number of steps of the whole run; can be raised until the learning rate begins to fall."""
    decay_steps: int | None = None
    """Number of last steps, over which the learning rate falls to 0; the default is a quarter."""
    warm_up_steps: int = 50
    """Number of first steps, over which the learning rate rises."""
    learning_rate: float = 5e-4
    """Learning rate of AdamW between warm-up and decay."""
    weight_decay: float = 0.01
    """Weight decay of AdamW, for matrices only."""
    batch: int = 16
    """Examples in a step."""
    dropout: float = 0.05
    """Dropout of the output of each sublayer."""
    noise: float = 0.05
    """Share of input tokens that are replaced; up to twice this share of the audio is masked."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """Precision of products; bfloat16 takes half the time if the processor supports it."""
    max_wer: float = 10.0
    """Word error rate, in percent, above which the label of a passage is not used."""
    held_out: float = 0.02
    """Share of the examples that is held out for validation, as whole runs of speech."""
    seed: int = 0
    """Seed of all random choices."""
    examples: Annotated[tuple[int, ...], Parameter(parse=False)] = ()
    """Number of examples of each folder that the run uses; a folder can have more by now."""

    @property
    def fixed(self) -> dict[str, Any]:
        """All settings but the length of the run, which can be changed until the decay begins."""
        return {k: v for k, v in asdict(self).items() if k not in ("steps", "decay_steps")}

    @property
    def first_decay_step(self) -> int:
        """The first step with a falling learning rate, counted from 0."""
        return self.steps - (self.steps // 4 if self.decay_steps is None else self.decay_steps)

    def rate(self, step: int) -> float:
        """Return the learning rate of a step; steps count from 0."""
        rising = (step + 1) / max(self.warm_up_steps, 1)
        falling = (self.steps - step) / max(self.steps - self.first_decay_step, 1)
        return self.learning_rate * min(1.0, rising, falling)
