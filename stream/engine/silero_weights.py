"""The weights of Silero's voice activity network, out of the wheel `silero-vad`.

Its code is never imported: it would take all but one of torch's threads away from the process. The
file is an archive of TorchScript, that is to say a zip whose entries are plain arrays; it is held
against its SHA-256, so it is known which is which and neither pickle nor torch is needed.
"""

import hashlib
import io
import zipfile
from importlib import metadata
from math import prod
from pathlib import Path

import numpy as np

from stream.core.silero import Array, SileroWeights
from stream.errors import CheckpointError

DISTRIBUTION = "silero-vad"
FILE = "silero_vad/data/silero_vad.jit"
SHA256 = "e1122837f4154c511485fe0b9c64455f7b929c96fbb8d79fbdb336383ebd3720"

ENTRY = "VADr_v6_10_25_noths_re/data/{}"
CONVOLUTIONS = (
    (3, (128, 129, 3)),
    (5, (64, 128, 3)),
    (7, (64, 64, 3)),
    (9, (128, 64, 3)),
)
"""Entries of the 16 kHz network and their shapes; the bias has the next number."""
INPUT_TO_GATES, STATE_TO_GATES = (11, (512, 128)), (12, (512, 128))
INPUT_BIAS, STATE_BIAS = (13, (512,)), (14, (512,))
OUTPUT, OUTPUT_BIAS = (15, (128,)), (16, (1,))


def weights_file() -> Path | None:
    """Where the wheel put them; None where it is not installed."""
    try:
        path = Path(str(metadata.distribution(DISTRIBUTION).locate_file(FILE)))
    except metadata.PackageNotFoundError:
        return None
    return path if path.is_file() else None


def read_weights(path: Path) -> SileroWeights:
    """Read the network for 16 kHz.

    Raises:
        CheckpointError: the file is another; names it, the expected and the found hash.
    """
    data = path.read_bytes()
    found = hashlib.sha256(data).hexdigest()
    if found != SHA256:
        raise CheckpointError(
            f"{path} is not what it should be: expected SHA-256 {SHA256}, found {found}; "
            f"reinstall {DISTRIBUTION}"
        )
    with zipfile.ZipFile(io.BytesIO(data)) as archive:

        def entry(number: int, shape: tuple[int, ...]) -> Array:
            content = np.frombuffer(archive.read(ENTRY.format(number)), "<f4")
            assert content.size == prod(shape)
            return content.reshape(shape).astype(np.float32)

        return SileroWeights(
            convolutions=tuple(
                # (n_out, n_in, tap) -> (tap x n_in, n_out)
                (
                    np.ascontiguousarray(entry(number, shape).transpose(2, 1, 0)).reshape(
                        -1, shape[0]
                    ),
                    entry(number + 1, shape[:1]),
                )
                for number, shape in CONVOLUTIONS
            ),
            recurrent=np.ascontiguousarray(
                np.concatenate([entry(*INPUT_TO_GATES), entry(*STATE_TO_GATES)], axis=1).T
            ),
            recurrent_bias=entry(*INPUT_BIAS) + entry(*STATE_BIAS),
            output=entry(*OUTPUT),
            output_bias=float(entry(*OUTPUT_BIAS)[0]),
        )
