"""Steps of training: a student's decoder layers, and all that a run needs to go on exactly.

Gandhi et al. (arXiv:2311.00430, appendix A): AdamW, a linear warm-up, a linear decay, gradients
clipped. Between warm-up and decay the rate stays, so that a run may be prolonged before its decay
has begun. There is no dropout and the order of examples depends on the seed and the pass, so a
step's number, the weights and AdamW's moments are all of a run's state.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from stream.distil.batches import Batch, batches_of_pass, read_batch
from stream.distil.examples import ExampleFolder
from stream.distil.loss import Judgement, distillation_loss
from stream.distil.teacher_forcing import hidden_states
from stream.engine.dims import WhisperDims
from stream.engine.students import LAYERS
from stream.engine.whisper import CrossAttention, SelfAttention, Whisper, fuse_projections
from stream.errors import UsageError

BETAS = (0.9, 0.98)
CLIP_NORM = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingSettings:
    """What a run's numbers depend on, besides the student and the examples."""

    steps: int
    """In all."""
    examples: int
    """How many of the folder's are known to the run: it may hold more by now."""
    decay_steps: int
    """The last ones, over which the rate falls to nought."""
    warm_up_steps: int = 50
    learning_rate: float = 5e-4
    weight_decay: float = 0.01
    batch: int = 16
    """Examples."""
    precision: str = "float32"
    """What is multiplied in; the weights are float32 in any case."""
    max_wer: float = 10.0
    """Percent: a passage whose label is further from its reference is not learnt from."""
    held_out: float = 0.02
    """Part of the runs of speech that is kept for validation."""
    seed: int = 0

    @property
    def fixed(self) -> dict[str, Any]:
        """All but the length of the run, which may be changed as long as no decay has begun."""
        return {k: v for k, v in asdict(self).items() if k not in ("steps", "decay_steps")}

    def rate(self, step: int) -> float:
        """The learning rate of a step, which are counted from 0."""
        rising = (step + 1) / max(self.warm_up_steps, 1)
        falling = (self.steps - step) / max(self.decay_steps, 1)
        return self.learning_rate * min(1.0, rising, falling)


@dataclass(frozen=True, slots=True)
class Step:
    """What a step did."""

    number: int
    """From 1."""
    judgement: Judgement
    gradient_norm: float
    """Before it was clipped."""


