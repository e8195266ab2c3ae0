"""What numba compiled of these sources, and of no others, is used again."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

import stream
from stream.engine.network.compiling import UNUSED_DAYS, kernel_folder

PROGRAM = """
import numpy as np
from stream.engine.network.packed_attention import pack
codes, scales = np.zeros((2, 1, 1, 2), np.int16), np.zeros((2, 1, 1), np.float32)
pack(np.array([[1.0, 0.00004, 1.0, 0.0]], np.float32), codes, scales)
print(codes[0, 0, 0, 1], sum(pack.stats.cache_hits.values()))
"""
"""Packs 0.00004 of a peak of 1.0 as a number of steps of 1 / 32767: 1.3 of them."""


@pytest.fixture
def copied(tmp_path) -> Path:
    """A copy of the package, which a test may edit."""
    package = Path(stream.__file__).parent
    ignore = shutil.ignore_patterns("__pycache__", "*.safetensors")
    return Path(shutil.copytree(package, tmp_path / "copy" / "stream", ignore=ignore))


def packed(copied: Path, cache: Path | None) -> list[str]:
    """Run the program on the copy: the code, and how many kernels came from the cache."""
    variables = {k: v for k, v in os.environ.items() if k not in ("HOME", "XDG_CACHE_HOME")}
    variables |= {"PYTHONPATH": str(copied.parent), "PYTHONDONTWRITEBYTECODE": "1"}
    variables["DISTIL_STREAM_CACHE"] = str(cache or "/dev/null/none")
    command = [sys.executable, "-c", PROGRAM]
    done = subprocess.run(
        command, env=variables, cwd=copied.parent, capture_output=True, text=True, check=True
    )
    return done.stdout.split()


@pytest.mark.slow
def test_an_edited_function_is_compiled_again_with_the_kernels_that_call_it(copied, tmp_path):
    cache = tmp_path / "cache"
    assert packed(copied, cache) == ["1", "0"]
    assert packed(copied, cache) == ["1", "1"]
    shared = copied / "engine" / "network" / "compiling.py"
    source = shared.read_text()
    assert "np.floor(x + f32(0.5)))" in source
    shared.write_text(source.replace("np.floor(x + f32(0.5)))", "np.floor(x + f32(7.5)))"))
    assert packed(copied, cache) == ["8", "0"]
    assert len(list((cache / "kernels").iterdir())) == 2
    assert not list(copied.rglob("*.nbc"))


@pytest.mark.slow
def test_without_a_folder_that_can_be_written_the_kernels_are_compiled_at_each_start(copied):
    assert packed(copied, None) == ["1", "0"]
    assert not list(copied.rglob("*.nbc"))


def test_kernels_that_no_start_has_used_for_long_are_deleted(tmp_path):
    recent, unused = tmp_path / "recent", tmp_path / "unused"
    for folder, days in ((recent, UNUSED_DAYS - 1), (unused, UNUSED_DAYS + 1)):
        folder.mkdir()
        (folder / "kernel.nbc").touch()
        used = time.time() - days * 24 * 3600
        os.utime(folder, (used, used))
    own = kernel_folder(tmp_path)
    assert set(tmp_path.iterdir()) == {own, recent}
    os.utime(own, (used, used))
    assert kernel_folder(tmp_path) == own
    assert own.stat().st_mtime > used


FULL = """
import numpy as np, resource
from stream.engine.network import compiling
resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))  # as on a disk that is full

@compiling.compiled
def successor(x):
    return x + np.float32(1)

print(successor(np.float32(2)), successor(3))
"""


@pytest.mark.slow
def test_a_folder_that_is_full(tmp_path):
    program = tmp_path / "program.py"
    program.write_text(FULL)
    done = subprocess.run(
        [sys.executable, str(program)],
        env={**os.environ, "DISTIL_STREAM_CACHE": str(tmp_path / "cache")},
        capture_output=True,
        text=True,
    )
    assert (done.stdout.split(), done.returncode) == (["3.0", "4.0"], 0), done.stderr
    assert "successor is compiled at each start" in done.stderr
