"""A small teacher with random weights, and examples of its nonsense."""

from pathlib import Path

import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace

from stream.distil.examples import Example, Examples, LabelRecipe, appending
from stream.distil.label import checksum
from stream.distil.teacher_forcing import hidden_states
from stream.engine.checkpoints.checkpoint import Checkpoint
from stream.engine.checkpoints.dims import WhisperDims
from stream.engine.checkpoints.vocabulary import Vocabulary
from stream.engine.decoding.rows import ragged
from stream.engine.network.whisper import Whisper

LANGUAGES = ("en", "de")
SPECIAL = (
    "<|endoftext|>",
    "<|startoftranscript|>",
    *(f"<|{code}|>" for code in LANGUAGES),
    "<|translate|>",
    "<|transcribe|>",
    "<|startofprev|>",
    "<|nospeech|>",
    "<|notimestamps|>",
)
WORDS = tuple(f"w{i}" for i in range(40))
DIMS = WhisperDims(
    n_mels=80,
    d_model=32,
    encoder_layers=1,
    encoder_heads=4,
    decoder_layers=4,
    decoder_heads=4,
    encoder_ffn=64,
    decoder_ffn=64,
    vocab_size=len(WORDS) + len(SPECIAL),
    max_positions=1500,
    max_tokens=64,
)
OPENING = ("<|startoftranscript|>", "<|en|>", "<|transcribe|>", "<|notimestamps|>")


def small_tokenizer() -> Tokenizer:
    words = {word: i for i, word in enumerate((*WORDS, *SPECIAL))}
    tokenizer = Tokenizer(WordLevel(words, unk_token="w0"))
    tokenizer.pre_tokenizer = Whitespace()
    return tokenizer


def small_teacher(
    dims: WhisperDims = DIMS,
    seed: int = 0,
    scale: float = 0.2,
    dtype: torch.dtype = torch.float32,
) -> Checkpoint:
    """Transformers' names, random numbers."""
    tokenizer = small_tokenizer()
    settings = {"suppress_tokens": [3, 5], "begin_suppress_tokens": [7, len(WORDS)]}
    return Checkpoint(
        name="small",
        dims=dims,
        state=random_state(dims, seed, scale, dtype),
        tokenizer=tokenizer,
        vocabulary=Vocabulary.from_files(tokenizer, settings, multilingual=True),
        alignment_heads=((1, 0), (3, 2)),
        source="chance",
    )


def random_state(
    dims: WhisperDims, seed: int, scale: float, dtype: torch.dtype
) -> dict[str, torch.Tensor]:
    from transformers import WhisperConfig, WhisperForConditionalGeneration

    from stream.distil.student import transformers_config

    with torch.device("meta"):
        config = WhisperConfig(**transformers_config(dims), pad_token_id=0)
        empty = WhisperForConditionalGeneration(config).state_dict()
    generator = torch.Generator().manual_seed(seed)
    state = {}
    for name, tensor in empty.items():
        if name == "proj_out.weight":
            continue
        if "layer_norm" in name:
            fill = torch.ones if name.endswith("weight") else torch.zeros
            state[name] = fill(tensor.shape, dtype=dtype)
        else:
            state[name] = torch.empty(tensor.shape, dtype=dtype).normal_(
                0, scale, generator=generator
            )
    return state


def small_recipe(teacher: Checkpoint) -> LabelRecipe:
    tokens = [teacher.tokenizer.token_to_id(token) for token in OPENING]
    return LabelRecipe(
        teacher=teacher.name,
        teacher_sha256=checksum(teacher.state),
        manifest_sha256="0",
        d_model=teacher.dims.d_model,
        opening=tuple(tokens),
        end_of_text=teacher.vocabulary.end_of_text,
        seed=0,
        precision="float32",
    )


def write_examples(folder: Path, teacher: Checkpoint, n: int = 24, seed: int = 5) -> Examples:
    """Windows of random sound, of random lengths, with what the teacher might say of them."""
    model = Whisper.from_checkpoint(teacher, "cpu", "float32")
    recipe = small_recipe(teacher)
    generator = torch.Generator().manual_seed(seed)
    with appending(folder, recipe) as (writer, done), torch.inference_mode():
        for i in range(done, n):
            n_positions = 6 + i % 5
            audio = torch.randn((1, n_positions, recipe.d_model), generator=generator).half()
            said = torch.randint(8, 40, (1 + i % 4,), generator=generator).tolist()
            tokens, _ = ragged([[*recipe.opening, *said]])
            states = hidden_states(
                model.decoder,
                tokens,
                audio.float(),
                torch.tensor([n_positions]),
                len(recipe.opening) - 1,
            )
            example = Example(
                passage=i,
                run=i // 2,
                variant=0,
                n_positions=n_positions,
                tokens=tuple(said),
                ending="end of text",
                mean_log_probability=-0.1,
                text=teacher.tokenizer.decode(said),
                words=len(said) if i % 3 else None,
                errors=0 if i % 3 else None,
            )
            writer.write(example, audio[0], states[0])
    return Examples(folder)
