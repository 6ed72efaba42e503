"""One call of both libraries, and a comparison of what they make of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

import nnscratch

Call = Callable[[Any, Any], Any]


def outcome(library: Any, call: Call, values: Any, dtype: str) -> tuple[Any, Any, Any]:
    """Return the values, the dtype and the gradient of what a call makes of a tensor."""
    x = library.tensor(values, dtype=getattr(library, dtype))
    floats = dtype.startswith("float")
    if floats:
        x.requires_grad_()
    y = call(library, x)
    if not hasattr(y, "dtype"):
        return y, type(y).__name__, None
    gradient = None
    if floats and y.requires_grad:
        weights = library.arange(1.0, y.numel() + 1.0).reshape(y.shape).to(y.dtype)
        (y * weights).sum().backward()
        gradient = np.asarray(x.grad)
    return np.asarray(y.detach()), str(y.dtype).rpartition(".")[2], gradient


def same(call: Call, values: Any, dtype: str = "float32", rtol: float = 1e-5) -> None:
    mine, theirs = (outcome(library, call, values, dtype) for library in (nnscratch, torch))
    assert mine[1] == theirs[1], f"dtype {mine[1]}, PyTorch has {theirs[1]}"
    np.testing.assert_allclose(mine[0], theirs[0], rtol=rtol, atol=1e-6)
    assert (mine[2] is None) == (theirs[2] is None)
    if theirs[2] is not None:
        np.testing.assert_allclose(mine[2], theirs[2], rtol=rtol, atol=1e-6)


MATRIX = [[0.5, -2.0, 3.0], [1.5, 4.0, -0.25]]
