"""The table of the ways in which a CPU can compute the costly operations of the network.

A kernel that is fast on one processor can be a hundred times slower on another: `torch._int_mm`
has no kernel without dot products of bytes (VNNI) and falls back to a plain loop there. So which
way is taken is not written down here: `choosing` times the rows of this table on the machine at
hand. A new way is a row; a new operation is an entry with its probe in `probes`.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from stream.engine.cores import usable_cpus, whole_cores
from stream.engine.network.compiled_linear import CompiledLinear
from stream.engine.network.cross_attention import (
    PackedCrossAttentionCache,
    PlainCrossAttentionCache,
)
from stream.engine.network.int8_attention import Int8Attention, why_bytes_are_slow
from stream.engine.network.int16_attention import Int16Attention
from stream.engine.network.layers import FullAttention
from stream.engine.network.linear import Bfloat16Linear, OnednnInt8Linear, plain_linear
from stream.engine.network.quantization import Int8Linear
from stream.engine.network.self_attention import CompiledSelfAttentionCache, PlainSelfAttentionCache
from stream.errors import UsageError

Ways = Mapping[str, str]
"""The way that is taken, by operation."""


@dataclass(frozen=True, slots=True)
class Way:
    """One way to compute an operation."""

    make: Callable[..., Any]
    """Makes the part of the network. All ways of an operation take the same arguments."""
    max_error: float
    """The largest error to the float32 answer at which the way counts as right: the norm of the
    difference as a share of the norm of the answer."""
    too_slow: Callable[[], str | None] | None = None
    """A quick look that tells, with a reason, that the way cannot win on this CPU. It saves the
    seconds that compiling and timing the way would take."""


@dataclass(frozen=True, slots=True)
class Operation:
    """An operation that more than one kernel can compute."""

    ways: Mapping[str, Way]
    """By name. The first is the default: another one has to be clearly faster to be taken. One of
    them is `reference`."""
    reference: str = "float32"
    """The way that gives the float32 answer."""
    rows_alike: bool = False
    """Whether a row must have the same bits alone, in a batch and in a draft. The decoder verifies
    drafts, and a verified token is that of greedy decoding only if this holds."""


LINEAR = {
    "compiled": Way(CompiledLinear, 0.02),
    "int8": Way(Int8Linear, 0.03),
    "onednn_int8": Way(OnednnInt8Linear, 0.03),
    "bfloat16": Way(Bfloat16Linear, 0.02),
    "float32": Way(plain_linear, 0.0),
}

OPERATIONS: Mapping[str, Operation] = {
    "encoder_attention": Operation(
        {
            "int16": Way(Int16Attention, 0.005),
            "int8": Way(Int8Attention, 0.03, too_slow=why_bytes_are_slow),
            "float32": Way(FullAttention, 0.0),
        }
    ),
    "encoder_linear": Operation(LINEAR),
    "decoder_linear": Operation(LINEAR, rows_alike=True),
    "cross_attention": Operation(
        {
            "int16": Way(PackedCrossAttentionCache, 0.002),
            "float32": Way(PlainCrossAttentionCache.project, 0.0),
        },
        rows_alike=True,
    ),
    "self_attention": Operation(
        {
            "compiled": Way(CompiledSelfAttentionCache, 0.0001),
            "torch": Way(PlainSelfAttentionCache, 0.0),
        },
        reference="torch",
        rows_alike=True,
    ),
    "threads": Operation(
        {
            "all": Way(lambda cores: cores, 0.0001),
            # SMT siblings share the units that multiply: one thread a core can be faster.
            "siblings_once": Way(lambda cores: min(cores, whole_cores(usable_cpus())), 0.0001),
            "one": Way(lambda cores: 1, 0.0),
        },
        reference="one",
    ),
}

DEFAULT_WAYS: Ways = {name: next(iter(operation.ways)) for name, operation in OPERATIONS.items()}
"""The first way of each operation: kernels that every processor computes tolerably fast, and the
most exact of those. Tests and rehearsals are pinned to them, so that words do not depend on which
machine ran them."""

FLOAT32_WAYS: Ways = {
    **DEFAULT_WAYS,
    "encoder_attention": "float32",
    "encoder_linear": "float32",
    "decoder_linear": "float32",
}
"""The ways of a network whose weights are not quantised."""


def make(operation: str, ways: Ways) -> Callable[..., Any]:
    """Return what makes the part of the network that computes `operation`."""
    maker: Callable[..., Any] = OPERATIONS[operation].ways[ways[operation]].make
    return maker


def parse_ways(text: str) -> Ways | None:
    """Read a setting of ways; None for `auto`, which leaves the choice to a measurement.

    Args:
        text: `auto`, `default`, or pairs such as
            `encoder_attention=float32,threads=one`. Operations that are not named take the default.

    Raises:
        UsageError: there is no such operation or way.
    """
    if text == "auto":
        return None
    if text == "default":
        return DEFAULT_WAYS
    ways = dict(DEFAULT_WAYS)
    for pair in text.split(","):
        operation, _, way = (part.strip() for part in pair.partition("="))
        if operation not in OPERATIONS:
            raise UsageError(
                f"ways has no operation {operation!r}; use auto, default, or OPERATION=WAY "
                f"with an operation out of {', '.join(OPERATIONS)}."
            )
        if way not in OPERATIONS[operation].ways:
            known = ", ".join(OPERATIONS[operation].ways)
            raise UsageError(f"ways has no way {way!r} for {operation}; use one of {known}.")
        ways[operation] = way
    return ways


def requested_ways(setting: str | None) -> Ways | None:
    """Return the ways that a setting or else `$DISTIL_STREAM_WAYS` names; None to measure them.

    Raises:
        UsageError: the setting cannot be read.
    """
    if setting is None:
        setting = os.environ.get("DISTIL_STREAM_WAYS") or "auto"
    return parse_ways(setting)


def as_setting(ways: Ways) -> str:
    """Write ways as `parse_ways` reads them."""
    return ",".join(f"{operation}={way}" for operation, way in ways.items())
