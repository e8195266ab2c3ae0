"""Real speech and real models, loaded once for all tests; the markers that follow from them."""

import os
import sys
from collections.abc import Iterator
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
from stream.engine.checkpoints.embedded_models import EMBEDDED_MODELS, converted_folder

# The words of a test must not depend on which kernels this machine computes fastest.
os.environ.setdefault("DISTIL_STREAM_WAYS", "default")

# How long an example takes says how busy the machine is, not whether a property holds.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


MODEL_FIXTURES = {"tiny_checkpoint", "base_checkpoint"}

opened: set[str] = set()
"""What the running test opened: names of models, and `browser`."""


def note_opened(event: str, arguments: tuple[object, ...]) -> None:
    """Note models that are read and browsers that are started; an audit hook of Python."""
    if event == "open":
        for name, folder in MODEL_FOLDERS.items():
            if str(arguments[0]).startswith(folder):
                opened.add(name)
    elif event == "subprocess.Popen" and "playwright" in str(arguments[0]):
        opened.add("browser")


MODEL_FOLDERS = {name: str(converted_folder(name)) for name in EMBEDDED_MODELS}
sys.addaudithook(note_opened)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what uses a model of these fixtures."""
    for item in items:
        if MODEL_FIXTURES & set(getattr(item, "fixturenames", ())):
            item.add_marker("model")


@pytest.fixture(autouse=True)
def markers_are_true(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test that reads a model or starts a browser and is not marked so."""
    marked = {marker.name for marker in request.node.iter_markers()}
    opened.clear()
    yield
    if "model" not in marked and "large" not in marked:
        assert not opened - {"browser"}, f"mark it with pytest.mark.model: it reads {opened}"
    if "browser" not in marked:
        assert "browser" not in opened, "mark it with pytest.mark.browser: it starts one"


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
