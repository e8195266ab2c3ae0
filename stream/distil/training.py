"""Trains a student's decoder layers step by step, and saves the state to continue a run exactly.

As in Gandhi et al. (arXiv:2311.00430, appendix A): AdamW, a linear warm-up, a linear decay, clipped
gradients. Between warm-up and decay the learning rate is constant, so that a run can be prolonged
until its decay begins. The random numbers of a step depend only on the seed and the step's number,
the order of examples only on the seed and the pass. So the state of a run consists of the step's
number, the weights and the moments of AdamW.
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from stream.distil.batches import Batch, batches_of_pass, corrupted, read_batch
from stream.distil.examples import Examples
from stream.distil.loss import Judgement, distillation_loss
from stream.distil.sampled_softmax import Candidates, all_candidates, draw_candidates
from stream.distil.settings import TrainingSettings
from stream.distil.teacher_forcing import hidden_states
from stream.engine.checkpoints.dims import WhisperDims
from stream.engine.checkpoints.students import LAYERS
from stream.engine.network.layers import CrossAttention, SelfAttention
from stream.engine.network.whisper import Whisper, fuse_projections
from stream.errors import UsageError

BETAS = (0.9, 0.98)
CLIP_NORM = 1.0
LIKELY, DRAWN = 8192, 2048
"""Number of frequent tokens whose logits are computed in every step, and of others drawn at
random."""


@dataclass(frozen=True, slots=True)
class Step:
    """The figures of a step."""

    number: int
    """Number of the step, from 1."""
    judgement: Judgement
    gradient_norm: float
    """Norm of the gradient before it was clipped."""


class Trainer:
    """Trains the decoder layers of a student."""

    def __init__(
        self,
        student: Whisper,
        examples: Examples,
        chosen: tuple[int, ...],
        settings: TrainingSettings,
    ) -> None:
        """Start before the first step; only the student's decoder layers are trained.

        Args:
            student: made by `student_of`.
            examples: all examples.
            chosen: indices of the examples to train on.
            settings: settings of the run.
        """
        self.student = student
        self.examples = examples
        self.chosen = chosen
        self.settings = settings
        self.done = 0
        """Number of steps so far."""
        self.layers = student.decoder.layers.requires_grad_(True)
        self.optimizer = torch.optim.AdamW(
            parameter_groups(self.layers, settings.weight_decay), betas=BETAS, fused=True
        )
        dtype = torch.bfloat16 if settings.precision == "bfloat16" else torch.float32
        self.projection = student.decoder.embed_tokens.weight.detach().to(dtype)
        counts = Counter(token for i in chosen for token in examples.examples[i].tokens)
        self.likely = torch.tensor([token for token, _ in counts.most_common(LIKELY)])
        self._lengths = [examples.examples[i].n_positions for i in chosen]
        self._batches = cache(
            lambda number: batches_of_pass(self._lengths, settings.batch, settings.seed, number)
        )

    @property
    def steps_a_pass(self) -> int:
        """Number of steps in a pass over the examples."""
        return -(-len(self.chosen) // self.settings.batch)

    @property
    def passes(self) -> float:
        """Number of passes over the examples so far."""
        return self.done / self.steps_a_pass

    def steps(self) -> Iterator[Step]:
        """Run the remaining steps, and yield each."""
        while self.done < self.settings.steps:
            number, at = divmod(self.done, self.steps_a_pass)
            rows = self._batches(number)[at]
            yield self.step(read_batch(self.examples, [self.chosen[i] for i in rows]))

    def step(self, batch: Batch) -> Step:
        """Run a step with a batch, which is on the CPU."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.settings.rate(self.done)
        seed = hash((self.settings.seed, self.done))
        torch.manual_seed(seed)  # for dropout
        generator = torch.Generator().manual_seed(seed)
        certain = torch.cat([self.likely, batch.targets])
        candidates = draw_candidates(certain, len(self.projection), DRAWN, generator)
        noisy = corrupted(batch, self.settings.noise, generator)
        loss, judgement = self.judge(noisy, candidates, self.settings.dropout)
        loss.backward()  # type: ignore[no-untyped-call]
        clear_key_bias_gradients(self.layers)
        norm = nn.utils.clip_grad_norm_(self.layers.parameters(), CLIP_NORM)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.done += 1
        return Step(self.done, judgement, float(norm))

    def judge(
        self, batch: Batch, candidates: Candidates | None = None, dropout: float = 0.0
    ) -> tuple[Tensor, Judgement]:
        """Return the differentiable loss of a batch, and its parts.

        Args:
            batch: the batch, on the CPU.
            candidates: tokens whose logits are computed; None for all.
            dropout: dropout of each sublayer.
        """
        batch = batch.to(str(self.student.device))
        coarse = self.settings.precision == "bfloat16"
        with torch.autocast(self.student.device.type, torch.bfloat16, enabled=coarse):
            states = hidden_states(
                self.student.decoder,
                batch.tokens,
                batch.audio,
                batch.n_positions,
                batch.skip,
                dropout,
            )  # (batch, n_tokens - skip, d_model)
        return distillation_loss(
            states[batch.real],
            batch.teacher,
            batch.targets,
            self.projection,
            candidates or all_candidates(len(self.projection)),
        )

    def save(self, path: Path) -> None:
        """Write the state of the run atomically: if the process is killed, the old file remains."""
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
        """Continue from a saved state.

        Raises:
            UsageError: the saved run has other settings, or another length and its decay has begun.
        """
        with safe_open(path, "pt", device=str(self.student.device)) as file:
            theirs, ours = saved_settings(path), self.settings
            done = int(file.metadata()["step"])
            if theirs.fixed != ours.fixed:
                changed = [k for k, v in ours.fixed.items() if theirs.fixed[k] != v]
                raise UsageError(
                    f"{path.parent} is a run with other settings ({', '.join(changed)}); "
                    "name another folder."
                )
            if theirs != ours and done > min(theirs.first_decay_step, ours.first_decay_step):
                raise UsageError(
                    f"{path.parent} has begun to lower its learning rate towards step "
                    f"{theirs.steps}; use this number of steps, or train its student in another "
                    "folder."
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
        found = json.loads(file.metadata()["settings"])
        return TrainingSettings(**{**found, "examples": tuple(found["examples"])})


def student_of(teacher: Whisper, layers: Mapping[str, Tensor], dims: WhisperDims) -> Whisper:
    """Build a student in float32 that shares everything but its decoder layers with its teacher.

    Args:
        teacher: the teacher, in float32.
        layers: weights of the student's decoder layers, by transformers' names.
        dims: sizes of the student.
    """
    with torch.device("meta"):
        student = Whisper(dims)
    student.encoder = teacher.encoder
    for shared in ("embed_tokens", "embed_positions", "layer_norm", "project"):
        setattr(student.decoder, shared, getattr(teacher.decoder, shared))
    # `layers` may hold tensors of the teacher; training must not change them, so they are copied.
    own = {name: t.to(teacher.device, torch.float32, copy=True) for name, t in layers.items()}
    fused = fuse_projections({**own, "model.decoder.embed_tokens.weight": torch.empty(0)})
    prefix = LAYERS.removeprefix("model.")
    student.decoder.layers.load_state_dict(
        {n.removeprefix(prefix): t for n, t in fused.items() if n.startswith(prefix)}, assign=True
    )
    return student.eval()


def parameter_groups(layers: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Return AdamW's parameter groups: weight decay for matrices, none for biases and norms."""
    parameters = list(layers.parameters())
    return [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]


def clear_key_bias_gradients(layers: nn.Module) -> None:
    """Set the gradient of the keys' bias to 0, so that the bias stays 0.

    Whisper has no such bias, but our fused projections do. It adds the same number to all scores of
    a query and so has no effect: its gradient is only noise.
    """
    for module in layers.modules():
        if isinstance(module, (SelfAttention, CrossAttention)):
            fused, part = (module.qkv, 1) if isinstance(module, SelfAttention) else (module.kv, 0)
            assert fused.bias.grad is not None
            d_model = fused.in_features
            fused.bias.grad[part * d_model : (part + 1) * d_model] = 0
