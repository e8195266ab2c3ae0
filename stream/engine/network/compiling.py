"""Kernels that numba compiles for the CPU at hand, and what they share.

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
"""Below any score. It is not infinity, because kernels under fast-math may not use infinity."""
UNUSED_DAYS = 30
"""After so many days without a start that used them, the kernels of other sources are deleted."""


def digest_of_sources() -> str:
    """Return a hash of all sources of this package, as 32 hexadecimal digits."""
    sources = sorted(Path(__file__).parent.glob("*.py"))
    return hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()[:32]


def kernel_folder(kernels: Path) -> Path:
    """Return the folder of the kernels that these sources compile to, and delete unused folders.

    Args:
        kernels: the folder that holds one folder for each state of the sources.

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
    """Delete the folders of other sources that no start has used for a long time."""
    oldest = time.time() - UNUSED_DAYS * 24 * 3600
    for folder in kernels.iterdir():
        with suppress(OSError):  # another process may be deleting it, too
            if folder.stat().st_mtime < oldest:
                shutil.rmtree(folder)


def usable_kernel_folder() -> Path | None:
    """Return the kernel folder in the user's cache; None if there is none that can be written."""
    try:
        return kernel_folder(cache_folder() / "kernels")
    except (OSError, CheckpointError):  # it is read-only, or the user has no home
        return None


FOLDER = usable_kernel_folder()
"""None: kernels are compiled at each start, which takes some seconds."""


@contextmanager
def numba_cache(folder: Path | None) -> Iterator[None]:
    """Let the kernels that are declared meanwhile be stored in a folder, and no others."""
    settings: Any = numba.config  # numba declares its settings at run time
    usual = settings.CACHE_DIR
    settings.CACHE_DIR = str(folder or usual)
    try:
        yield
    finally:
        settings.CACHE_DIR = usual


def compiled(function: Kernel) -> Kernel:
    """Compile a kernel that releases the GIL, and that may reorder its sums to be faster."""
    with numba_cache(FOLDER):
        kernel: Kernel = njit(
            function, cache=FOLDER is not None, nogil=True, fastmath=True, error_model="numpy"
        )
    if FOLDER is not None:
        keep_if_possible(kernel)
    return kernel


def keep_if_possible(kernel: Any) -> None:
    """Let a kernel that cannot be written to its folder be compiled anew by the next process.

    numba lets the error of a full disk out of the call that compiles.
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
    """Return 2 to the power of x, for x up to 0, with an error of three millionths at most.

    The whole part of x becomes the exponent of a float, and the rest goes through the series to the
    fifth power. A library's function takes one number at a time, which would cost more than the
    rest of the attention.
    """
    y = max(x, f32(-126))
    whole = np.floor(y + f32(0.5))
    rest = (y - whole) * f32(np.log(2))
    e = f32(1 / 24) + rest * f32(1 / 120)
    e = f32(1) + rest * (f32(1) + rest * (f32(1 / 2) + rest * (f32(1 / 6) + rest * e)))
    return f32(e * np.int32((np.int32(whole) + 127) << 23).view(np.float32))
