"""The ids of a Whisper model's special tokens.

They differ among models (English-only models have one token less, large-v3 one more), so they are
read from the tokenizer and the generation settings.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from tokenizers import Tokenizer

from stream.errors import CheckpointError

SECONDS_PER_TIMESTAMP = 0.02
"""Time from one timestamp token to the next."""


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Ids of the special tokens, and of the tokens that a transcript must not contain."""

    start_of_transcript: int
    end_of_text: int
    no_timestamps: int
    timestamp_begin: int
    """Id of `<|0.00|>`; every id from there on is a timestamp."""
    no_speech: int
    translate: int
    transcribe: int
    start_of_previous: int
    """Id of the token before the prompt."""
    languages: Mapping[str, int]
    """Language code to token; empty for an English-only model."""
    suppressed: tuple[int, ...]
    """Tokens that are never chosen: special ones, and symbols typical of transcripts of noise."""
    suppressed_at_start: tuple[int, ...]
    """Tokens that are never chosen first: a space and the end of the text."""

    @property
    def multilingual(self) -> bool:
        """Whether the model has language and task tokens."""
        return bool(self.languages)

    @classmethod
    def from_files(
        cls, tokenizer: Tokenizer, generation_config: Mapping[str, Any], *, multilingual: bool
    ) -> Self:
        """Read the ids from the files of a model.

        Args:
            tokenizer: tokenizer of the model.
            generation_config: content of transformers' `generation_config.json`.
            multilingual: whether the model is multilingual. It cannot be read from the tokenizer,
                because English-only ones also list the languages, as untrained tokens.

        Raises:
            CheckpointError: a token is missing, so the tokenizer is not that of a Whisper model.
        """
        no_timestamps = _id(tokenizer, "<|notimestamps|>")
        return cls(
            start_of_transcript=_id(tokenizer, "<|startoftranscript|>"),
            end_of_text=_id(tokenizer, "<|endoftext|>"),
            no_timestamps=no_timestamps,
            timestamp_begin=no_timestamps + 1,
            # OpenAI's release and later ones have different names for this token.
            no_speech=_id(tokenizer, "<|nospeech|>", "<|nocaptions|>"),
            translate=_id(tokenizer, "<|translate|>"),
            transcribe=_id(tokenizer, "<|transcribe|>"),
            start_of_previous=_id(tokenizer, "<|startofprev|>"),
            languages=_languages(tokenizer, generation_config) if multilingual else {},
            suppressed=tuple(generation_config.get("suppress_tokens") or ()),
            suppressed_at_start=tuple(generation_config.get("begin_suppress_tokens") or ()),
        )


def _id(tokenizer: Tokenizer, *spellings: str) -> int:
    for spelling in spellings:
        if (token := tokenizer.token_to_id(spelling)) is not None:
            return int(token)
    raise CheckpointError(f"the tokenizer has no {spellings[0]}, so it is not a Whisper model's")


def _languages(tokenizer: Tokenizer, generation_config: Mapping[str, Any]) -> dict[str, int]:
    """Return the ids of the languages by their codes.

    They are between `<|startoftranscript|>` and `<|translate|>`. If the generation settings list
    languages, as for a student that was trained on a few, only those are returned.
    """
    first = _id(tokenizer, "<|startoftranscript|>") + 1
    last = _id(tokenizer, "<|translate|>")
    trained = generation_config.get("lang_to_id")
    return {
        spelling.removeprefix("<|").removesuffix("|>"): token
        for token in range(first, last)
        if (spelling := tokenizer.id_to_token(token)) is not None
        and (not trained or spelling in trained)
    }
