"""Makes pseudo-labels: the teacher's transcript of each window, with the tensors for training.

As in Gandhi et al. (arXiv:2311.00430, section 3.2), the teacher's transcript is the target, since
its style is consistent and it has punctuation and case. Windows are encoded and decoded in batches
by the server's decode loop.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from stream.core.audio import SAMPLE_RATE
from stream.distil.cuts import cut_of, encoded_samples, read_cut
from stream.distil.examples import Example, LabelRecipe, appending
from stream.distil.passages import Passage
from stream.distil.teacher_forcing import hidden_states
from stream.engine.checkpoints.checkpoint import Checkpoint
from stream.engine.decoding.loop import DecodeRequest, DecodeResult, decode, opening_tokens
from stream.engine.decoding.rows import ragged
from stream.engine.network.choosing import choose_ways
from stream.engine.network.features import log_mel
from stream.engine.network.quantization import quantise
from stream.engine.network.ways import make, requested_ways
from stream.engine.network.whisper import Whisper
from stream.engine.recognizer import (
    EXTRA_TOKENS,
    OPENING_TOKENS,
    PAST_SPEECH_SLACK,
    TOKENS_PER_S,
)
from stream.engine.words.alignment import SAMPLES_PER_POSITION
from stream.evaluate.material.mixing import seeded_rng
from stream.evaluate.measures.scoring import word_errors

CHUNK = 64
"""Windows that are read together and sorted by length before they are divided into batches."""


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """A window to label."""

    number: int
    """Index of the passage in the manifest."""
    run: int
    variant: int
    samples: NDArray[np.float32]
    """(n_samples,) of speech, without the silence after it."""
    n_encoded: int
    """Samples that are encoded, silence included."""
    reference: str | None
    """Reference text of exactly this window, if it is known."""


def checksum(state: dict[str, Tensor]) -> str:
    """Return the SHA-256 of weights in the order of their names."""
    digest = hashlib.sha256()
    for name in sorted(state):
        digest.update(state[name].contiguous().view(torch.uint8).numpy().data)
    return digest.hexdigest()


def recipe_of(
    teacher: Checkpoint,
    manifest: Path,
    *,
    language: str = "en",
    timestamps: bool = False,
    seed: int = 0,
    precision: str = "float32",
) -> LabelRecipe:
    """Return the recipe with which a teacher labels a manifest."""
    request = DecodeRequest(0, timestamps=timestamps)
    return LabelRecipe(
        teacher=teacher.name,
        teacher_sha256=checksum(teacher.state),
        manifest_sha256=hashlib.sha256(manifest.read_bytes()).hexdigest(),
        d_model=teacher.dims.d_model,
        opening=tuple(
            opening_tokens(teacher.vocabulary, request, language, teacher.dims.max_tokens)
        ),
        end_of_text=teacher.vocabulary.end_of_text,
        seed=seed,
        precision=precision,
    )


def as_served(model: Whisper, *, encoder: bool) -> Whisper:
    """Return the model as the server runs it: on the CPU with int8 kernels, otherwise unchanged.

    The layers that are not quantised are shared with `model`.

    Args:
        model: the model, in float32.
        encoder: whether to quantise the encoder as well.
    """
    if model.device.type != "cpu":
        return model
    with torch.device("meta"):
        served = Whisper(model.dims)
    share(model, served)
    ways = requested_ways(None) or choose_ways(model.encoder, model.decoder).ways
    if encoder:
        served.use(ways)
    else:
        quantise(served.decoder, make("decoder_linear", ways))
    return served.eval()


def share(original: nn.Module, other: nn.Module) -> None:
    """Put the layers of a network into another one with the same structure."""
    for name, child in original.named_children():
        if next(child.children(), None) is None:
            setattr(other, name, child)
        else:
            share(child, getattr(other, name))


class Labeller:
    """A teacher that labels batches of windows."""

    def __init__(
        self, teacher: Checkpoint, recipe: LabelRecipe, language: str = "en", device: str = "cpu"
    ) -> None:
        """Build the teacher in float32; its encoder computes in `recipe.precision`."""
        self.model = Whisper.from_checkpoint(teacher, device, "float32")
        self.served = as_served(self.model, encoder=recipe.precision == "int8")
        self.vocabulary = teacher.vocabulary
        self.tokenizer = teacher.tokenizer
        self.alignment_heads = teacher.alignment_heads
        self.recipe = recipe
        self.language = language
        self.timestamps = teacher.vocabulary.no_timestamps not in recipe.opening

    @torch.inference_mode()
    def label(self, jobs: Sequence[Job]) -> list[tuple[Example, Tensor, Tensor]]:
        """Transcribe windows; return the arguments of `ExampleWriter.write` for each.

        They are the example, the encoder's output (n_positions, d_model) and the teacher's hidden
        states (n_targets, d_model).
        """
        audio, n_positions = self._encode(jobs)
        results = decode(
            self.served,
            self.vocabulary,
            audio,
            n_positions,
            [self._request(job) for job in jobs],
            self.alignment_heads,
        )
        tokens, _ = ragged([[*self.recipe.opening, *result.tokens] for result in results])
        skip = len(self.recipe.opening) - 1
        hidden = hidden_states(
            self.model.decoder, tokens.to(self.model.device), audio, n_positions, skip
        )  # (batch, n_targets, d_model)
        return [
            (self._example(job, result, n), row[:n], states[: len(result.tokens) + 1])
            for job, result, n, row, states in zip(
                jobs, results, n_positions.tolist(), audio, hidden, strict=True
            )
        ]

    def _encode(self, jobs: Sequence[Job]) -> tuple[Tensor, Tensor]:
        """Return the encoder's output, rounded to float16, and the real positions (batch,)."""
        mels = []
        for job in jobs:
            padded = np.zeros(-(-job.n_encoded // SAMPLES_PER_POSITION) * SAMPLES_PER_POSITION)
            padded[: len(job.samples)] = job.samples[: len(padded)]
            mels.append(log_mel(torch.from_numpy(padded).float(), self.model.dims.n_mels))
        n_frames = torch.tensor([mel.shape[1] for mel in mels])
        if self.recipe.precision == "int8":  # row by row, as the server does
            pairs = zip(mels, n_frames, strict=True)
            rows = [self.served.encode(mel[None], n[None])[0] for mel, n in pairs]
            return pad_sequence(rows, batch_first=True).half().float(), (n_frames + 1) // 2
        batch = torch.zeros(len(mels), self.model.dims.n_mels, int(n_frames.max()))
        for row, mel in zip(batch, mels, strict=True):
            row[:, : mel.shape[1]] = mel
        coarse = self.recipe.precision == "bfloat16"
        with torch.autocast(self.model.device.type, torch.bfloat16, enabled=coarse):
            audio = self.model.encode(batch, n_frames)  # (batch, n_positions, d_model)
        return audio.half().float(), (n_frames + 1) // 2

    def _request(self, job: Job) -> DecodeRequest:
        """Return the decode request that the server would make for a window."""
        budget = EXTRA_TOKENS + TOKENS_PER_S * len(job.samples) // SAMPLE_RATE
        return DecodeRequest(
            max_new_tokens=min(budget, self.model.dims.max_tokens // 2 - OPENING_TOKENS),
            language=self.language,
            timestamps=self.timestamps,
            speech_positions=len(job.samples) // SAMPLES_PER_POSITION + PAST_SPEECH_SLACK,
        )

    def _example(self, job: Job, result: DecodeResult, n_positions: int) -> Example:
        """Return the example of a window."""
        end = self.vocabulary.end_of_text
        spoken = [token for token in result.tokens if token < end]
        text = str(self.tokenizer.decode(spoken)).strip()
        errors = None if job.reference is None else word_errors(job.reference, text)
        return Example(
            passage=job.number,
            run=job.run,
            variant=job.variant,
            n_positions=n_positions,
            tokens=result.tokens,
            ending=result.ending.value,
            mean_log_probability=round(result.mean_log_probability, 4),
            text=text,
            words=None if errors is None else errors.words,
            errors=None if errors is None else errors.errors,
        )


def label_passages(
    passages: Sequence[Passage],
    labeller: Labeller,
    folder: Path,
    variants: int,
    batch: int,
) -> Iterator[int]:
    """Label all variants of all passages that the folder lacks, and add them to the folder.

    Yields the number of windows labelled so far, first that of the folder as it is.
    The first variant of all passages comes first, so that even an incomplete folder has all
    speakers.

    Args:
        passages: the passages of the manifest.
        labeller: the teacher.
        folder: folder of examples, which may be incomplete or new.
        variants: number of windows for each passage.
        batch: windows that are transcribed at once.
    """
    everything = [(v, i) for v in range(variants) for i in range(len(passages))]
    with appending(folder, labeller.recipe) as (writer, done):
        yield done
        for first in range(done, len(everything), CHUNK):
            chunk = everything[first : first + CHUNK]
            jobs = [read_job(passages[i], i, v, labeller.recipe.seed) for v, i in chunk]
            by_length = sorted(range(len(jobs)), key=lambda k: jobs[k].n_encoded)
            labelled: dict[int, tuple[Example, Tensor, Tensor]] = {}
            for at in range(0, len(jobs), batch):
                chosen = by_length[at : at + batch]
                labels = labeller.label([jobs[k] for k in chosen])
                labelled.update(zip(chosen, labels, strict=True))
                yield first + len(labelled)
            for k in range(len(jobs)):
                writer.write(*labelled[k])


def read_job(passage: Passage, number: int, variant: int, seed: int) -> Job:
    """Read the audio of a variant of a passage, changed as its cut describes."""
    cut = cut_of(passage, number, variant, seed)
    samples = read_cut(passage, cut, seeded_rng(seed, f"{number}-{variant}", "sound"))
    is_whole = variant == 0 and cut.end_s == passage.end_s
    return Job(
        number=number,
        run=passage.run,
        variant=variant,
        samples=samples,
        n_encoded=encoded_samples(len(samples), cut.silence_s),
        reference=passage.text if is_whole else None,
    )
