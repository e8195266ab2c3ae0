"""Kernels that numba compiles for the CPU at hand, and what they share.

Compiled when first used, and kept beside the source or in the user's cache, until the file of the
kernel changes. What it calls is compiled into it: whoever changes a function here must touch the
files of the kernels, too, or they go on with the old one.
"""

import logging
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from numba import njit

log = logging.getLogger(__name__)

Kernel = TypeVar("Kernel", bound=Callable[..., object])

f32 = np.float32
LOWEST = f32(-1e30)
"""Below any score. Not infinity: kernels that may take sums in any order know of none."""


def compiled(function: Kernel) -> Kernel:
    """Compile a kernel, to run beside Python; sums may be taken in the order that is fastest."""
    try:
        kernel: Kernel = njit(function, cache=True, nogil=True, fastmath=True, error_model="numpy")
    except RuntimeError:  # there is no folder to keep it in
        return njit(function, nogil=True, fastmath=True, error_model="numpy")  # type: ignore[no-any-return]
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
    """The whole number that is nearest to x."""
    return np.int32(np.floor(x + f32(0.5)))


@compiled
def power_of_two(x: np.float32) -> np.float32:
    """2 to the power of x, for x up to 0; wrong by three millionths at most.

    The whole part of x makes the exponent of a float, the rest goes through the series to the fifth
    power. A library's would be the longest part of attention, for it takes one number at a time.
    """
    y = max(x, f32(-126))
    whole = np.floor(y + f32(0.5))
    rest = (y - whole) * f32(np.log(2))
    e = f32(1 / 24) + rest * f32(1 / 120)
    e = f32(1) + rest * (f32(1) + rest * (f32(1 / 2) + rest * (f32(1 / 6) + rest * e)))
    return f32(e * np.int32((np.int32(whole) + 127) << 23).view(np.float32))
