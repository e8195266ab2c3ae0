"""The cost of a process tree is that of all its processes."""

import subprocess
import sys
import time

import pytest

from stream.evaluate.measures.cost import (
    Cost,
    listening_pid,
    machine_cpu_s,
    measured,
    read_gpu_state,
    tree_bytes,
)

BUSY = (
    "import time; x = bytearray(50_000_000)\nwhile time.process_time() < 0.3: pass\nprint('done')"
)
CHILD = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {BUSY!r}]); input()"


def test_the_machine_is_at_least_as_busy_as_this_process():
    before, own = machine_cpu_s(), time.process_time()
    while time.process_time() - own < 0.1:
        pass
    assert machine_cpu_s() - before > 0.05


@pytest.mark.slow
def test_cpu_time_of_grandchildren_counts():
    with subprocess.Popen(
        [sys.executable, "-c", CHILD + "; print('bye')"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    ) as process:  # fmt: skip
        with measured(Cost("busy", "none"), process.pid) as cost:
            assert process.stdout.readline() == b"done\n"
            assert tree_bytes(process.pid) > 0
        process.communicate(b"\n")
    assert cost.peak_bytes > 5_000_000
    assert cost.cpu_s is not None
    assert cost.cpu_s >= 0


def test_hidden_captions_are_not_announced():
    with measured(Cost("elsewhere", "speech"), None) as cost:
        pass
    cost.audio_s = 10
    assert cost.as_json() == {"system": "elsewhere", "suite": "speech", "audio_s": 10}


def test_the_cost_of_a_second():
    cost = Cost("ours", "speech", audio_s=10, cpu_s=2.5, peak_bytes=3 << 20, gpu_percent=50)
    assert cost.as_json() == {
        "system": "ours", "suite": "speech", "audio_s": 10, "cpu_s_per_audio_s": 0.25,
        "peak_mib": 3, "gpu_percent": 50, "gpu_peak_mib": 0,
    }  # fmt: skip


@pytest.mark.parametrize("url", ["ws://example.org:1/", "ws://127.0.0.1/", "ws://127.0.0.1:9"])
def test_a_server_elsewhere_has_no_process(url):
    assert listening_pid(url) is None


@pytest.mark.parametrize(
    ("answer", "state"),
    [("35, 2048\n0, 3\n", (35.0, 2 << 30)), ("", None), ("[N/A], [N/A]\n", None)],
)
def test_the_state_of_a_gpu(answer, state):
    assert read_gpu_state(answer) == state
