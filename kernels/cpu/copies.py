"""Rows of numbers copied in whole vector registers: the pieces in LLVM. Imports Numba."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from .runtime.intrinsics import I32, I64
from .tiles import REGISTER, _Emitter


@intrinsic
def copy_rows(typingctx, vectors, like, rows, source, lds, width, out, ldo):
    """``copy_rows(2, like, K, source, lds, width, out, ldo)``: copy rows of V registers.

    V is a literal. Only ``width`` columns are read; behind them ``out`` gets zeros.
    """
    return _rows_copied(vectors, like, cut=(True, False))


@intrinsic
def put_rows(typingctx, vectors, like, rows, source, lds, width, out, ldo):
    """The same, but whole registers are read, and only ``width`` columns of ``out`` written."""
    return _rows_copied(vectors, like, cut=(False, True))


@intrinsic
def move_rows(typingctx, vectors, like, rows, source, lds, width, out, ldo):
    """The same, but only ``width`` columns are read and written."""
    return _rows_copied(vectors, like, cut=(True, True))


@intrinsic
def add_rows(typingctx, vectors, like, rows, source, lds, width, out, ldo):
    """The same, but ``width`` columns are added to those of ``out``."""
    return _rows_copied(vectors, like, cut=(True, True), added=True)


def _rows_copied(vectors: Any, like: Any, cut: tuple[bool, bool], added: bool = False) -> Any:
    """Return the signature and what emits the copy of rows.

    Args:
        vectors: how many registers a row has, as a literal.
        like: the dtype.
        cut: whether only ``width`` columns are read, and written.
        added: whether they are added to what stands there.
    """
    if not isinstance(vectors, types.Literal):
        return None
    V = vectors.literal_value
    word = types.int64

    def codegen(context, builder, signature, args):
        _, _, rows, source, lds, width, out, ldo = args
        e = _Emitter(context, builder, like)
        side = I64(REGISTER)
        masks = [e.mask(builder.sub(width, I64(v * e.count))) for v in range(V)]
        read, written = ([mask if one else None for mask in masks] for one in cut)
        with cgutils.for_range(builder, rows) as loop:
            start = builder.add(source, builder.mul(lds, loop.index))
            goal = builder.add(out, builder.mul(ldo, loop.index))
            for v in range(V):
                place = e.at(goal, side, v, e.vector)
                value = e.load(e.at(start, side, v, e.vector), read[v])
                if added:
                    value = builder.fadd(e.load(place, written[v]), value)
                e.store(value, place, written[v])
        return context.get_dummy_value()

    return types.void(vectors, like, *[word] * 6), codegen


@intrinsic
def copy_vectors(typingctx, vectors, like, source, out):
    """``copy_vectors(2, like, source, out)``: copy V registers of numbers, V a literal."""
    signature = types.void(vectors, like, types.int64, types.int64)
    return _vectors_copied(vectors, like, signature)


@intrinsic
def repeat_vectors(typingctx, vectors, like, source, out, rows, lds, ldo):
    """``repeat_vectors(2, like, source, out, K, lds, ldo)``: the same for K rows."""
    return _vectors_copied(vectors, like, types.void(vectors, like, *[types.int64] * 5))


def _vectors_copied(vectors: Any, like: Any, signature: Any) -> Any:
    """Return the signature and what emits the copy of registers, in one row or several."""
    if not isinstance(vectors, types.Literal):
        return None

    def codegen(context, builder, signature, args):
        e = _Emitter(context, builder, like)

        def copy(source: Any, out: Any) -> None:
            places = range(vectors.literal_value)
            values = [e.load(e.at(source, I64(REGISTER), v, e.vector)) for v in places]
            for v, value in enumerate(values):
                e.store(value, e.at(out, I64(REGISTER), v, e.vector))

        _, _, source, out, *many = args
        if not many:
            copy(source, out)
            return context.get_dummy_value()
        rows, lds, ldo = many
        with cgutils.for_range(builder, rows) as loop:
            start = builder.add(source, builder.mul(lds, loop.index))
            copy(start, builder.add(out, builder.mul(ldo, loop.index)))
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def split_rows(typingctx, vectors, like, rows, source, lds, first, width, evens, odds, ldo):
    """``split_rows(2, like, K, source, lds, first, width, evens, odds, ldo)``: rows taken apart.

    Of 2 V registers of each row the first, third, ... numbers go to ``evens`` and the others to
    ``odds``; V is a literal. Numbers before ``first`` and from ``width`` on are not read: these are
    zeros.
    """
    if not isinstance(vectors, types.Literal):
        return None
    V = vectors.literal_value

    def codegen(context, builder, signature, args):
        _, _, rows, source, lds, first, width, *goals, ldo = args
        e = _Emitter(context, builder, like)
        n, side = e.count, I64(REGISTER)
        masks = []
        for v in range(2 * V):
            before, until = (e.mask(builder.sub(one, I64(v * n))) for one in (first, width))
            masks.append(builder.and_(until, builder.not_(before)))
        with cgutils.for_range(builder, rows) as loop:
            start = builder.add(source, builder.mul(lds, loop.index))
            values = [e.load(e.at(start, side, v, e.vector), mask) for v, mask in enumerate(masks)]
            for parity, goal in enumerate(goals):
                picks = ir.Constant(ir.VectorType(I32, n), list(range(parity, 2 * n, 2)))
                goal = builder.add(goal, builder.mul(ldo, loop.index))
                for v in range(V):
                    taken = builder.shuffle_vector(values[2 * v], values[2 * v + 1], picks)
                    e.store(taken, e.at(goal, side, v, e.vector))
        return context.get_dummy_value()

    return types.void(vectors, like, *[types.int64] * 8), codegen
