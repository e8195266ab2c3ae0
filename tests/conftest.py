"""Real speech and real models, loaded once for all tests."""

import os
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr
from hypothesis import settings
from numpy.typing import NDArray

from stream.core.audio import SAMPLE_RATE
from stream.engine.checkpoints.checkpoint import Checkpoint, load_checkpoint

# The words of a test must not depend on which kernels this machine computes fastest.
os.environ.setdefault("DISTIL_STREAM_WAYS", "portable")

# How long an example takes says how busy the machine is, not whether a property holds.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


@pytest.fixture(scope="session")
def speech() -> NDArray[np.float32]:
    """The opening of A Tale of Two Cities, read aloud: 44 s at 16 kHz."""
    try:
        wheel = metadata.distribution("moonshine-voice")
    except metadata.PackageNotFoundError:
        pytest.skip("moonshine-voice, which holds the recording, is not installed")
    path = Path(str(wheel.locate_file("moonshine_voice/assets/two_cities.wav")))
    samples, rate = soundfile.read(path, dtype="float32")
    return soxr.resample(samples, rate, SAMPLE_RATE)


@pytest.fixture(scope="session")
def tiny_checkpoint() -> Checkpoint:
    return load_checkpoint("tiny.en")


@pytest.fixture(scope="session")
def base_checkpoint() -> Checkpoint:
    return load_checkpoint("base")
