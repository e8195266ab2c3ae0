"""Files that the clients of other services play."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from tests.clients import recording


@pytest.fixture(scope="session")
def spoken(speech: NDArray[np.float32], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of real speech, 16 kHz, with the words of `consumer.SAID` and then silence."""
    path = tmp_path_factory.mktemp("speech") / "speech.wav"
    soundfile.write(path, np.concatenate([speech[: 13 * 16_000], np.zeros(16_000)]), 16_000)
    return path


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of a made voice that the scripted engine of `recording` has the words of."""
    path = tmp_path_factory.mktemp("made") / "made.wav"
    soundfile.write(path, recording.samples()[:, 0], 16_000)
    return path