class Trainer:
    """A student on its way."""

    def __init__(
        self,
        student: Whisper,
        folder: ExampleFolder,
        chosen: tuple[int, ...],
        settings: TrainingSettings,
    ) -> None:
        """Make the student's layers learn; nothing else of it does.

        Args:
            student: as `student_of` makes it.
            folder: of examples.
            chosen: the examples to learn from.
            settings: of the run.
        """
        self.student = student
        self.folder = folder
        self.chosen = chosen
        self.settings = settings
        self.done = 0
        """Steps."""
        self.layers = student.decoder.layers.requires_grad_(True)
        self.optimizer = torch.optim.AdamW(
            parameter_groups(self.layers, settings.weight_decay), betas=BETAS, fused=True
        )
        dtype = torch.bfloat16 if settings.precision == "bfloat16" else torch.float32
        self.projection = student.decoder.embed_tokens.weight.detach().to(dtype)
        self._lengths = [folder.examples[i].n_positions for i in chosen]
        self._batches = cache(
            lambda number: batches_of_pass(self._lengths, settings.batch, settings.seed, number)
        )

    @property
    def steps_a_pass(self) -> int:
        """Steps that it takes to learn once from every example."""
        return -(-len(self.chosen) // self.settings.batch)

    def steps(self) -> Iterator[Step]:
        """Take the steps that are left."""
        while self.done < self.settings.steps:
            number, at = divmod(self.done, self.steps_a_pass)
            rows = self._batches(number)[at]
            yield self.step(read_batch(self.folder, [self.chosen[i] for i in rows]))

    def step(self, batch: Batch) -> Step:
        """Learn from a batch."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.settings.rate(self.done)
        batch = batch.to(str(self.student.device))
        loss, judgement = self.judge(batch)
        loss.backward()  # type: ignore[no-untyped-call]
        still_keys(self.layers)
        norm = nn.utils.clip_grad_norm_(self.layers.parameters(), CLIP_NORM)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.done += 1
        return Step(self.done, judgement, float(norm))

    def judge(self, batch: Batch) -> tuple[Tensor, Judgement]:
        """Return the loss of a batch, with its gradient."""
        coarse = self.settings.precision == "bfloat16"
        with torch.autocast(self.student.device.type, torch.bfloat16, enabled=coarse):
            states = hidden_states(
                self.student.decoder, batch.tokens, batch.audio, batch.n_positions, batch.skip
            )  # (batch, n_tokens - skip, d_model)
        return distillation_loss(states[batch.real], batch.teacher, batch.targets, self.projection)

    def save(self, path: Path) -> None:
        """Write all of the run's state; whoever is killed half way leaves the old file."""
        tensors = {f"weights/{name}": p.detach() for name, p in self.layers.named_parameters()}
        for name, p in self.layers.named_parameters():
            moments = self.optimizer.state[p]
            tensors[f"mean/{name}"] = moments["exp_avg"]
            tensors[f"square/{name}"] = moments["exp_avg_sq"]
        state = {"step": str(self.done), "settings": json.dumps(asdict(self.settings))}
        scratch = path.with_suffix(".part")
        save_file(tensors, scratch, metadata=state)
        scratch.replace(path)

    def load(self, path: Path) -> None:
        """Go on where a saved run ends.

        Raises:
            UsageError: it was another run, or its rate has begun to fall for another end.
        """
        with safe_open(path, "pt", device=str(self.student.device)) as file:
            theirs, ours = saved_settings(path), self.settings
            done = int(file.metadata()["step"])
            if theirs.fixed != ours.fixed:
                changed = [k for k, v in ours.fixed.items() if theirs.fixed[k] != v]
                raise UsageError(
                    f"{path.parent} is a run of other settings ({', '.join(changed)}); "
                    "name another folder."
                )
            if theirs != ours and done > min(t.steps - t.decay_steps for t in (theirs, ours)):
                raise UsageError(
                    f"{path.parent} has begun to lower its rate towards step {theirs.steps}; "
                    "let it end there, or train its student anew in another folder."
                )
            with torch.no_grad():
                for name, p in self.layers.named_parameters():
                    p.copy_(file.get_tensor(f"weights/{name}"))
                    self.optimizer.state[p] = {
                        "step": torch.tensor(float(done)),
                        "exp_avg": file.get_tensor(f"mean/{name}"),
                        "exp_avg_sq": file.get_tensor(f"square/{name}"),
                    }
        self.done = done


def saved_settings(path: Path) -> TrainingSettings:
    """Return the settings of a saved run."""
    with safe_open(path, "pt") as file:
        return TrainingSettings(**json.loads(file.metadata()["settings"]))


def student_of(teacher: Whisper, layers: Mapping[str, Tensor], dims: WhisperDims) -> Whisper:
    """Build a student in float32 that has everything but its decoder layers in common with another.

    Args:
        teacher: in float32.
        layers: the student's decoder layers by transformers' names.
        dims: of the student.
    """
    with torch.device("meta"):
        student = Whisper(dims)
    student.encoder = teacher.encoder
    for shared in ("embed_tokens", "embed_positions", "layer_norm", "project"):
        setattr(student.decoder, shared, getattr(teacher.decoder, shared))
    # A copy, for what is learnt must not reach the teacher whose layers these once were.
    own = {name: t.to(teacher.device, torch.float32, copy=True) for name, t in layers.items()}
    fused = fuse_projections({**own, "model.decoder.embed_tokens.weight": torch.empty(0)})
    prefix = LAYERS.removeprefix("model.")
    student.decoder.layers.load_state_dict(
        {n.removeprefix(prefix): t for n, t in fused.items() if n.startswith(prefix)}, assign=True
    )
    return student.eval()


def parameter_groups(layers: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Matrices decay, biases and norms do not."""
    parameters = list(layers.parameters())
    return [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]


def still_keys(layers: nn.Module) -> None:
    """Keep the bias of keys at nought, which Whisper has not and our fused projections have.

    It adds the same to a query's every score and so changes nothing: its gradient is noise.
    """
    for module in layers.modules():
        if isinstance(module, (SelfAttention, CrossAttention)):
            fused, part = (module.qkv, 1) if isinstance(module, SelfAttention) else (module.kv, 0)
            assert fused.bias.grad is not None
            d_model = fused.in_features
            fused.bias.grad[part * d_model : (part + 1) * d_model] = 0
