"""Steps of training: a student's decoder layers, and all that a run needs to go on exactly.

Gandhi et al. (arXiv:2311.00430, appendix A): AdamW, a linear warm-up, a linear decay, gradients
clipped. Between warm-up and decay the rate stays, so that a run may be prolonged before its decay
has begun. All chance of a step depends on the seed and its number, and the order of examples on the
seed and the pass, so a step's number, the weights and AdamW's moments are all of a run's state.
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

from stream.distil.batches import Batch, batches_of_pass, read_batch, spoilt
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
"""Tokens whose logits are computed in every step, and those drawn of all others."""


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
        examples: Examples,
        chosen: tuple[int, ...],
        settings: TrainingSettings,
    ) -> None:
        """Make the student's layers learn; nothing else of it does.

        Args:
            student: as `student_of` makes it.
            examples: that there are.
            chosen: those to learn from.
            settings: of the run.
        """
        self.student = student
        self.examples = examples
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
        said = Counter(token for i in chosen for token in examples.examples[i].tokens)
        self.likely = torch.tensor([token for token, _ in said.most_common(LIKELY)])
        self._lengths = [examples.examples[i].n_positions for i in chosen]
        self._batches = cache(
            lambda number: batches_of_pass(self._lengths, settings.batch, settings.seed, number)
        )

    @property
    def steps_a_pass(self) -> int:
        """Steps that it takes to learn once from every example."""
        return -(-len(self.chosen) // self.settings.batch)

    @property
    def passes(self) -> float:
        """Over the examples, so far."""
        return self.done / self.steps_a_pass

    def steps(self) -> Iterator[Step]:
        """Take the steps that are left."""
        while self.done < self.settings.steps:
            number, at = divmod(self.done, self.steps_a_pass)
            rows = self._batches(number)[at]
            yield self.step(read_batch(self.examples, [self.chosen[i] for i in rows]))

    def step(self, batch: Batch) -> Step:
        """Learn from a batch, which is on the CPU."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.settings.rate(self.done)
        torch.manual_seed(chance := hash((self.settings.seed, self.done)))  # of the dropout
        generator = torch.Generator().manual_seed(chance)
        certain = torch.cat([self.likely, batch.targets])
        candidates = draw_candidates(certain, len(self.projection), DRAWN, generator)
        spoilt_batch = spoilt(batch, self.settings.noise, generator)
        loss, judgement = self.judge(spoilt_batch, candidates, self.settings.dropout)
        loss.backward()  # type: ignore[no-untyped-call]
        still_keys(self.layers)
        norm = nn.utils.clip_grad_norm_(self.layers.parameters(), CLIP_NORM)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.done += 1
        return Step(self.done, judgement, float(norm))

    def judge(
        self, batch: Batch, candidates: Candidates | None = None, dropout: float = 0.0
    ) -> tuple[Tensor, Judgement]:
        """Return the loss of a batch, with its gradient: among all tokens, or these."""
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
            if theirs != ours and done > min(theirs.first_decay_step, ours.first_decay_step):
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
        found = json.loads(file.metadata()["settings"])
        return TrainingSettings(**{**found, "examples": tuple(found["examples"])})


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
