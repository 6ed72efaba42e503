"""Elementwise activations: Y = f(X) and dX = dY · f'(X), every one from one source.

Imports Numba. The layouts stand in the catalogue.
"""

from __future__ import annotations

from collections.abc import Callable

from .intrinsics import pointer
from .parts import part
from .scalars import KINDS, backward, forward


def make_activation(dtype: str, code: int) -> Callable[..., None]:
    """Return the kernel Y = f(X), elementwise; Y may be X."""
    kind = KINDS[dtype]

    def kernel(a, s, tid, threads):
        x, y = pointer(a[0], kind), pointer(a[1], kind)
        first, last = part(a[2], tid, threads, 1024)
        p, q = kind(s[0]), kind(s[1])
        # Two loops: in the second, a run-time check for overlap would find one and not vectorise.
        if a[0] != a[1]:
            for i in range(first, last):
                y[i] = forward(code, x[i], p, q)
        else:
            for i in range(first, last):
                y[i] = forward(code, y[i], p, q)

    return kernel


def make_activation_backward(dtype: str, code: int) -> Callable[..., None]:
    """Return the kernel dX = dY · f'(V), elementwise; dX may be dY."""
    kind = KINDS[dtype]

    def kernel(a, s, tid, threads):
        dy, v, dx = pointer(a[0], kind), pointer(a[1], kind), pointer(a[2], kind)
        first, last = part(a[3], tid, threads, 1024)
        p, q = kind(s[0]), kind(s[1])
        if a[0] != a[2]:
            for i in range(first, last):
                dx[i] = backward(code, dy[i], v[i], p, q)
        else:
            for i in range(first, last):
                dx[i] = backward(code, dx[i], v[i], p, q)

    return kernel
