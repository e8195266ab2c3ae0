"""Compiles kernels with numba for the CPU of this machine, and stores them; shared functions.

A kernel is compiled when it is first called, and the result is stored in the user's cache folder
for the next start. numba itself stores it by a hash of the one file that defines the kernel, and
functions that the kernel calls from other files are compiled into it. So the folder is named by a
hash of all sources of this package: after any edit the kernels are compiled again.
"""

import hashlib
import logging
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import numba
import numpy as np
from numba import njit

from stream.engine.checkpoints.embedded_models import cache_folder
from stream.errors import CheckpointError

log = logging.getLogger(__name__)

Kernel = TypeVar("Kernel", bound=Callable[..., object])

f32 = np.float32
LOWEST = f32(-1e30)
"""A value below any score. It is finite, because kernels under fast-math must not use infinity."""
UNUSED_DAYS = 30
"""Number of days without use after which the kernels of other versions of the sources are deleted.
"""


def digest_of_sources() -> str:
    """Return a hash of all sources of this package, as 32 hexadecimal digits."""
    sources = sorted(Path(__file__).parent.glob("*.py"))
    return hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()[:32]


def kernel_folder(kernels: Path) -> Path:
    """Return the folder for kernels of the current sources, created if needed.

    Folders of other versions that were not used for `UNUSED_DAYS` are deleted.

    Args:
        kernels: the folder that has one folder for each version of the sources.

    Raises:
        OSError: nothing can be written there.
    """
    folder = kernels / digest_of_sources()
    folder.mkdir(parents=True, exist_ok=True)
    tempfile.TemporaryFile(dir=folder).close()
    folder.touch()
    delete_unused(kernels)
    return folder


def delete_unused(kernels: Path) -> None:
    """Delete the folders of kernels that were not used for `UNUSED_DAYS`."""
    oldest = time.time() - UNUSED_DAYS * 24 * 3600
    for folder in kernels.iterdir():
        with suppress(OSError):  # another process may delete it at the same time
            if folder.stat().st_mtime < oldest:
                shutil.rmtree(folder)


def usable_kernel_folder() -> Path | None:
    """Return the kernel folder in the user's cache; None if it cannot be written."""
    try:
        return kernel_folder(cache_folder() / "kernels")
    except (OSError, CheckpointError):  # the folder is read-only, or the user has no home
        return None


FOLDER = usable_kernel_folder()
"""The folder of stored kernels; if None, they are compiled at each start, which takes seconds."""


@contextmanager
def numba_cache(folder: Path | None) -> Iterator[None]:
    """Make numba store the kernels that are declared in a `with` block in a folder.

    With None, numba's own setting stays in force.
    """
    settings: Any = numba.config  # numba defines its settings at run time
    usual = settings.CACHE_DIR
    settings.CACHE_DIR = str(folder or usual)
    try:
        yield
    finally:
        settings.CACHE_DIR = usual


def compiled(function: Kernel) -> Kernel:
    """Return a kernel that compiles the function at its first call, and stores the result.

    It releases the GIL, and may reorder sums in order to be faster (fast-math).
    """
    with numba_cache(FOLDER):
        kernel: Kernel = njit(
            function, cache=FOLDER is not None, nogil=True, fastmath=True, error_model="numpy"
        )
    if FOLDER is not None:
        keep_if_possible(kernel)
    return kernel


def keep_if_possible(kernel: Any) -> None:
    """Make a kernel log a warning, and work, if it cannot be stored.

    Otherwise numba would raise the error, such as a full disk, from the call that compiles.
    """
    cache = kernel._cache
    save = cache.save_overload

    def save_or_tell(*what: object) -> None:
        try:
            save(*what)
        except OSError as error:
            log.warning("%s is compiled at each start: %s", kernel.__name__, error)

    cache.save_overload = save_or_tell


@compiled
def nearest(x: np.float32) -> np.int32:
    """Return the whole number that is nearest to x."""
    return np.int32(np.floor(x + f32(0.5)))


@compiled
def power_of_two(x: np.float32) -> np.float32:
    """Return 2 to the power of x, for x <= 0, with a relative error of at most 3e-6.

    The integer part of x becomes the exponent of a float, and the power series up to the fifth
    power gives the rest. A library function computes one number at a time, which would cost more
    than the rest of the attention.
    """
    y = max(x, f32(-126))
    whole = np.floor(y + f32(0.5))
    rest = (y - whole) * f32(np.log(2))
    e = f32(1 / 24) + rest * f32(1 / 120)
    e = f32(1) + rest * (f32(1) + rest * (f32(1 / 2) + rest * (f32(1 / 6) + rest * e)))
    return f32(e * np.int32((np.int32(whole) + 127) << 23).view(np.float32))
