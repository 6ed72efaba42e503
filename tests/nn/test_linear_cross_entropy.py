"""A linear layer and cross-entropy in one, against PyTorch's and against the two by themselves."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from parity import check, ours

from nnscratch import nn
from nnscratch.errors import ConfigurationError, ShapeError
from nnscratch.nn import functional as F

RNG = np.random.default_rng(5)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("options", [{}, {"reduction": "sum", "label_smoothing": 0.2}])
@pytest.mark.parametrize("outputs", [(), (2, 3)])
def test_pytorch(outputs: tuple[int, ...], options: dict[str, Any], dtype: str) -> None:
    X, W = RNG.normal(size=(4, 5)).astype(dtype), RNG.normal(size=(6, *outputs, 5)).astype(dtype)
    b, labels = RNG.normal(size=W.shape[:-1]).astype(dtype), RNG.integers(0, 6, (4, *outputs))
    check(
        lambda x, w, c: F.linear_cross_entropy(x, w, ours(labels), linear_bias=c, **options),
        lambda x, w, c: torch.nn.functional.linear_cross_entropy(
            x, w, torch.tensor(labels), linear_bias=c, **options
        ),
        [X, W, b],
    )


def test_it_is_cross_entropy_of_the_scores() -> None:
    X, labels = ours(RNG.normal(size=(4, 5))), ours(RNG.integers(0, 6, 4))
    W, shares = ours(RNG.normal(size=(6, 5))), ours(RNG.dirichlet(np.ones(6), 4))
    for target in (labels, shares):
        expected = F.cross_entropy(F.linear(X, W), target, reduction="none")
        got = F.linear_cross_entropy(X, W, target, reduction="none")
        np.testing.assert_array_equal(np.asarray(got), np.asarray(expected))


def test_wrong_arguments_are_named() -> None:
    with pytest.raises(ShapeError, match="expected a bias of shape"):
        F.linear_cross_entropy(
            ours(np.ones((2, 3))),
            ours(np.ones((4, 3))),
            ours(np.ones(2, int)),
            linear_bias=ours(np.ones(3)),
        )
    with pytest.raises(ShapeError, match="expected a weight"):
        F.linear_cross_entropy(ours(np.ones(3)), ours(np.ones((4, 2, 3))), ours(np.ones(2, int)))
    with pytest.raises(ConfigurationError, match="for each of 4 classes"):
        nn.LinearCrossEntropyLoss(3, 4, weight=ours(np.ones(3)))
    with pytest.raises(ConfigurationError, match="from 0 to 1"):
        nn.LinearCrossEntropyLoss(3, 4, label_smoothing=2.0)
    options = nn.LinearCrossEntropyOptions(chunking_method="halves")
    with pytest.raises(ConfigurationError, match="'aspect_ratio'"):
        F.linear_cross_entropy(
            ours(np.ones((2, 3))), ours(np.ones((4, 3))), ours(np.ones(2, int)), options=options
        )


@pytest.mark.parametrize("size", [None, 1, 3])
def test_blocks_change_nothing_but_memory(size: int | None) -> None:
    X, W, labels = RNG.normal(size=(7, 5)), RNG.normal(size=(6, 5)), RNG.integers(0, 6, 7)
    options = nn.LinearCrossEntropyOptions(batch_chunk_size=size)
    check(
        lambda x, w: F.linear_cross_entropy(x, w, ours(labels), options=options),
        lambda x, w: torch.nn.functional.linear_cross_entropy(x, w, torch.tensor(labels)),
        [X, W],
    )


def test_the_size_of_blocks_is_as_pytorch_documents_it() -> None:
    for samples, features, classes in ((1024, 768, 50257), (7, 5, 6), (100, 3, 1000)):
        for method in ("aspect_ratio", "aspect_ratio:2", "aspect_ratio:8"):
            mine = nn.LinearCrossEntropyOptions(chunking_method=method)
            part = int(method.partition(":")[2] or 1)
            wanted = -(-samples // -(-classes // features))
            power = next(1 << k for k in range(20) if 1 << k >= wanted)
            assert mine.rows(samples, features, classes) == max(1, power // part)
