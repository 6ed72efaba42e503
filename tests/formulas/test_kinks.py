"""Derivatives exactly at the kinks, with options that are not the defaults, against PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from nnscratch.formulas import FORMULAS, registry

Row = tuple[str, list[Any], dict[str, Any], Callable[..., Any]]
ZERO = [-1.0, -0.0, 0.0, 1.0]
T = [0.0, 0.0, 0.0, 0.0, 0.0]
D = [-1.0, -0.5, 0.0, 0.5, 1.0]
ROWS: list[Row] = [
    ("relu", [ZERO], {}, torch.relu),
    ("leaky_relu", [ZERO], {"negative_slope": 0.3}, lambda x: F.leaky_relu(x, 0.3)),
    ("prelu", [ZERO, [0.3]], {}, F.prelu),
    ("elu", [ZERO], {"alpha": 2.0}, lambda x: F.elu(x, 2.0)),
    ("elu", [ZERO], {"alpha": 0.5}, lambda x: F.elu(x, 0.5)),
    ("selu", [ZERO], {}, F.selu),
    ("hardtanh", [[-2.0, -0.5, 0.0, 1.5, 3.0]], {"min_val": -0.5, "max_val": 1.5},
     lambda x: F.hardtanh(x, -0.5, 1.5)),
    ("softsign", [ZERO], {}, F.softsign),
    ("abs", [ZERO], {}, torch.abs),
    ("clip", [D], {"min": -0.5, "max": 0.5}, lambda x: torch.clamp(x, -0.5, 0.5)),
    ("clip", [D], {"min": -0.5, "max": None}, lambda x: torch.clamp(x, min=-0.5)),
    ("clip", [D], {"min": None, "max": 0.5}, lambda x: torch.clamp(x, max=0.5)),
    ("l1", [D, T], {"reduction": "sum"}, lambda y, t: F.l1_loss(y, t, reduction="sum")),
    ("smooth_l1", [D, T], {"beta": 0.5, "reduction": "sum"},
     lambda y, t: F.smooth_l1_loss(y, t, beta=0.5, reduction="sum")),
    ("huber", [D, T], {"delta": 0.5, "reduction": "sum"},
     lambda y, t: F.huber_loss(y, t, delta=0.5, reduction="sum")),
    ("hinge_embedding", [D, [-1.0, -1.0, -1.0, -1.0, -1.0]], {"margin": 0.5, "reduction": "sum"},
     lambda x, t: F.hinge_embedding_loss(x, t, margin=0.5, reduction="sum")),
    ("margin_ranking", [D, T, [1.0, -1.0, 1.0, 1.0, -1.0]], {"margin": 0.5, "reduction": "sum"},
     lambda a, b, t: F.margin_ranking_loss(a, b, t, margin=0.5, reduction="sum")),
    ("cosine_embedding", [[[2.0, 0.0]], [[0.0, 3.0]], [-1.0]], {"margin": 0.0, "reduction": "sum"},
     lambda a, b, t: F.cosine_embedding_loss(a, b, t, margin=0.0, reduction="sum")),
    ("cosine_embedding", [[2.0, 1.0], [1.0, 3.0], -1.0], {"margin": 0.0, "reduction": "none"},
     lambda a, b, t: F.cosine_embedding_loss(a, b, t, margin=0.0, reduction="none")),
    ("maximum", [D, T], {}, torch.maximum),
    ("minimum", [D, T], {}, torch.minimum),
    ("max", [[1.0, 3.0, 3.0, 2.0]], {"axis": None, "keepdims": False}, torch.amax),
    ("min", [[1.0, 1.0, 3.0, 2.0]], {"axis": None, "keepdims": False}, torch.amin),
    ("sqrt", [[0.0, 1.0, 4.0]], {}, torch.sqrt),
    ("power", [[0.0, 1.0, 2.0], [2.0, 2.0, 2.0]], {}, torch.pow),
    ("power", [[0.0, 0.0, 0.0], [-1.0, 0.0, 0.5]], {}, torch.pow),
]  # fmt: skip


@pytest.mark.parametrize(
    "row", [pytest.param(row, id=f"{row[0]}-{index}") for index, row in enumerate(ROWS)]
)
def test_at_the_kinks(row: Row) -> None:
    name, values, options, theirs = row
    formula = FORMULAS[name]
    for dtype in ("float64", "float32"):
        arrays = [np.array(v, dtype=dtype) for v in values]
        tensors = [
            torch.tensor(a, requires_grad=flag)
            for a, flag in zip(arrays, formula.differentiable, strict=True)
        ]
        wanted = theirs(*tensors)
        dY = np.random.default_rng(0).normal(size=tuple(wanted.shape)).astype(dtype)
        wanted.backward(torch.tensor(dY))
        Y, saved = registry.forward(formula, *arrays, **options)
        found = registry.backward(formula, dY, saved, formula.differentiable)
        assert np.allclose(Y, wanted.detach().numpy(), rtol=1e-6)
        for gradient, tensor in zip(found, tensors, strict=True):
            if tensor.grad is not None:
                assert np.allclose(gradient, tensor.grad.numpy(), rtol=1e-6, equal_nan=True), (
                    f"{name}: {gradient}, PyTorch has {tensor.grad.numpy()}"
                )


def test_softplus_is_the_line_itself_from_its_threshold_on() -> None:
    X = np.array([19.5, 20.5, 21.0])
    Y = FORMULAS["softplus"].forward(X)[0]
    assert list(Y == X) == [False, True, True]
    Y = FORMULAS["softplus"].forward(X, threshold=20.75)[0]
    assert list(Y == X) == [False, False, True]
