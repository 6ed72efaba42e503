"""The products of a linear layer, and what stands around them in one pass each. Imports Numba.

Z  = X Wᵀ + b           gemm, then bias_activation
Y  = f(Z)
dZ = dY · f'(Z),  db = Σₙ dZₙ      activation_bias_backward
dX = dZ W,  dW = dZᵀ X             gemm
"""

from __future__ import annotations

from collections.abc import Callable

from numba import njit

from .runtime.intrinsics import (
    INLINE,
    call_dgemm_32,
    call_dgemm_64,
    call_sgemm_32,
    call_sgemm_64,
    pointer,
    stack,
)
from .runtime.parts import KINDS, part
from .scalars import activation_of, specialised

NARROW = 64
"""Below this many columns, ROWS rows are taken together as one long row."""
ROWS = 16
WIDTH = 256
"""Columns that are summed at a time: their sums stay in the first-level cache."""
BLOCK = 1024
"""Rows and columns that one call of BLAS computes: what it packs for them is soon repaid."""
FEW_BLOCKS = 8
"""Below this many blocks they are half as wide, so that more threads have some."""
RUN = 64
"""Rows that are added up before they join the total, which keeps rounding errors small."""


def forward(x, p, q):
    """f(x): the activation that a kernel is specialised for takes its place."""
    return x


def backward(dy, v, p, q):
    """DY · f'(v), likewise."""
    return dy


@njit(**INLINE)
def blocks_of(count, side):
    """How many blocks of at most ``side`` a range has."""
    return (count + side - 1) // side


def make_gemm(dtype: str, bits: int) -> Callable[..., None]:
    """Return the kernel C = op(A) op(B) by BLAS, row-major.

    The threads share blocks of C that depend on its sizes only. Many a library adds up the rows at
    the edge of a product in another order than those inside, so parts that depended on the number
    of threads would have other bits for another number.
    """
    single = dtype == "float32"
    size = 4 if single else 8
    kind = KINDS[dtype]

    def kernel(a, s, tid, threads):
        f, ta, tb = a[0], a[1], a[2]
        m, n, k = a[3], a[4], a[5]
        x, ldx, y, ldy, z, ldz = a[6], a[7], a[8], a[9], a[10], a[11]
        side = BLOCK
        if blocks_of(m, side) * blocks_of(n, side) < FEW_BLOCKS:
            side = BLOCK // 2
        across = blocks_of(n, side)
        count = blocks_of(m, side) * across
        alpha, beta = kind(1.0), kind(0.0)
        for block in range(count * tid // threads, count * (tid + 1) // threads):
            top, left = block // across * side, block % across * side
            rows, columns = min(side, m - top), min(side, n - left)
            at_x = x + size * top * (1 if ta else ldx)
            at_y = y + size * left * (ldy if tb else 1)
            at_z = z + size * (top * ldz + left)
            if k == 0:  # an empty sum, which not every BLAS accepts
                c = pointer(at_z, kind)
                for i in range(rows):
                    for j in range(columns):
                        c[i * ldz + j] = beta
            elif single and bits == 64:
                call_sgemm_64(
                    f, ta, tb, rows, columns, k, alpha, at_x, ldx, at_y, ldy, beta, at_z, ldz
                )
            elif single:
                call_sgemm_32(
                    f, ta, tb, rows, columns, k, alpha, at_x, ldx, at_y, ldy, beta, at_z, ldz
                )
            elif bits == 64:
                call_dgemm_64(
                    f, ta, tb, rows, columns, k, alpha, at_x, ldx, at_y, ldy, beta, at_z, ldz
                )
            else:
                call_dgemm_32(
                    f, ta, tb, rows, columns, k, alpha, at_x, ldx, at_y, ldy, beta, at_z, ldz
                )

    return kernel


def make_bias_activation(dtype: str, activation: str) -> Callable[..., None]:
    """Return the kernel Z += b, Y = f(Z) in one pass; with Y = Z only the output remains."""
    kind = KINDS[dtype]

    def kernel(a, s, tid, threads):
        z, b, y = pointer(a[0], kind), pointer(a[1], kind), pointer(a[2], kind)
        rows, columns = a[3], a[4]
        p, q = kind(s[0]), kind(s[1])
        first, last = part(rows, tid, threads, ROWS)
        together, wide = 1, columns
        repeated = stack(1024, kind)
        if columns < NARROW:  # ROWS rows as one, against ROWS copies of the bias
            together, wide = ROWS, columns * ROWS
            for i in range(ROWS):
                for j in range(columns):
                    repeated[i * columns + j] = b[j] if a[1] != 0 else kind(0.0)
            b = repeated
        for i in range(first, last, together):
            start = i * columns
            count = min(wide, (last - i) * columns)
            if a[1] == 0 and columns >= NARROW:
                for j in range(start, start + count):
                    y[j] = forward(z[j], p, q)
            elif a[0] != a[2]:
                for j in range(count):
                    total = z[start + j] + b[j]
                    z[start + j] = total
                    y[start + j] = forward(total, p, q)
            else:
                for j in range(count):
                    y[start + j] = forward(y[start + j] + b[j], p, q)

    return specialised(kernel, forward=activation_of(activation, dtype)[0])


def make_activation_bias_backward(dtype: str, activation: str) -> Callable[..., None]:
    """Return the kernel dZ = dY · f'(V) and db = Σₙ dZₙ in one pass; dZ may be dY."""
    kind = KINDS[dtype]

    def kernel(a, s, tid, threads):
        dy, v = pointer(a[0], kind), pointer(a[1], kind)
        dz, db = pointer(a[2], kind), pointer(a[3], kind)
        rows, columns = a[4], a[5]
        p, q = kind(s[0]), kind(s[1])
        apart = a[0] != a[2]
        if columns < NARROW:
            if tid != 0:
                return
            left, right, together, wide = 0, columns, ROWS, columns * ROWS
        else:
            left, right = part(columns, tid, threads, NARROW)
            together, wide = 1, WIDTH
        sums, total = stack(1024, kind), stack(1024, kind)
        for column in range(left, right, WIDTH if together == 1 else NARROW):
            width = min(wide, right - column) if together == 1 else wide
            for j in range(width):
                sums[j] = total[j] = kind(0.0)
            for top in range(0, rows, RUN * together):
                last = min(top + RUN * together, rows)
                # Rows that follow on each other are one long row.
                whole = right - left == columns and columns <= WIDTH
                lines, long = (1, (last - top) * columns) if whole else (last - top, width)
                for line in range(lines):
                    start = (top + line) * columns + column
                    if apart:
                        for j in range(start, start + long):
                            dz[j] = backward(dy[j], v[j], p, q)
                    else:
                        for j in range(start, start + long):
                            dz[j] = backward(dz[j], v[j], p, q)
                for i in range(top, last, together):
                    start = i * columns + column
                    count = min(width, (rows - i) * columns) if together > 1 else width
                    for j in range(count):
                        sums[j] += dz[start + j]
                for j in range(width):
                    total[j] += sums[j]
                    sums[j] = kind(0.0)
            if a[3] == 0:
                continue
            if together == 1:
                for j in range(width):
                    db[column + j] = total[j]
            else:
                for j in range(columns):
                    folded = total[j]
                    for i in range(1, ROWS):
                        folded += total[i * columns + j]
                    db[j] = folded

    return specialised(kernel, backward=activation_of(activation, dtype)[1])
