"""Kernels compile where they cannot be kept."""

import os
import subprocess
import sys

PROGRAM = """
import numpy as np, resource
from stream.engine.network import compiling
resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))  # as on a disk that is full

@compiling.compiled
def successor(x):
    return x + np.float32(1)

print(successor(np.float32(2)), successor(3))
"""


def test_a_folder_that_is_full(tmp_path):
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    done = subprocess.run(
        [sys.executable, str(program)],
        env={**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "kernels")},
        capture_output=True,
        text=True,
    )
    assert (done.stdout.split(), done.returncode) == (["3.0", "4.0"], 0), done.stderr
    assert "successor is compiled at each start" in done.stderr
