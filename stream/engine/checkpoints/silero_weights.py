"""The weights of Silero's voice activity networks, read from the wheel `silero-vad`.

The code of the wheel is never imported, because it limits torch to one thread in the whole process.
The file is a TorchScript archive, a zip whose entries are plain arrays. It is verified by its
SHA-256, so the meaning of each entry is known, and neither pickle nor torch is needed.
"""

import hashlib
import io
import zipfile
from importlib import metadata
from itertools import pairwise
from math import prod
from pathlib import Path

import numpy as np

from stream.core.silero import Array, SileroWeights
from stream.errors import CheckpointError

DISTRIBUTION = "silero-vad"
FILE = "silero_vad/data/silero_vad.jit"
SHA256 = "e1122837f4154c511485fe0b9c64455f7b929c96fbb8d79fbdb336383ebd3720"

ENTRY = "VADr_v6_10_25_noths_re/data/{}"
NETWORKS = {16_000: (3, 256), 8_000: (18, 128)}
"""By sample rate: number of the network's first entry, and samples of its Fourier transform."""
WIDTHS = (128, 64, 64, 128)
"""Output widths of the convolutions: entries 0, 2, 4 and 6, each followed by its bias."""
INPUT_TO_GATES, STATE_TO_GATES = (8, (512, 128)), (9, (512, 128))
INPUT_BIAS, STATE_BIAS = (10, (512,)), (11, (512,))
OUTPUT, OUTPUT_BIAS = (12, (128,)), (13, (1,))


def weights_file() -> Path | None:
    """Return the path of the file with the weights; None if the wheel is not installed."""
    try:
        path = Path(str(metadata.distribution(DISTRIBUTION).locate_file(FILE)))
    except metadata.PackageNotFoundError:
        return None
    return path if path.is_file() else None


def read_weights(path: Path) -> dict[int, SileroWeights]:
    """Return the weights of the two networks by their sample rates, 16000 and 8000.

    Raises:
        CheckpointError: the hash of the file is wrong; the message has both hashes.
    """
    data = path.read_bytes()
    found = hashlib.sha256(data).hexdigest()
    if found != SHA256:
        raise CheckpointError(
            f"{path} has the wrong checksum: expected SHA-256 {SHA256}, found {found}; "
            f"reinstall {DISTRIBUTION}"
        )
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {rate: network(archive, *where) for rate, where in NETWORKS.items()}


def network(archive: zipfile.ZipFile, first: int, fft_samples: int) -> SileroWeights:
    """Return the weights of one network, whose entries in the archive begin at number `first`."""

    def entry(number: int, shape: tuple[int, ...]) -> Array:
        content = np.frombuffer(archive.read(ENTRY.format(first + number)), "<f4")
        assert content.size == prod(shape)
        return content.reshape(shape).astype(np.float32)

    def convolution(number: int, n_out: int, n_in: int) -> tuple[Array, Array]:
        # (n_out, n_in, tap) -> (tap x n_in, n_out)
        taps = entry(number, (n_out, n_in, 3)).transpose(2, 1, 0)
        return np.ascontiguousarray(taps).reshape(-1, n_out), entry(number + 1, (n_out,))

    widths = (fft_samples // 2 + 1, *WIDTHS)
    return SileroWeights(
        fft_samples=fft_samples,
        convolutions=tuple(
            convolution(2 * i, n_out, n_in) for i, (n_in, n_out) in enumerate(pairwise(widths))
        ),
        recurrent=np.ascontiguousarray(
            np.concatenate([entry(*INPUT_TO_GATES), entry(*STATE_TO_GATES)], axis=1).T
        ),
        recurrent_bias=entry(*INPUT_BIAS) + entry(*STATE_BIAS),
        output=entry(*OUTPUT),
        output_bias=float(entry(*OUTPUT_BIAS)[0]),
    )
