"""Measures the cost of a running system: CPU time and memory of its processes, use of the GPU."""

import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import urlsplit

from stream.errors import UsageError

SAMPLE_EVERY_S = 0.5


@dataclass(slots=True)
class Cost:
    """The cost of one system for one suite."""

    system: str
    suite: str
    audio_s: float = 0.0
    """Seconds of audio in the run."""
    cpu_s: float | None = None
    """Seconds of CPU time of the process tree; None if it does not run on this machine."""
    peak_bytes: int = 0
    """Peak resident memory of all processes together, with the model's weights; 0 if it cannot be
    separated from the memory of other systems."""
    gpu_percent: float | None = None
    """Mean utilisation; None without a GPU."""
    gpu_peak_bytes: int = 0

    def as_json(self) -> dict[str, Any]:
        """Return the figures that were measured, by name."""
        found: dict[str, Any] = {
            "system": self.system,
            "suite": self.suite,
            "audio_s": round(self.audio_s, 1),
        }
        if self.cpu_s is not None and self.audio_s:
            found["cpu_s_per_audio_s"] = round(self.cpu_s / self.audio_s, 4)
        if self.peak_bytes:
            found["peak_mib"] = round(self.peak_bytes / 2**20)
        if self.gpu_percent is not None:
            found["gpu_percent"] = round(self.gpu_percent, 1)
            found["gpu_peak_mib"] = round(self.gpu_peak_bytes / 2**20)
        return found


@contextmanager
def measured(cost: Cost, pid: int | None) -> Iterator[Cost]:
    """Measure the process tree of `pid` while the block runs, and fill in `cost`."""
    stop = threading.Event()
    before = {} if pid is None else tree_cpu_s(pid)
    gpu: list[float] = []

    def sample() -> None:
        last = False  # a last sample is taken after the block, which may be too short for any other
        while True:
            if pid is not None:
                cost.peak_bytes = max(cost.peak_bytes, tree_bytes(pid))
            if (state := gpu_state()) is not None:
                gpu.append(state[0])
                cost.gpu_peak_bytes = max(cost.gpu_peak_bytes, state[1])
            if last:
                return
            last = stop.wait(SAMPLE_EVERY_S)

    thread = threading.Thread(target=sample, daemon=True)
    thread.start()
    try:
        yield cost
    finally:
        after = {} if pid is None else tree_cpu_s(pid)
        if after:
            cost.cpu_s = sum(seconds - before.get(id, 0.0) for id, seconds in after.items())
        stop.set()
        thread.join()
        cost.gpu_percent = sum(gpu) / len(gpu) if gpu else None


def tree_cpu_s(pid: int) -> dict[int, float]:
    """Return the CPU seconds of a process and all its descendants, by process id."""
    found = {}
    for process in tree(pid):
        try:
            times = process.cpu_times()
        except _psutil().Error:
            continue  # it has ended; its CPU time is lost
        found[process.pid] = times.user + times.system
    return found


def machine_cpu_s() -> float:
    """Return the CPU seconds of all processes of this machine since it started."""
    times = _psutil().cpu_times()
    # Linux counts a guest's time as its host's user time as well.
    return float(times.user + times.system + getattr(times, "nice", 0.0))


def tree_bytes(pid: int) -> int:
    """Return the resident memory of a process and all its descendants, in bytes."""
    total = 0
    for process in tree(pid):
        try:
            total += process.memory_info().rss
        except _psutil().Error:
            continue
    return total


def tree(pid: int) -> list[Any]:
    """Return a process and all its descendants; an empty list if it has ended."""
    try:
        process = _psutil().Process(pid)
        return [process, *process.children(recursive=True)]
    except _psutil().Error:
        return []


def listening_pid(url: str) -> int | None:
    """Return the id of the process that serves an address of this machine.

    None if the address belongs to another machine, or if the process cannot be found.
    """
    parts = urlsplit(url if "//" in url else f"//{url}")
    if parts.hostname not in ("localhost", "127.0.0.1", "::1") or parts.port is None:
        return None
    try:
        connections = _psutil().net_connections("tcp")
    except _psutil().Error:
        return None
    for connection in connections:
        if connection.status == "LISTEN" and connection.laddr.port == parts.port:
            return int(connection.pid) if connection.pid else None
    return None


def gpu_state() -> tuple[float, int] | None:
    """Return the utilisation in percent and the used memory in bytes of the first GPU, if any."""
    command = _nvidia_smi()
    if command is None:
        return None
    query = ["--query-gpu=utilization.gpu,memory.used", "--format=csv,noheader,nounits"]
    answer = subprocess.run([command, *query], capture_output=True, text=True, check=False)
    return read_gpu_state(answer.stdout)


def read_gpu_state(answer: str) -> tuple[float, int] | None:
    """Parse the output of `nvidia-smi`: one line for each GPU, percent and MiB."""
    try:
        percent, mib = answer.splitlines()[0].split(",")
        return float(percent), int(mib) * 2**20
    except (IndexError, ValueError):
        return None


@cache
def _nvidia_smi() -> str | None:
    return shutil.which("nvidia-smi")


@cache
def _psutil() -> Any:
    try:
        import psutil
    except ImportError as error:
        raise UsageError(
            "The cost is measured with psutil: pip install 'distil-stream[evaluate]'."
        ) from error
    return psutil
