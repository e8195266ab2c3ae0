"""The weights are found without importing their package, and nothing but them is taken."""

import subprocess
import sys

import pytest

from stream.core.silero_gate import SileroGate
from stream.core.vad import WebRtcVad
from stream.engine import voice_detectors
from stream.engine.checkpoints import silero_weights
from stream.engine.checkpoints.silero_weights import read_weights, weights_file
from stream.engine.voice_detectors import choose_detector
from stream.errors import CheckpointError


def test_shapes_are_what_the_network_takes():
    path = weights_file()
    if path is None:
        pytest.skip("silero-vad is not installed")
    networks = read_weights(path)
    assert set(networks) == {8_000, 16_000}
    for rate, weights in networks.items():
        assert weights.window_samples == 0.032 * rate
        assert [weight.shape for weight, _ in weights.convolutions] == [
            (3 * (weights.fft_samples // 2 + 1), 128),
            (3 * 128, 64),
            (3 * 64, 64),
            (3 * 64, 128),
        ]
        assert weights.recurrent.shape == (256, 512)
        assert weights.output.shape == (128,)


def test_another_file_is_refused(tmp_path):
    other = tmp_path / "silero_vad.jit"
    other.write_bytes(b"something else")
    with pytest.raises(CheckpointError, match=silero_weights.SHA256):
        read_weights(other)


def test_without_the_wheel_webrtcvad_is_used_and_logged(monkeypatch, caplog):
    monkeypatch.setattr(silero_weights, "DISTRIBUTION", "no-such-wheel")
    assert weights_file() is None
    assert isinstance(choose_detector("silero")(16_000), WebRtcVad)
    assert len(caplog.records) == 1
    assert voice_detectors.DISTRIBUTION in caplog.text


def test_detectors_by_name(caplog):
    assert isinstance(choose_detector("webrtc", 3)(16_000), WebRtcVad)
    if weights_file() is not None:
        detector = choose_detector("silero")
        assert isinstance(detector(8_000), SileroGate)
        assert detector(48_000) is not detector(48_000)
    assert not caplog.records


def test_it_imports_no_library():
    check = (
        "import sys; from stream.engine.voice_detectors import choose_detector; "
        "choose_detector('silero'); sys.exit(bool({'torch', 'silero_vad'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0
