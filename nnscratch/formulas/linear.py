"""The linear layer of section 4.1 of the document: a matrix product and a bias."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from nnscratch.array import array_namespace
from nnscratch.array.dtypes import cast
from nnscratch.array.short_axis import sum_rows
from nnscratch.errors import ShapeError
from nnscratch.formulas.formula import Shapes, formula
from nnscratch.formulas.saved import Saved

BLOCK = 1 << 20
"""How many weights of 16 bits are float32 at a time, in a forward."""


class LinearSaved(Saved):
    """What the backward of ``linear`` needs."""

    X: Any
    W: Any


def linear_forward(X: Any, W: Any, b: Any = None) -> tuple[Any, LinearSaved]:
    r"""Compute $Z = X W^\top + b$.

    Args:
        X: inputs (..., I); every leading dimension is a batch dimension.
        W: weights (O, I).
        b: biases (O,), or None for none.

    Returns:
        Z (..., O), and what the backward needs.

    Raises:
        ShapeError: if the last dimension of X is not I, or b has not O entries.
        DTypeError: if one of them holds integers, or the dtypes differ.

    >>> import numpy as np
    >>> linear_forward(np.array([[1.0, 2.0]]), np.array([[3.0, 4.0]]), np.array([0.5]))[0]
    array([[11.5]])
    """
    _check_shapes(X, W, b)
    Z = X @ W.T
    if b is not None:
        Z = Z + b
    return Z, LinearSaved(X, W)


def linear_backward(dZ: Any, saved: LinearSaved, needs: tuple[bool, ...]) -> tuple[Any, ...]:
    r"""Return dX = dZ W, dW = dZᵀ X and db = Σ dZ, summed over all batch dimensions."""
    X, W = saved
    xp = array_namespace(dZ)
    count = math.prod(dZ.shape[:-1])
    rows = xp.reshape(dZ, (count, W.shape[0]))
    dX = dW = db = None
    if needs[0]:
        dX = dZ @ W
    if needs[1]:
        dW = rows.T @ xp.reshape(X, (count, W.shape[1]))
    if needs[2]:
        db = sum_rows(rows)
    return dX, dW, db


def linear_of_halves(X: Any, W: Any, b: Any = None) -> tuple[Any, LinearSaved]:
    """Compute Z with weights of 16 bits, of which one block of rows at a time is float32.

    What is saved are X and W as they are. So a model takes half the memory of one of float32, for
    its weights and while it computes.

    >>> import numpy as np
    >>> linear_of_halves(np.ones((1, 2), np.float16), np.ones((3, 2), np.float16))[0]
    array([[2., 2., 2.]], dtype=float16)
    """
    _check_shapes(X, W, b)
    xp = array_namespace(X, W)
    wide = cast(X, "float32")
    rows = max(1, BLOCK // max(1, W.shape[1]))
    starts = range(0, max(1, W.shape[0]), rows)
    parts = [wide @ cast(W[start : start + rows, :], "float32").T for start in starts]
    Z = xp.concat(parts, axis=-1) if len(parts) > 1 else parts[0]
    if b is not None:
        Z = Z + cast(b, "float32")
    return cast(Z, X.dtype), LinearSaved(X, W)


def _check_shapes(X: Any, W: Any, b: Any) -> None:
    if W.ndim != 2:
        raise ShapeError(f"linear: expected weights of shape (out, in), got {W.shape}")
    out_features, in_features = W.shape
    if X.ndim == 0 or X.shape[-1] != in_features:
        hint = ""
        if X.ndim == 2 and X.shape[0] == in_features:
            hint = "; the input looks transposed, try x.T"
        elif X.ndim > 2 and X.shape[-1] * X.shape[-2] == in_features:
            hint = "; flatten the input first, for example x.reshape(len(x), -1)"
        raise ShapeError(
            f"linear: expected an input of shape (..., {in_features}) for weights "
            f"{W.shape}, got {X.shape}{hint}"
        )
    if b is not None and b.shape != (out_features,):
        raise ShapeError(f"linear: expected a bias of shape ({out_features},), got {b.shape}")


def linear_flops(inputs: Shapes, outputs: Sequence[tuple[int, ...]]) -> int:
    """Return the operations of X W^T + b: for each entry I products and sums, and one for b."""
    _, W, b = inputs
    assert W is not None
    return math.prod(outputs[0]) * (2 * W[1] + (b is not None))


LINEAR = formula(
    linear_forward,
    linear_backward,
    equation=r"Z = X W^\top + b",
    gradients={
        "X": r"\frac{\partial L}{\partial X} = \frac{\partial L}{\partial Z} W",
        "W": r"\frac{\partial L}{\partial W} = \frac{\partial L}{\partial Z}^\top X",
        "b": r"\frac{\partial L}{\partial b} = \sum_n \frac{\partial L}{\partial Z_n}",
    },
    shapes="X (..., I), W (O, I), b (O,) or None -> Z (..., O)",
    floats=("X", "W", "b"),
    source="document, sections 4.1 and 4.2",
    flops=linear_flops,
    analytic=True,
    narrow=linear_of_halves,
    derivation=(
        r"One entry of the output is a sum over the inputs: $$Z_{no} = \sum_i X_{ni} W_{oi} + "
        "b_o$$",
        r"Its slopes are what stands beside each factor: $$\frac{\partial Z_{no}}{\partial "
        r"X_{ni}} = W_{oi} \\ \frac{\partial Z_{no}}{\partial W_{oi}} = X_{ni} \\ "
        r"\frac{\partial Z_{no}}{\partial b_o} = 1$$",
        "An input acts on every output o of its row n, a weight and a bias on every row n. "
        r"The chain rule adds up over what each acts on: $$\frac{\partial L}{\partial X_{ni}} "
        r"= \sum_o \frac{\partial L}{\partial Z_{no}} W_{oi} \\ \frac{\partial L}{\partial "
        r"W_{oi}} = \sum_n \frac{\partial L}{\partial Z_{no}} X_{ni} \\ \frac{\partial "
        r"L}{\partial b_o} = \sum_n \frac{\partial L}{\partial Z_{no}}$$",
        "A sum over an index that two matrices share is a product of matrices; where the "
        "shared index stands first in both, the left one is transposed.",
    ),
)
