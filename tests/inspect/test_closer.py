"""A closer look at a convolution is one of its windows, at an attention its weights."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

import nnscratch
from nnscratch import nn
from nnscratch.formulas import CONVOLUTION
from nnscratch.formulas.observing import Call
from nnscratch.inspect.closer import closer_look
from nnscratch.inspect.numbers import SIDE

RNG = np.random.default_rng(11)


def _closer(model: Any, *inputs: Any) -> dict[str, Any]:
    found = nnscratch.explain(
        model, *inputs, loss=lambda out: (out if not isinstance(out, tuple) else out[0]).mean()
    )
    (one,) = (step.closer for step in found.steps if step.closer)
    assert str(one[0]) in found.text
    return {facts.name: facts for facts in one}


@pytest.mark.parametrize(
    ("shape", "options"),
    [
        ((2, 3, 7), {"kernel_size": 2}),
        ((1, 2, 8, 6), {"kernel_size": 3, "padding": 1, "stride": 2}),
        ((1, 4, 9, 9), {"kernel_size": 2, "dilation": 3, "groups": 2}),
        ((1, 1, 3, 3), {"kernel_size": 3, "padding": 4, "stride": 7}),
        ((1, 1, 30, 40), {"kernel_size": 5}),
        ((1, 1, 4, 4, 4), {"kernel_size": 2}),
    ],
)
def test_a_window_adds_up_to_its_output(shape: tuple[int, ...], options: dict[str, Any]) -> None:
    axes = len(shape) - 2
    layer = getattr(nn, f"Conv{axes}d")(shape[1], 4, **options).double()
    x = RNG.normal(size=shape)
    found = _closer(layer, x)
    y = layer(nnscratch.tensor(x)).detach().numpy()
    place = (0, 0, *(n // 2 for n in y.shape[2:]))
    window = found[f"the window of X for Y{list(place)}"]
    products = found["W[0] times it"]
    assert products.shape == window.shape == layer.weight.shape[1:]
    total = products.mean * np.prod(products.shape) + layer.bias[0].item()
    assert found["the sum, and b"].values == pytest.approx((y[place],))
    assert total == pytest.approx(y[place], abs=1e-12)


def test_the_frame_lies_where_the_window_does() -> None:
    image = np.arange(30 * 40.0).reshape(1, 1, 30, 40)
    layer = nn.Conv2d(1, 1, 3).double()
    facts = _closer(layer, image)["where it lies in X[0, 0]"]
    top, left, height, width = facts.frame
    assert (height, width) == (3, 3)
    assert facts.shape == (SIDE, SIDE)
    # The part's first number, and the window's, tell where both begin: Y[0, 0, 14, 19].
    row, column = divmod(int(facts.low), 40)
    assert (row + top, column + left) == (14, 19)
    cut = _closer(nn.Conv2d(1, 1, 3, padding=2).double(), np.ones((1, 1, 2, 2)))
    assert cut["where it lies in X[0, 0]"].frame == (0, 0, 2, 2)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("mask", [None, "bool", "float"])
def test_weights_are_those_of_pytorch(causal: bool, mask: str | None) -> None:
    if causal and mask:
        causal = False
    q, k = RNG.normal(size=(2, 3, 4, 5)), RNG.normal(size=(2, 3, 4, 5))
    M = None
    if mask == "bool":
        M = np.tri(4, 4, 1, dtype=bool)
    elif mask == "float":
        M = RNG.normal(size=(4, 4))

    class Looks(nn.Module):
        def forward(self, q: Any, k: Any) -> Any:
            given = None if M is None else nnscratch.tensor(M)
            return nn.functional.scaled_dot_product_attention(
                q, k, k, attn_mask=given, is_causal=causal
            )

    q_given = nnscratch.tensor(q, requires_grad=True)
    (facts,) = _closer(Looks(), q_given, nnscratch.tensor(k)).values()
    identity = torch.eye(4, dtype=torch.float64).expand(2, 3, 4, 4)
    right = torch.nn.functional.scaled_dot_product_attention(
        torch.tensor(q), torch.tensor(k), identity,
        attn_mask=None if M is None else torch.tensor(M), is_causal=causal,
    )[0, 0].numpy()  # fmt: skip
    assert facts.name == "the weights P[0, 0], a row for each query"
    np.testing.assert_allclose(facts.values, right.reshape(-1), rtol=1e-12, atol=1e-15)
    assert len(facts.heat) == 4


def test_padding_beside_an_infinity_is_zero() -> None:
    X, W = np.full((1, 1, 3), np.inf), np.ones((1, 1, 3))
    line = {"stride": (3,), "padding": ((1, 0),), "dilation": (1,), "groups": 1}
    Y, saved = CONVOLUTION.forward(X, W, **line)
    call = Call(CONVOLUTION, "forward", "reference", (X, W), line, (Y,), saved)
    assert closer_look(call)[0].values == (0.0, math.inf, math.inf)
