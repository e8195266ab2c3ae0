"""A teacher as large as large-v2: what each step of distilling takes at its peak."""

import json
import subprocess
import sys

import numpy as np
import pytest
import soundfile
import torch

from stream.distil.examples import LINES
from stream.distil.student import save_checkpoint
from stream.engine.checkpoints.dims import WhisperDims
from tests.distil.small import small_teacher

LARGE = WhisperDims(
    n_mels=80,
    d_model=1280,
    encoder_layers=32,
    encoder_heads=20,
    decoder_layers=32,
    decoder_heads=20,
    encoder_ffn=5120,
    decoder_ffn=5120,
    vocab_size=51_865,
)
PARAMETERS = 1_543_304_960
ACTIVATIONS = 1 << 30
"""Bytes: three windows of 8 s, the libraries, and a layer's weights while they are converted."""

STEP = """
import resource, sys
from stream.cli.main import app
try:
    app(sys.argv[1:])
except SystemExit as end:
    assert not end.code, end.code
print(1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def peak_bytes(*command) -> int:
    """Run a command in a process of its own; returns its peak of resident memory."""
    run = [sys.executable, "-c", STEP, "distil", *map(str, command)]
    done = subprocess.run(run, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return int(done.stdout.splitlines()[-1])


def believe_all(lines) -> None:
    """Let the labels of a teacher that speaks by chance pass for those of one that knows."""
    rows = [json.loads(line) for line in lines.read_text().splitlines()]
    for row in rows:
        row |= {"ending": "end of text", "mean_log_probability": -0.1}
    lines.write_text("".join(json.dumps(row) + "\n" for row in rows))


@pytest.mark.large
def test_distilling_takes_twice_the_weights_at_most(tmp_path):
    teacher = small_teacher(LARGE, scale=0.02, dtype=torch.float16)
    assert sum(t.numel() for t in teacher.state.values()) == PARAMETERS
    save_checkpoint(teacher, tmp_path / "teacher")
    del teacher
    soundfile.write(tmp_path / "a.flac", np.random.default_rng(0).normal(0, 0.1, 96_000), 16_000)
    lines = [{"audio": "a.flac", "start": 2 * i, "end": 2 * i + 2, "text": None} for i in range(3)]
    manifest = tmp_path / "manifest.jsonl"
    manifest.write_text("".join(json.dumps(line) + "\n" for line in lines))
    student, examples, run = (tmp_path / name for name in ("student", "examples", "run"))
    peaks = {
        "init": peak_bytes("init", student, "--teacher", tmp_path / "teacher"),
        "label": peak_bytes(
            "label", manifest, examples, "--teacher", tmp_path / "teacher", "--variants", 1
        ),
    }
    believe_all(examples / LINES)
    peaks["train"] = peak_bytes("train", student, run, examples, "--steps", 3, "--batch", 1)
    print({step: f"{peak / 2**30:.2f} GiB" for step, peak in peaks.items()})
    assert max(peaks.values()) <= 2 * 4 * PARAMETERS + ACTIVATIONS
