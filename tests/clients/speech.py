"""Real speech: the opening of "A Tale of Two Cities", from a package that carries it."""

from importlib.util import find_spec
from pathlib import Path

import pytest
import soundfile


def two_cities(into: Path, seconds: float = 12.0) -> Path:
    """Write its beginning as a WAV file; skips the test where the package is not installed."""
    package = find_spec("moonshine_voice")
    if package is None or package.origin is None:
        pytest.skip("needs real speech: pip install moonshine-voice (make test does)")
    with soundfile.SoundFile(Path(package.origin).parent / "assets" / "two_cities.wav") as sound:
        samples = sound.read(round(seconds * sound.samplerate), dtype="int16")
        soundfile.write(into, samples, sound.samplerate, subtype="PCM_16")
    return into
