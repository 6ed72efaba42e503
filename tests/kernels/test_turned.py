"""Copies in another order of axes, number by number."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import nnscratch
from nnscratch.kernels.cpu.implementation import EagerBuilder
from nnscratch.kernels.cpu.turned import copied_turned, turns

ORDERS = [
    ((64, 128), (1, 0)),
    ((100, 67), (1, 0)),
    ((3, 2100), (1, 0)),
    ((2, 16, 16, 16), (0, 2, 3, 1)),
    ((2, 33, 5, 19), (0, 2, 3, 1)),
    ((2, 5, 19, 33), (0, 3, 1, 2)),
    ((4, 4, 2, 2, 16, 17), (0, 1, 4, 2, 5, 3)),  # a pixel shuffle
    ((2, 40, 3, 70), (3, 1, 0, 2)),
]


@pytest.mark.parametrize(("shape", "order"), ORDERS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_copy_in_another_order_of_axes(
    shape: tuple[int, ...], order: tuple[int, ...], dtype: str, rng: Any
) -> None:
    # Rows with something behind them, which has to stay out.
    whole = rng.standard_normal((*shape[:-1], shape[-1] + 3)).astype(dtype)
    whole[..., -3:] = np.nan
    source = whole[..., :-3].transpose(order)
    around = np.full((*source.shape[:-1], source.shape[-1] + 2), 7.0, dtype)
    target = around[..., 1:-1]
    builder = EagerBuilder()
    assert copied_turned(builder, source, target)
    builder.finish()
    np.testing.assert_array_equal(target, source)
    assert (around[..., [0, -1]] == 7.0).all()


def test_an_eager_reshape_of_a_turned_array(rng: Any) -> None:
    A = rng.standard_normal((8, 64, 32, 32)).astype(np.float32)
    x = nnscratch.tensor(A, requires_grad=True)
    assert turns("forward", (A.transpose(0, 2, 3, 1),))
    assert not turns("forward", (A[:, :32],))
    assert not turns("forward", (A[..., ::-1],))
    assert not turns("forward", (np.broadcast_to(A[:, :1, :1, :], A.shape),))
    y = x.permute(0, 2, 3, 1).contiguous()
    np.testing.assert_array_equal(y.detach().numpy(), A.transpose(0, 2, 3, 1))
    dY = rng.standard_normal(y.shape).astype(np.float32)
    y.backward(nnscratch.tensor(dY))
    np.testing.assert_array_equal(x.grad.numpy(), dY.transpose(0, 3, 1, 2))
