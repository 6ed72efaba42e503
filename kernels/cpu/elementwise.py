"""Arithmetic on whole arrays of one dtype, contiguous. Imports Numba. Outputs may be inputs."""

from __future__ import annotations

from collections.abc import Callable

from numba import njit

from .intrinsics import INLINE, pointer
from .parts import KINDS, part

GRAIN = 1024
ADD, SUB, MUL, DIV, MAXIMUM, MINIMUM = range(6)


@njit(**INLINE)
def _apply(operation, x, y):
    if operation == ADD:
        return x + y
    if operation == SUB:
        return x - y
    if operation == MUL:
        return x * y
    if operation == DIV:
        return x / y
    if operation == MAXIMUM:
        return y if x < y or y != y else x
    return y if x > y or y != y else x


def make_binary(dtype: str, operation: int) -> Callable[..., None]:
    """Return the kernel Z = X ∘ Y; a loop for each way of working in place, for it to vectorise."""
    kind = KINDS[dtype]

    def kernel(a, s, tid, threads):
        x, y, z = pointer(a[0], kind), pointer(a[1], kind), pointer(a[2], kind)
        first, last = part(a[3], tid, threads, GRAIN)
        if a[2] == a[0]:
            for i in range(first, last):
                z[i] = _apply(operation, z[i], y[i])
        elif a[2] == a[1]:
            for i in range(first, last):
                z[i] = _apply(operation, x[i], z[i])
        else:
            for i in range(first, last):
                z[i] = _apply(operation, x[i], y[i])

    return kernel


def make_scale(dtype: str) -> Callable[..., None]:
    """Return the kernel Y = c X, or Y = c f X with a factor f read from memory."""
    kind = KINDS[dtype]

    def kernel(a, s, tid, threads):
        x, y = pointer(a[0], kind), pointer(a[1], kind)
        first, last = part(a[3], tid, threads, GRAIN)
        c = kind(s[0])
        if a[2] != 0:
            c = c * pointer(a[2], kind)[0]
        if a[0] != a[1]:
            for i in range(first, last):
                y[i] = c * x[i]
        else:
            for i in range(first, last):
                y[i] = c * y[i]

    return kernel


def make_copy(dtype: str) -> Callable[..., None]:
    """Return the kernel Y = X."""
    kind = KINDS[dtype]

    def kernel(a, s, tid, threads):
        x, y = pointer(a[0], kind), pointer(a[1], kind)
        first, last = part(a[2], tid, threads, GRAIN)
        if a[0] != a[1]:
            for i in range(first, last):
                y[i] = x[i]

    return kernel


def make_fill(dtype: str) -> Callable[..., None]:
    """Return the kernel Y = c."""
    kind = KINDS[dtype]

    def kernel(a, s, tid, threads):
        y = pointer(a[0], kind)
        first, last = part(a[1], tid, threads, GRAIN)
        c = kind(s[0])
        for i in range(first, last):
            y[i] = c

    return kernel


def make_axpy(dtype: str) -> Callable[..., None]:
    """Return the kernel Y += c X."""
    kind = KINDS[dtype]

    def kernel(a, s, tid, threads):
        x, y = pointer(a[0], kind), pointer(a[1], kind)
        first, last = part(a[2], tid, threads, GRAIN)
        c = kind(s[0])
        if a[0] != a[1]:
            for i in range(first, last):
                y[i] = y[i] + c * x[i]
        else:
            for i in range(first, last):
                y[i] = y[i] + c * y[i]

    return kernel


def make_add_row(dtype: str) -> Callable[..., None]:
    """Return the kernel Y = X + c b, the row b (columns,) added to every row of X."""
    kind = KINDS[dtype]

    def kernel(a, s, tid, threads):
        x, b, y = pointer(a[0], kind), pointer(a[1], kind), pointer(a[2], kind)
        rows, columns = a[3], a[4]
        c = kind(s[0])
        first, last = part(rows, tid, threads, 1)
        for i in range(first, last):
            start = i * columns
            if a[0] != a[2]:
                for j in range(columns):
                    y[start + j] = x[start + j] + c * b[j]
            else:
                for j in range(columns):
                    y[start + j] = y[start + j] + c * b[j]

    return kernel
