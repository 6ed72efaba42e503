"""Matrix products from tiles that stay in vector registers: the pieces in LLVM. Imports Numba.

    C[r, c] = Σ_l A[r, l] B[l, c]        r < R rows, c < V registers of columns

Numba's own loops keep the sums of a tile in memory and spend most of their time loading and
storing them. Written as vectors of LLVM, the sums stay in registers from the first term to the
last. ``products`` puts tiles together.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from .runtime.intrinsics import HAS_FMA, I32, I64, VOID
from .runtime.processor import vector_bytes, vector_registers

REGISTER = vector_bytes()
"""Bytes of a vector register."""
ROWS = 8 if vector_registers() == 32 else 6
"""Rows of a tile: with two registers of columns, the most whose sums fit in 16 or 32 registers."""
CHAINS = 8
"""Sums that have to be under way at once to keep the multipliers busy."""
CHUNK = 16
"""Terms after which a tile asks for more cache lines of what comes next,"""
ASKED = 4
"""and how many: so many that 64 rows have asked for all of it."""
LINE = 64
"""Bytes of a cache line."""
BYTE = ir.IntType(8)


def lanes(dtype: str) -> int:
    """Return how many numbers of a dtype one vector register holds."""
    return REGISTER // (4 if dtype == "float32" else 8)


class _Emitter:
    """Writes vector code for one dtype into a function."""

    def __init__(self, context: Any, builder: Any, kind: Any) -> None:
        self.builder = builder
        self.element = context.get_value_type(kind)
        self.size = 4 if kind == types.float32 else 8
        self.count = REGISTER // self.size
        self.vector = ir.VectorType(self.element, self.count)
        self.name = f"v{self.count}f{8 * self.size}"
        self.zero = ir.Constant(self.vector, [ir.Constant(self.element, 0.0)] * self.count)

    def call(self, name: str, result: Any, values: list[Any]) -> Any:
        kind = ir.FunctionType(result, [value.type for value in values])
        function = cgutils.get_or_insert_function(self.builder.module, kind, name)
        return self.builder.call(function, values)

    def at(self, base: Any, step: Any, times: Any, kind: Any) -> Any:
        """Return the place ``step * times`` bytes behind an address."""
        times = I64(times) if isinstance(times, int) else times
        address = self.builder.add(base, self.builder.mul(step, times))
        return self.builder.inttoptr(address, kind.as_pointer())

    def splat(self, value: Any, vector: Any) -> Any:
        undefined = ir.Constant(vector, ir.Undefined)
        one = self.builder.insert_element(undefined, value, I32(0))
        picks = ir.Constant(ir.VectorType(I32, vector.count), [0] * vector.count)
        return self.builder.shuffle_vector(one, undefined, picks)

    def mask(self, width: Any) -> Any:
        """Return which of a register's columns are among the first ``width``."""
        many = ir.VectorType(I32, self.count)
        steps = ir.Constant(many, list(range(self.count)))
        limit = self.splat(self.builder.trunc(width, I32), many)
        return self.builder.icmp_signed("<", steps, limit)

    def load(self, place: Any, mask: Any = None) -> Any:
        if mask is None:
            return self.builder.load(place, align=self.size, typ=self.vector)
        name = f"llvm.masked.load.{self.name}.p0"
        return self.call(name, self.vector, [place, I32(self.size), mask, self.zero])

    def store(self, value: Any, place: Any, mask: Any = None) -> None:
        if mask is None:
            self.builder.store(value, place, align=self.size)
        else:
            name = f"llvm.masked.store.{self.name}.p0"
            self.call(name, VOID, [value, place, I32(self.size), mask])

    def broadcast(self, place: Any) -> Any:
        value = self.builder.load(place, align=self.size, typ=self.element)
        return self.splat(value, self.vector)

    def fma(self, x: Any, y: Any, z: Any) -> Any:
        if not HAS_FMA:
            return self.builder.fadd(self.builder.fmul(x, y), z)
        return self.call(f"llvm.fma.{self.name}", self.vector, [x, y, z])

    @contextmanager
    def each(self, count: Any, start: Any = None) -> Iterator[Any]:
        """Write a loop over ``start`` (0) to ``count``, which stays one of a single round.

        Two rounds of a tile in one, as LLVM would have it, ask for the second's numbers before the
        first's are used, and some of the sums lose their registers: a product took a third longer.
        """
        b = self.builder
        before, head, inside, behind = b.block, *(b.append_basic_block() for _ in range(3))
        b.branch(head)
        b.position_at_end(head)
        index = b.phi(I64)
        b.cbranch(b.icmp_signed("<", index, count), inside, behind)
        b.position_at_end(inside)
        yield index
        index.add_incoming(I64(0) if start is None else start, before)
        index.add_incoming(b.add(index, I64(1), flags=("nsw",)), b.block)
        single = b.module.add_metadata([ir.MetaDataString(b.module, "llvm.loop.unroll.disable")])
        # LLVM knows a loop by what refers to itself; until then the name keeps it from others.
        loop = b.module.add_metadata([ir.MetaDataString(b.module, head.name), single])
        loop.operands = (loop, single)
        b.branch(head).set_metadata("llvm.loop", loop)
        b.position_at_end(behind)

    def variables(self, count: int) -> list[Any]:
        """Return places for vectors; the compiler turns them into registers."""
        with self.builder.goto_entry_block():
            return [self.builder.alloca(self.vector) for _ in range(count)]


