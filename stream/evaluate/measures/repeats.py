"""Repeats of a measurement with audio that differs in its last bits.

With int8 weights, a change of the last bit of a sample can change a rounding step, then a token,
then a word: a single word error rate has a random part. So recordings are played again, each time
louder by a millionth, and the mean is reported with its standard error.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import fmean, stdev

STEP = 1e-6
"""Difference of the gain between two repeats: eight times the spacing of float32 near one."""


def gain_of(repeat: int) -> float:
    """Return the factor by which all samples are multiplied in a repeat, counted from 0."""
    return 1 + repeat * STEP


@dataclass(frozen=True, slots=True)
class Estimate:
    """The mean over repeats, and its standard error."""

    mean: float
    error: float | None
    """Standard error of the mean; None after a single repeat."""

    @classmethod
    def of(cls, values: Sequence[float]) -> "Estimate":
        """Return the estimate from one value for each repeat."""
        error = stdev(values) / sqrt(len(values)) if len(values) > 1 else None
        return cls(fmean(values), error)

    def shown(self, digits: int = 2) -> str:
        """Return the mean, and its standard error if there is one, with `digits` decimals."""
        error = "" if self.error is None else f" ± {self.error:.{digits}f}"
        return f"{self.mean:.{digits}f}{error}"

    def __str__(self) -> str:
        return self.shown()
