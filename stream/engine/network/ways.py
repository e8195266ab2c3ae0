"""The table of the ways in which a CPU can compute the costly operations of the network.

A kernel that is fast on one processor can be a hundred times slower on another: for processors
without dot products of bytes (VNNI), `torch._int_mm` has no kernel and falls back to a plain loop.
So this table does not define which way is used: `choosing` times its rows on the machine. To add a
way, add a row; to add an operation, add an entry here and its probe in `probes`.
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
"""The name of the way that is used, by operation."""


@dataclass(frozen=True, slots=True)
class Way:
    """One way to compute an operation."""

    make: Callable[..., Any]
    """Makes the part of the network. It has the same arguments for all ways of an operation."""
    max_error: float
    """The largest error at which the way counts as correct: the norm of the difference from the
    float32 result, divided by the norm of that result."""
    too_slow: Callable[[], str | None] | None = None
    """Returns why the way is too slow on this CPU, or None if only timing can show whether it is.
    It saves the seconds that compiling and timing the way would take."""


@dataclass(frozen=True, slots=True)
class Operation:
    """An operation of the network, with the alternative ways (kernels) that can compute it."""

    ways: Mapping[str, Way]
    """The ways by name. The first is the default; another one is used only if it is clearly faster.
    One of them is named by `reference`."""
    reference: str = "float32"
    """Name of the way that computes the float32 result."""
    rows_alike: bool = False
    """Whether the result of a row must have the same bits alone, in a batch and in a draft. Only
    then does the verification of a draft give the tokens of greedy decoding."""


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
            # SMT siblings share the multiplication units, so one thread a core can be faster.
            "siblings_once": Way(lambda cores: min(cores, whole_cores(usable_cpus())), 0.0001),
            "one": Way(lambda cores: 1, 0.0),
        },
        reference="one",
    ),
}

DEFAULT_WAYS: Ways = {name: next(iter(operation.ways)) for name, operation in OPERATIONS.items()}
"""The first way of each operation: the most exact of the kernels that are reasonably fast on every
processor. Tests and rehearsals use these, so that their words do not depend on the machine."""

FLOAT32_WAYS: Ways = {
    **DEFAULT_WAYS,
    "encoder_attention": "float32",
    "encoder_linear": "float32",
    "decoder_linear": "float32",
}
"""The ways of a network whose weights are not quantised."""


def make(operation: str, ways: Ways) -> Callable[..., Any]:
    """Return the function that makes the part of the network for an operation, by its way."""
    maker: Callable[..., Any] = OPERATIONS[operation].ways[ways[operation]].make
    return maker


def parse_ways(text: str) -> Ways | None:
    """Parse a setting of ways; return None for `auto`, so that the ways are measured.

    Args:
        text: `auto`, `default`, or pairs such as
            `encoder_attention=float32,threads=one`. Operations that are not named use the default.

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
    """Return the ways of a setting, or else of `$DISTIL_STREAM_WAYS`; None to measure them.

    Raises:
        UsageError: the setting is invalid.
    """
    if setting is None:
        setting = os.environ.get("DISTIL_STREAM_WAYS") or "auto"
    return parse_ways(setting)


def as_setting(ways: Ways) -> str:
    """Return ways as a text that `parse_ways` can parse."""
    return ",".join(f"{operation}={way}" for operation, way in ways.items())
