"""An eager product has the same bits however many threads NumPy's BLAS has at the moment.

BLAS is kept at one thread while kernels share their work, and gets its threads back after a while:
a product that it summed in another order with two would depend on when it was computed.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import nnscratch
from nnscratch.kernels.cpu.runtime.blas import blas_threads
from nnscratch.nn import functional as F

SIZES = [
    (2, 1000, 512),
    (3, 512, 784),
    (8, 256, 1000),
    (64, 16, 512),
    (64, 64, 128),
    (64, 100, 120),
    (256, 64, 128),
    (70, 300, 33),
]


def _linear(x: Any, w: Any, b: Any) -> Any:
    return F.linear(x, w, b)


def _matmul(x: Any, w: Any, b: Any) -> Any:
    return x @ w.T + b


def _bits(function: Any, arrays: list[Any], threads: int) -> list[bytes]:
    leaves = [nnscratch.tensor(one, requires_grad=True) for one in arrays]
    with blas_threads(threads):
        y = function(*leaves)
        y.backward(nnscratch.tensor(np.cos(np.arange(y.numel())).reshape(y.shape)).to(y.dtype))
    return [one.detach().numpy().tobytes() for one in (y, *(leaf.grad for leaf in leaves))]


@pytest.mark.parametrize("function", [_linear, _matmul])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_products_by_one_thread_of_blas_and_by_several(
    function: Any, size: tuple[int, int, int], dtype: str, rng: np.random.Generator
) -> None:
    rows, inputs, outputs = size
    shapes = [(rows, inputs), (outputs, inputs), (outputs,)]
    arrays = [rng.standard_normal(shape).astype(dtype) for shape in shapes]
    assert _bits(function, arrays, 1) == _bits(function, arrays, 2)
