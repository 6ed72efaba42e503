"""The matrix product in all its dimension cases."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from nnscratch.array import array_namespace
from nnscratch.array.dtypes import dtype_name, is_complex
from nnscratch.errors import DTypeError, ShapeError
from nnscratch.formulas.checks import broadcast_shape
from nnscratch.formulas.formula import Shapes, formula
from nnscratch.formulas.saved import Saved


class MatmulSaved(Saved):
    """Both factors."""

    A: Any
    B: Any


def matmul_forward(A: Any, B: Any) -> tuple[Any, MatmulSaved]:
    """Compute the matrix product over the last axis of A and the last but one of B.

    Args:
        A: (..., M, K) or (K,).
        B: (..., K, N) or (K,); leading axes broadcast.

    Returns:
        Y (..., M, N), without M or N where A or B is a vector, and what the backward needs.

    Raises:
        ShapeError: if the inner dimensions differ, or an operand is a number.
        DTypeError: if the dtypes differ.

    >>> import numpy as np
    >>> matmul_forward(np.ones((2, 3)), np.ones(3))[0]
    array([3., 3.])
    """
    a, b = tuple(A.shape), tuple(B.shape)
    if not a or not b:
        raise ShapeError(f"matmul: expected vectors or matrices, got shapes {a} and {b}; use *")
    inner = b[-2] if len(b) > 1 else b[0]
    if a[-1] != inner:
        hint = ""
        if len(a) == len(b) == 2 and a[-1] == b[-1]:
            hint = "; the second looks transposed, try B.T"
        raise ShapeError(f"matmul: inner dimensions differ, {a} @ {b}{hint}")
    broadcast_shape("matmul (leading axes)", a[:-2], b[:-2])
    if A.dtype != B.dtype and not (is_complex(A) or is_complex(B)):
        raise DTypeError(
            f"matmul: A is {dtype_name(A.dtype)} but B is {dtype_name(B.dtype)}; "
            "convert one of them first, for example B.to(A.dtype)"
        )
    return A @ B, MatmulSaved(A, B)


def matmul_backward(dY: Any, saved: MatmulSaved, needs: tuple[bool, ...]) -> tuple[Any, ...]:
    """Return dA = dY Bᵀ and dB = Aᵀ dY, with the leading axes of dY; the tape sums over them."""
    A, B = saved
    xp = array_namespace(dY)
    vector_a, vector_b = A.ndim == 1, B.ndim == 1
    if vector_a:
        A = xp.expand_dims(A, axis=0)
        dY = xp.expand_dims(dY, axis=-1 if vector_b else -2)
    if vector_b:
        B = xp.expand_dims(B, axis=1)
        dY = xp.expand_dims(dY, axis=-1)
    dA = dB = None
    if needs[0]:
        dA = dY @ xp.matrix_transpose(B)
        if vector_a:
            dA = xp.squeeze(dA, axis=-2)
    if needs[1]:
        if B.ndim == 2:
            # One product for the whole batch instead of a sum of many.
            count = math.prod(A.shape[:-1])
            rows = xp.reshape(dY, (count, dY.shape[-1]))
            dB = xp.matrix_transpose(xp.reshape(A, (count, A.shape[-1]))) @ rows
        else:
            dB = xp.matrix_transpose(A) @ dY
        if vector_b:
            dB = xp.squeeze(dB, axis=-1)
    return dA, dB


def _flops(inputs: Shapes, outputs: Sequence[tuple[int, ...]]) -> int:
    A = inputs[0]
    assert A is not None
    return 2 * math.prod(outputs[0]) * A[-1]


MATMUL = formula(
    matmul_forward,
    matmul_backward,
    equation=r"Y = A B",
    gradients={
        "A": r"\frac{\partial L}{\partial Y} B^\top",
        "B": r"A^\top \frac{\partial L}{\partial Y}",
    },
    shapes="A (..., M, K) or (K,), B (..., K, N) or (K,) -> Y (..., M, N)",
    source="document, section 4.2",
    flops=_flops,
    analytic=True,
    derivation=(
        r"One entry of the product: $$Y_{mn} = \sum_k A_{mk} B_{kn}$$",
        "$A_{mk}$ acts on all of row m of Y, and $B_{kn}$ on all of column n: "
        r"$$\frac{\partial L}{\partial A_{mk}} = \sum_n \frac{\partial L}{\partial Y_{mn}} "
        r"B_{kn} \\ \frac{\partial L}{\partial B_{kn}} = \sum_m A_{mk} \frac{\partial "
        r"L}{\partial Y_{mn}}$$",
        "Both sums are products of matrices again, each with one factor transposed. Where a "
        "batch was repeated to fit the other, its gradients are added up.",
    ),
)
