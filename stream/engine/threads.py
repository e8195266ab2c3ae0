"""How many cores this process may use: of the machine, of its affinity and of its cgroup."""

import os
from math import ceil
from pathlib import Path

import torch

CGROUP = Path("/sys/fs/cgroup")


def usable_cores(cgroup: Path = CGROUP) -> int:
    """Cores that the process may run on, at least 1; a container's quota is rounded up."""
    affinity = getattr(os, "sched_getaffinity", None)
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    quota = cpu_quota(cgroup)
    return cores if quota is None else max(1, min(cores, ceil(quota)))


def cpu_quota(cgroup: Path) -> float | None:
    """Cores that the cgroup's quota amounts to (version 2, then 1); None without a quota."""
    try:
        quota, period = (cgroup / "cpu.max").read_text().split()
    except (OSError, ValueError):
        try:
            quota = (cgroup / "cpu/cpu.cfs_quota_us").read_text().strip()
            period = (cgroup / "cpu/cpu.cfs_period_us").read_text().strip()
        except OSError:
            return None
    if quota in ("max", "-1"):
        return None
    return float(quota) / float(period)


def use_usable_cores() -> None:
    """Let torch compute with as many threads as there are cores for them."""
    torch.set_num_threads(usable_cores())