def write_tile(
    e: _Emitter, R: int, V: int, cut: bool, add, depth, a, row, step, b, ldb, c, ldc, width,
    prefetch=None, prefetch_line=None, prefetch_stride=None,
) -> None:  # fmt: skip
    """Write a tile: C = A B, or C += A B, for R rows and V registers of columns.

    Args:
        e: writes for the dtype.
        R: rows.
        V: registers of columns.
        cut: whether only ``width`` of the columns exist.
        add: whether the product is added to what C holds.
        depth: K, the terms of each sum.
        a: address of A[0, 0]; A[r, l] stands ``row * r + step * l`` bytes behind it.
        row: see ``a``.
        step: see ``a``.
        b: address of B[0, 0], whose rows are ``ldb`` bytes apart.
        ldb: see ``b``.
        c: address of C[0, 0], whose rows are ``ldc`` bytes apart.
        ldc: see ``c``.
        width: columns of C that exist, where ``cut``.
        prefetch: the first of ASKED cache lines that will be needed soon, ``prefetch_line`` bytes
            apart; None for none. Every CHUNK terms the tile asks for those ``prefetch_stride``
            bytes further on.
        prefetch_line: see ``prefetch``.
        prefetch_stride: see ``prefetch``.
    """
    builder = e.builder
    U = max(1, CHAINS // (R * V))
    side = I64(REGISTER)
    masks = [e.mask(builder.sub(width, I64(v * e.count))) if cut else None for v in range(V)]
    sums = e.variables(U * R * V)
    for variable in sums:
        builder.store(e.zero, variable)

    def place(r, v):
        return e.at(builder.add(c, builder.mul(ldc, I64(r))), side, v, e.vector)

    def term(u, l):
        along_b = builder.add(b, builder.mul(ldb, l))
        along_a = builder.add(a, builder.mul(step, l))
        parts = [e.load(e.at(along_b, side, v, e.vector), masks[v]) for v in range(V)]
        for r in range(R):
            factor = e.broadcast(e.at(along_a, row, r, e.element))
            for v in range(V):
                variable = sums[(u * R + r) * V + v]
                builder.store(e.fma(factor, parts[v], builder.load(variable)), variable)

    group = U if prefetch is None else CHUNK
    whole = builder.sdiv(depth, I64(group))
    with e.each(whole) as block:
        first = builder.mul(block, I64(group))
        if prefetch is None:
            for u in range(U):
                term(u, builder.add(first, I64(u)))
        else:
            for line in range(ASKED):
                start = builder.add(prefetch, builder.mul(prefetch_line, I64(line)))
                where = e.at(start, prefetch_stride, block, BYTE)
                e.call("llvm.prefetch.p0", VOID, [where, I32(0), I32(2), I32(1)])
            with e.each(I64(group)) as l:
                term(0, builder.add(first, l))
    if group > 1:
        with e.each(depth, builder.mul(whole, I64(group))) as l:
            term(0, l)
    totals = []
    for index in range(R * V):
        total = builder.load(sums[index])
        for u in range(1, U):
            total = builder.fadd(total, builder.load(sums[u * R * V + index]))
        totals.append(total)
    places = [(place(r, v), masks[v]) for r in range(R) for v in range(V)]
    with builder.if_else(builder.icmp_signed("!=", add, I64(0))) as (then, otherwise):
        with then:
            for total, (where, mask) in zip(totals, places, strict=True):
                e.store(builder.fadd(e.load(where, mask), total), where, mask)
        with otherwise:
            for total, (where, mask) in zip(totals, places, strict=True):
                e.store(total, where, mask)


def exchange(e: _Emitter, rows: list[Any]) -> None:
    """Turn the rows of a square, a register each, into its columns."""
    many = ir.VectorType(I32, e.count)
    step = 1
    while step < e.count:  # exchange the two off-diagonal quarters of every square of 2 steps
        one = [x if not x & step else e.count + x - step for x in range(e.count)]
        two = [x + step if not x & step else e.count + x for x in range(e.count)]
        for i in range(e.count):
            if i & step:
                continue
            upper, lower = rows[i], rows[i + step]
            rows[i] = e.builder.shuffle_vector(upper, lower, ir.Constant(many, one))
            rows[i + step] = e.builder.shuffle_vector(upper, lower, ir.Constant(many, two))
        step *= 2


@intrinsic
def transpose(typingctx, like, w, ldw, last, out, ldo):
    """``transpose(like, W, ldw, last, out, ldo)``: write the transpose of a square of W.

    The square has as many rows and columns as a register has numbers. Rows of W behind number
    ``last`` are not read; the columns of ``out`` that stand for them hold row ``last`` again.
    """
    word = types.int64

    def codegen(context, builder, signature, args):
        _, w, ldw, last, out, ldo = args
        e = _Emitter(context, builder, like)
        rows = []
        for i in range(e.count):
            index = builder.select(builder.icmp_signed("<", I64(i), last), I64(i), last)
            rows.append(e.load(e.at(w, ldw, index, e.vector)))
        exchange(e, rows)
        for i, value in enumerate(rows):
            e.store(value, e.at(out, ldo, i, e.vector))
        return context.get_dummy_value()

    return types.void(like, *[word] * 5), codegen


@intrinsic
def move(typingctx, like, source, target):
    """Copy the number at one address to another."""

    def codegen(context, builder, signature, args):
        e = _Emitter(context, builder, like)
        places = [builder.inttoptr(address, e.element.as_pointer()) for address in args[1:]]
        value = builder.load(places[0], align=e.size, typ=e.element)
        builder.store(value, places[1], align=e.size)
        return context.get_dummy_value()

    return types.void(like, types.int64, types.int64), codegen


@intrinsic
def dots(typingctx, rows, many, like, depth, x, ldx, w, ldw, z, ldz):
    """``dots(8, 1, like, K, X, ldx, W, ldw, Z, ldz)``: Z[i, j] = Σ_l X[i, l] W[j, l].

    For R rows of W and M rows of X, both literals. Each sum is added up in the same order for any R
    and M.
    """
    if not isinstance(rows, types.Literal) or not isinstance(many, types.Literal):
        return None
    R, M = rows.literal_value, many.literal_value
    word = types.int64

    def codegen(context, builder, signature, args):
        _, _, _, depth, x, ldx, w, ldw, z, ldz = args
        e = _Emitter(context, builder, like)
        sums = e.variables(R * M)
        for variable in sums:
            builder.store(e.zero, variable)
        side, length = I64(e.size), I64(e.count)

        def beside(base, ld, index):
            return builder.add(base, builder.mul(ld, I64(index)))

        def term(l, mask):
            parts = [e.load(e.at(beside(x, ldx, i), side, l, e.vector), mask) for i in range(M)]
            for r in range(R):
                row = e.load(e.at(beside(w, ldw, r), side, l, e.vector), mask)
                for i, part in enumerate(parts):
                    total = sums[i * R + r]
                    builder.store(e.fma(row, part, builder.load(total)), total)

        whole = builder.sdiv(depth, length)
        with cgutils.for_range(builder, whole) as loop:
            term(builder.mul(loop.index, length), None)
        rest = builder.srem(depth, length)
        with builder.if_then(builder.icmp_signed("!=", rest, I64(0))):
            term(builder.mul(whole, length), e.mask(rest))
        for index, variable in enumerate(sums):
            # A sum of halves, in one order for every processor with registers of this size.
            total, half = builder.load(variable), e.count // 2
            while half:
                picks = [(i + half) % e.count for i in range(e.count)]
                kind = ir.Constant(ir.VectorType(I32, e.count), picks)
                turned = builder.shuffle_vector(total, total, kind)
                total = builder.fadd(total, turned)
                half //= 2
            value = builder.extract_element(total, I32(0))
            where = e.at(beside(z, ldz, index // R), side, index % R, e.element)
            builder.store(value, where)
        return context.get_dummy_value()

    return types.void(rows, many, like, *[word] * 7), codegen
