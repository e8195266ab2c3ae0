"""A server for the page, and what its microphone hears."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from stream.server.running import running_server
from tests.clients import recording


@pytest.fixture
async def scripted():
    async with running_server(recording.config(), recording.FromFirstSound()) as address:
        yield address


@pytest.fixture
def noise(tmp_path) -> Path:
    """What the scripted engine knows the words of."""
    soundfile.write(tmp_path / "noise.wav", recording.samples(48_000), 48_000, subtype="PCM_16")
    return tmp_path / "noise.wav"


@pytest.fixture
def inverted(tmp_path) -> Path:
    """The same in two channels, whose sum is silence."""
    one = recording.samples(48_000)
    both = np.concatenate([one, -one], axis=1)
    soundfile.write(tmp_path / "inverted.wav", both, 48_000, subtype="PCM_16")
    return tmp_path / "inverted.wav"
