"""Products of small matrices of 16-bit integers, as instructions for numba's kernels.

A step multiplies two numbers of a row by two of a column and adds both products to a sum of 32
bits. On x86 that is one instruction and one addition for 8 sums (`vpmaddwd`, `_mm256_madd_epi16`
in Intel's Intrinsics Guide): twice the products of float32 at a time, and no CPU with AVX2 lacks
it. LLVM selects the instruction for the vectors of integers below, so they compile for any CPU.
A loop over scalars does not do: numba's compiler keeps a tile's sums in memory, not in registers.
"""

from collections.abc import Callable, Sequence
from typing import Any, cast

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

ROWS, COLUMNS = 6, 16
"""Of a tile: its sums take 12 of the 16 vector registers of AVX2."""

I16, I32, F32 = ir.IntType(16), ir.IntType(32), ir.FloatType()
PAIRS = ir.VectorType(I16, 2 * COLUMNS)
PRODUCTS = ir.VectorType(I32, 2 * COLUMNS)
SUMS = ir.VectorType(I32, COLUMNS)
FLOATS = ir.VectorType(F32, COLUMNS)

Codegen = Callable[[Any, ir.IRBuilder, Any, Sequence[Any]], ir.Value]


def instruction(define: Callable[..., tuple[Any, Codegen]]) -> Callable[..., None]:
    """Make an instruction for kernels, which call it without numba's context."""
    return cast(Callable[..., None], intrinsic(define))


@instruction
def multiply(
    _context: Any, left: types.Array, right: types.Array, products: types.Array
) -> tuple[Any, Codegen]:
    """Multiply a tile: `multiply(left, right, products)` in a kernel. Sums must fit into 32 bits.

    Args:
        left: (6 or more, 2 * pairs) int16, each row contiguous. The first six rows count.
        right: (pairs, 16, 2) int16, contiguous: a column's two numbers are neighbours.
        products: (6 or more, 16 or more) int32, each row contiguous; its first tile is written.
    """

    def emit(context: Any, builder: ir.IRBuilder, signature: Any, args: Sequence[Any]) -> ir.Value:
        a, b, c = _open(context, builder, signature, args)
        for place, total in zip(_rows(builder, c, SUMS), _sums(builder, a, b), strict=True):
            builder.store(total, place, align=4)
        return context.get_dummy_value()

    return types.void(left, right, products), emit


@instruction
def multiply_add(
    _context: Any, left: types.Array, right: types.Array, products: types.Array
) -> tuple[Any, Codegen]:
    """As `multiply`, but add the tile to `products`, which is float32."""

    def emit(context: Any, builder: ir.IRBuilder, signature: Any, args: Sequence[Any]) -> ir.Value:
        a, b, c = _open(context, builder, signature, args)
        for place, total in zip(_rows(builder, c, FLOATS), _sums(builder, a, b), strict=True):
            before = builder.load(place, align=4)
            builder.store(builder.fadd(before, builder.sitofp(total, FLOATS)), place, align=4)
        return context.get_dummy_value()

    return types.void(left, right, products), emit


def _open(context: Any, builder: ir.IRBuilder, signature: Any, args: Sequence[Any]) -> list[Any]:
    """Return numba's structures of the arrays: their data, shapes and strides."""
    return [
        context.make_array(kind)(context, builder, value)
        for kind, value in zip(signature.args, args, strict=True)
    ]


def _sums(builder: ir.IRBuilder, left: Any, right: Any) -> list[ir.Value]:
    """Emit the loop over the pairs; returns the tile's sums, a vector for each row."""
    rows = _rows(builder, left, I32)
    nought = ir.Constant(SUMS, None)
    totals = [
        cgutils.alloca_once_value(builder, nought)  # type: ignore[no-untyped-call]
        for _ in range(ROWS)
    ]
    pairs = builder.extract_value(right.shape, 0)
    start = builder.bitcast(right.data, PAIRS.as_pointer())
    with cgutils.for_range(builder, pairs) as loop:
        place = builder.gep(start, [loop.index])
        columns = builder.sext(builder.load(place, align=2), PRODUCTS)
        for row, total in zip(rows, totals, strict=True):
            place = builder.gep(row, [loop.index])
            pair = builder.load(place, align=2)
            numbers = builder.sext(builder.bitcast(_spread(builder, pair), PAIRS), PRODUCTS)
            added = _add_neighbours(builder, builder.mul(numbers, columns))
            builder.store(builder.add(builder.load(total), added), total)
    return [builder.load(total) for total in totals]


def _rows(builder: ir.IRBuilder, array: Any, kind: ir.Type) -> list[ir.Value]:
    """Pointers to `kind` at the beginnings of an array's first rows."""
    start = builder.bitcast(array.data, ir.IntType(8).as_pointer())
    stride = builder.extract_value(array.strides, 0)  # in bytes
    starts = (
        builder.gep(start, [builder.mul(stride, ir.Constant(stride.type, row))])
        for row in range(ROWS)
    )
    return [builder.bitcast(place, kind.as_pointer()) for place in starts]


def _spread(builder: ir.IRBuilder, number: ir.Value) -> ir.Value:
    """A vector that has the 32-bit `number` everywhere."""
    nothing = ir.Constant(SUMS, ir.Undefined)
    first = builder.insert_element(nothing, number, ir.Constant(I32, 0))
    return builder.shuffle_vector(first, nothing, ir.Constant(SUMS, [0] * COLUMNS))


def _add_neighbours(builder: ir.IRBuilder, products: ir.Value) -> ir.Value:
    """Add up the products two by two."""
    nothing = ir.Constant(PRODUCTS, ir.Undefined)
    even, odd = (
        builder.shuffle_vector(
            products, nothing, ir.Constant(SUMS, list(range(first, 2 * COLUMNS, 2)))
        )
        for first in (0, 1)
    )
    return builder.add(even, odd)
