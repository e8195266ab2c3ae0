"""Products of small matrices of integers, as instructions for numba's kernels.

A step multiplies two 16-bit numbers of a row by two of a column and adds both products to a sum of
32 bits. On x86 that is one instruction and one addition for 8 sums (`vpmaddwd`, `_mm256_madd_epi16`
in Intel's Intrinsics Guide): twice as many products as with float32, on every CPU with AVX2. LLVM
selects this instruction for the vectors of integers below, so they compile for any CPU. A loop over
scalars would be too slow, because numba's compiler then stores the sums of a tile in memory instead
of registers.
"""

from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

COLUMNS = 16
"""Number of columns of a tile."""
MOST_ROWS = 6
"""Most rows of a tile: the sums of six rows use 12 of the 16 vector registers of AVX2."""

I16, I32, F32 = ir.IntType(16), ir.IntType(32), ir.FloatType()
PAIRS = ir.VectorType(I16, 2 * COLUMNS)
PRODUCTS = ir.VectorType(I32, 2 * COLUMNS)
SUMS = ir.VectorType(I32, COLUMNS)
FLOATS = ir.VectorType(F32, COLUMNS)

Codegen = Callable[[Any, ir.IRBuilder, Any, Sequence[Any]], ir.Value]
Product = Any
"""A function of (left, right, products) that only a kernel can call."""


def multiply(rows: int) -> Product:
    """Return a function for kernels that computes a tile, (rows, 16), of a matrix product.

    In a kernel it is called with (left, right, products); the sums must fit into 32 bits.
        left: (rows or more, 2 * pairs) int16, each row contiguous; the first `rows` are used.
        right: (pairs, 16, 2) int16 or int8, contiguous, with the two numbers of a pair adjacent; or
            (pairs, 16) int32, with both 16-bit numbers of a pair in one.
        products: (rows or more, 16 or more) int32, each row contiguous; the tile is written to its
            first rows and columns.
    """

    @intrinsic
    def product(_context: Any, left: Any, right: Any, products: Any) -> tuple[Any, Codegen]:
        def emit(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> ir.Value:
            a, b, c = _open(context, builder, signature, args)
            totals = _sums(builder, a, b, rows, _bits(right))
            for place, total in zip(_rows(builder, c, SUMS, rows), totals, strict=True):
                builder.store(total, place, align=4)
            return context.get_dummy_value()

        return types.void(left, right, products), emit

    return product


def multiply_add(rows: int) -> Product:
    """Return a function like that of `multiply` which adds the tile to `products`, in float32."""

    @intrinsic
    def product(_context: Any, left: Any, right: Any, products: Any) -> tuple[Any, Codegen]:
        def emit(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> ir.Value:
            a, b, c = _open(context, builder, signature, args)
            totals = _sums(builder, a, b, rows, _bits(right))
            for place, total in zip(_rows(builder, c, FLOATS, rows), totals, strict=True):
                before = builder.load(place, align=4)
                builder.store(builder.fadd(before, builder.sitofp(total, FLOATS)), place, align=4)
            return context.get_dummy_value()

        return types.void(left, right, products), emit

    return product


def _bits(right: Any) -> int:
    """Return the bits of a 16-bit or 8-bit number of the right matrix, from its numba type."""
    width: int = right.dtype.bitwidth
    return width if right.ndim == 3 else width // 2


def _open(context: Any, builder: ir.IRBuilder, signature: Any, args: Sequence[Any]) -> list[Any]:
    """Return numba's structures of the arrays: their data, shapes and strides."""
    return [
        context.make_array(kind)(context, builder, value)
        for kind, value in zip(signature.args, args, strict=True)
    ]


def _sums(builder: ir.IRBuilder, left: Any, right: Any, rows: int, bits: int) -> list[ir.Value]:
    """Emit the loop over the pairs, and return the sums of the tile, vectors for each row."""
    starts = _rows(builder, left, I32, rows)
    zero = ir.Constant(SUMS, None)
    totals = [cgutils.alloca_once_value(builder, zero) for _ in starts]  # type: ignore[no-untyped-call]
    pairs = builder.extract_value(right.shape, 0)
    loaded = ir.VectorType(ir.IntType(bits), 2 * COLUMNS)
    start = builder.bitcast(right.data, loaded.as_pointer())
    with cgutils.for_range(builder, pairs) as loop:
        place = builder.gep(start, [loop.index])
        columns = builder.sext(builder.load(place, align=bits // 8), PRODUCTS)
        for row, total in zip(starts, totals, strict=True):
            pair = builder.load(builder.gep(row, [loop.index]), align=2)
            numbers = builder.sext(builder.bitcast(_spread(builder, pair), PAIRS), PRODUCTS)
            added = _add_neighbours(builder, builder.mul(numbers, columns))
            builder.store(builder.add(builder.load(total), added), total)
    return [builder.load(total) for total in totals]


def _rows(builder: ir.IRBuilder, array: Any, kind: ir.Type, rows: int) -> list[ir.Value]:
    """Return pointers of type `kind` to the beginnings of the first `rows` rows of an array."""
    start = builder.bitcast(array.data, ir.IntType(8).as_pointer())
    stride = builder.extract_value(array.strides, 0)  # in bytes
    starts = (
        builder.gep(start, [builder.mul(stride, ir.Constant(stride.type, row))])
        for row in range(rows)
    )
    return [builder.bitcast(place, kind.as_pointer()) for place in starts]


def _spread(builder: ir.IRBuilder, number: ir.Value) -> ir.Value:
    """Return a vector whose elements are all the 32-bit `number`."""
    nothing = ir.Constant(SUMS, ir.Undefined)
    first = builder.insert_element(nothing, number, ir.Constant(I32, 0))
    return builder.shuffle_vector(first, nothing, ir.Constant(SUMS, [0] * COLUMNS))


def _add_neighbours(builder: ir.IRBuilder, products: ir.Value) -> ir.Value:
    """Add each product at an even index to the one after it."""
    nothing = ir.Constant(PRODUCTS, ir.Undefined)
    even, odd = (
        builder.shuffle_vector(
            products, nothing, ir.Constant(SUMS, list(range(first, 2 * COLUMNS, 2)))
        )
        for first in (0, 1)
    )
    return builder.add(even, odd)
