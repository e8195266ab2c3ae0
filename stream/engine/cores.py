"""Determines how many cores this process may use, and shares them among batches."""

import ctypes
import os
import platform
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from math import ceil
from pathlib import Path

import torch
from threadpoolctl import threadpool_limits

CGROUP = Path("/sys/fs/cgroup")
OWN_CGROUP = Path("/proc/self/cgroup")
CPUS = Path("/sys/devices/system/cpu")

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8
"""Numbers of glibc's settings, from its malloc.h."""
LARGE_BYTES = 10 << 20
"""A larger block is mapped at each allocation and returned when it is freed, which costs a page
fault for each of its pages. The logits of a pass, the keys of a layer and the projections of 30 s
are smaller; if they were mapped as well, they would cost a third more CPU time."""
RETAINED_BYTES = 64 << 20
"""Freed memory at the end of a heap that is not returned to the system, because the next pass needs
it, and new pages cost as much as the computation on them."""
HEAPS = 2


def usable_cpus() -> set[int]:
    """Return the numbers of the CPUs, as the system counts them, that the process may run on."""
    affinity = getattr(os, "sched_getaffinity", None)
    return affinity(0) if affinity else set(range(os.cpu_count() or 1))


def usable_cores(cgroup: Path = CGROUP) -> int:
    """Return the number of threads that the process may run at once, at least 1.

    A CPU quota is rounded up. SMT siblings count as separate cores; `whole_cores` counts them once.
    """
    cores = len(usable_cpus())
    quota = cpu_quota(cgroup)
    return cores if quota is None else max(1, min(cores, ceil(quota)))


def whole_cores(cpus: Iterable[int], folder: Path = CPUS) -> int:
    """Return the number of physical cores of these CPUs: SMT siblings, which share one, count once.

    Args:
        cpus: numbers of the CPUs. One whose siblings are unknown counts as a core.
        folder: folder in which the system describes its CPUs.
    """
    cores = set()
    for cpu in cpus:
        try:
            siblings = (folder / f"cpu{cpu}/topology/thread_siblings_list").read_text().strip()
        except OSError:
            siblings = str(cpu)
        cores.add(siblings)
    return len(cores)


def core_equivalents() -> float:
    """Return the number of cores that the process can use: physical cores, or less with a quota."""
    cores, quota = whole_cores(usable_cpus()), cpu_quota(CGROUP)
    return cores if quota is None else min(cores, quota)


def cpu_quota(cgroup: Path, own: Path = OWN_CGROUP) -> float | None:
    """Return the tightest CPU quota on the process, in cores; None without a quota.

    Args:
        cgroup: folder where the cgroups are mounted; in a container this is its own cgroup.
        own: file that names the cgroups of the process. The quota of a service is set in these,
            not at the mount.
    """
    folders = cgroup_folders(cgroup, own, "cpu")
    return min((quota for folder in folders if (quota := quota_of(folder))), default=None)


def cgroup_folders(cgroup: Path, own: Path, controller: str) -> set[Path]:
    """Return the folders of all cgroups that limit the process, of either version.

    Args:
        cgroup: where the cgroups are mounted.
        own: names the cgroups of the process.
        controller: of version 1: `cpu` or `memory`.
    """
    folders = {cgroup, cgroup / controller}  # of version 2, and of version 1
    try:
        lines = own.read_text().splitlines()
    except OSError:
        lines = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        mounted = cgroup / controller if controllers else cgroup
        inner = mounted / path.lstrip("/")
        folders |= {inner, *(up for up in inner.parents if up.is_relative_to(mounted))}
    return folders


def quota_of(folder: Path) -> float | None:
    """Return the CPU quota of one cgroup (version 2 or 1), in cores; None without a quota."""
    try:
        quota, period = (folder / "cpu.max").read_text().split()
    except (OSError, ValueError):
        try:
            quota = (folder / "cpu.cfs_quota_us").read_text().strip()
            period = (folder / "cpu.cfs_period_us").read_text().strip()
        except OSError:
            return None
    if quota in ("max", "-1"):
        return None
    return float(quota) / float(period)


def usable_memory(cgroup: Path = CGROUP, own: Path = OWN_CGROUP) -> int:
    """Return the bytes of memory that the process may use: the machine's, or a tighter limit.

    Args:
        cgroup: where the cgroups are mounted.
        own: names the cgroups of the process.
    """
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limits = [
        limit for folder in cgroup_folders(cgroup, own, "memory") if (limit := bytes_of(folder))
    ]
    return min([total, *limits])


def bytes_of(folder: Path) -> int | None:
    """Return the bytes that a single cgroup (version 2, then 1) allows; None without a limit."""
    for name in ("memory.max", "memory.limit_in_bytes"):
        try:
            limit = (folder / name).read_text().strip()
        except OSError:
            continue
        return int(limit) if limit.isdigit() else None
    return None


def tune_malloc() -> None:
    """Configure glibc to return large blocks when they are freed, and to retain small ones.

    Windows have all lengths, and a large block that one window has freed seldom fits the next: with
    a thread for each core the process would grow by half within minutes. On systems other than
    Linux with glibc, do nothing.
    """
    if sys.platform == "linux" and platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL(None)
        libc.mallopt(M_MMAP_THRESHOLD, LARGE_BYTES)
        libc.mallopt(M_TRIM_THRESHOLD, RETAINED_BYTES)
        libc.mallopt(M_ARENA_MAX, HEAPS)


def give_back_memory() -> None:
    """Return all free memory of glibc's heaps to the system.

    It is called when a model was loaded, and after a batch of a recording. On systems other than
    Linux with glibc, do nothing.
    """
    if sys.platform == "linux" and platform.libc_ver()[0] == "glibc":
        ctypes.CDLL(None).malloc_trim(0)


def calm_blas() -> None:
    """Make numpy multiply matrices on one thread.

    Only the voice detector multiplies matrices in numpy. Its products are small: on more threads
    they take longer, and the threads spin on the other cores between two products.
    """
    threadpool_limits(limits=1, user_api="blas")


class SharedCores:
    """Sets how many cores each batch that is being transcribed uses.

    Two batches that run in parallel on one core each take two thirds of the time (and CPU time)
    that they take one after the other on both cores: a decoder pass consists of a thousand small
    operations, and the cores wait for each other after each of them.
    """

    def __init__(self, cores: int, urgent_cores: int | None = None) -> None:
        """Share `cores` cores; an urgent batch gets at most `urgent_cores`, by default all."""
        self.cores = cores
        self._urgent_cores = cores if urgent_cores is None else urgent_cores
        self._busy = 0
        self._lock = threading.Lock()

    @contextmanager
    def share(self, *, urgent: bool) -> Iterator[None]:
        """Set the threads of torch in a `with` block: one, or all free cores if it is urgent."""
        with self._lock:
            self._busy += 1
            free = max(1, self.cores // self._busy)
            cores = min(free, self._urgent_cores) if urgent else 1
        torch.set_num_threads(cores)  # affects this thread only
        try:
            yield
        finally:
            with self._lock:
                self._busy -= 1
