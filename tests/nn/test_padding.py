"""Padding against PyTorch: every mode, value and gradients, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from parity import assert_same, check, ours, theirs

from nnscratch import nn
from nnscratch.errors import ConfigurationError, ShapeError
from nnscratch.nn import functional as F

RNG = np.random.default_rng(0)

CALLS: dict[str, tuple[tuple[int, ...], tuple[int, ...], str]] = {
    "constant": ((2, 3, 4), (1, 2), "constant"),
    "constant of a row": ((4,), (1, 2), "constant"),
    "constant of all axes": ((2, 3), (1, 2, 0, 1), "constant"),
    "constant, cut and put": ((2, 3, 4), (-1, 2, 1, -2), "constant"),
    "reflect": ((2, 3, 4), (3, 1), "reflect"),
    "reflect without a batch": ((3, 4, 5), (3, 1, 0, 2), "reflect"),
    "reflect in 3-d": ((1, 2, 3, 4, 5), (4, 1, 0, 2, 1, 1), "reflect"),
    "reflect and cut what is reflected": ((1, 1, 3), (2, -2), "reflect"),
    "replicate": ((2, 3, 4), (5, 1), "replicate"),
    "replicate and cut": ((2, 3, 4, 2), (2, -1, -3, 6), "replicate"),
    "replicate in 3-d": ((2, 3, 4, 5), (0, 1, 2, 3, 1, 0), "replicate"),
    "circular": ((2, 3, 4), (4, 1), "circular"),
    "circular and cut": ((2, 3, 4, 5), (-1, 2, 3, -1), "circular"),
    "circular in 3-d": ((1, 2, 3, 4, 5), (5, 1, 0, 2, 1, 1), "circular"),
}


@pytest.mark.parametrize("name", CALLS)
def test_modes(name: str) -> None:
    shape, pad, mode = CALLS[name]
    X = RNG.normal(size=shape)
    for dtype in ("float64", "float32"):
        check(
            lambda x: F.pad(x, pad, mode), lambda x: torch.nn.functional.pad(x, pad, mode),
            [X.astype(dtype)],
        )  # fmt: skip


def test_values_and_dtypes() -> None:
    for X in (np.arange(6).reshape(2, 3), np.ones((2, 3), bool), np.ones((2, 3), np.float16)):
        got = F.pad(ours(X), (1, 2), value=2)
        assert_same(got, torch.nn.functional.pad(theirs(X), (1, 2), value=2))
    X = RNG.normal(size=(4, 6))[:, ::2]
    assert_same(F.pad(ours(X), (0, 1), "constant", -3.5),
                torch.nn.functional.pad(theirs(X), (0, 1), "constant", -3.5))  # fmt: skip
    empty = np.zeros((0, 2, 3))
    for mode in ("constant", "reflect", "replicate", "circular"):
        check(
            lambda x, mode=mode: F.pad(x, (1, 2), mode),
            lambda x, mode=mode: torch.nn.functional.pad(x, (1, 2), mode), [empty],
        )  # fmt: skip


@pytest.mark.parametrize("dims", [1, 2, 3])
@pytest.mark.parametrize("kind", ["ConstantPad", "ZeroPad", "ReflectionPad", "ReplicationPad",
                                  "CircularPad"])  # fmt: skip
def test_modules(kind: str, dims: int) -> None:
    sides = tuple(range(2 * dims))
    more: tuple[Any, ...] = (1.5,) if kind == "ConstantPad" else ()
    X = RNG.normal(size=(2, 3, 5, 6, 7)[: dims + 2])
    for padding in (1, sides):
        if kind == "ReflectionPad" and padding == sides:
            padding = tuple(min(one, 4) for one in sides)
        mine = getattr(nn, f"{kind}{dims}d")(padding, *more)
        its = getattr(torch.nn, f"{kind}{dims}d")(padding, *more)
        assert repr(mine) == repr(its)
        assert_same(mine(ours(X)), its(theirs(X)))


@pytest.mark.parametrize(
    ("shape", "pad", "mode", "error", "text"),
    [
        ((1, 1, 3), (3, 3), "reflect", ShapeError, "at most 2 of 3 entries of dimension 2"),
        ((1, 1, 3), (4, 0), "circular", ShapeError, "at most 3 entries"),
        ((1, 1, 3), (1,), "constant", ShapeError, "a pair"),
        ((3,), (1, 1, 1, 1), "constant", ShapeError, "at most 1 axes"),
        ((1, 1, 3), (-2, -2), "constant", ShapeError, "cannot lose 2 entries before and 2"),
        ((3,), (1, 1), "replicate", ShapeError, "one or two more"),
        ((1, 1, 0), (1, 1), "replicate", ShapeError, "needs entries"),
        ((1, 1, 3), (1, 1), "mirror", ConfigurationError, "'reflect', 'replicate'"),
    ],
)
def test_refused(shape: Any, pad: Any, mode: str, error: type[Exception], text: str) -> None:
    X = np.ones(shape)
    with pytest.raises(error, match=text):
        F.pad(ours(X), pad, mode)
    with pytest.raises((RuntimeError, NotImplementedError)):
        torch.nn.functional.pad(theirs(X), pad, mode)


def test_a_value_belongs_to_constant() -> None:
    with pytest.raises(ConfigurationError, match="takes no value"):
        F.pad(ours(np.ones((1, 2, 3))), (1, 1), "reflect", 2.0)
    with pytest.raises(ConfigurationError, match="4 of them"):
        nn.ReflectionPad2d((1, 2, 3))


@pytest.mark.parametrize("mode", ["constant", "reflect", "replicate", "circular"])
@pytest.mark.parametrize("pad", [(0, 0), (-1, 0), (0, -1), (-1, -1), (1, -1)])
def test_the_result_is_a_copy(mode: str, pad: tuple[int, int]) -> None:
    X = RNG.normal(size=(1, 2, 4))
    x, y = ours(X), theirs(X)
    got, expected = F.pad(x, pad, mode), torch.nn.functional.pad(y, pad, mode)
    assert got is not x
    assert_same(got, expected)
    got.fill_(7.0)
    assert_same(x, y, "the input after the result was written into")


def test_numbers_of_numpy() -> None:
    X = RNG.normal(size=(1, 2, 4, 5))
    for padding in (np.int64(2), np.array(2), (np.int64(1), 2, 0, 1), np.array([1, 2, 0, 1])):
        plain = 2 if np.ndim(padding) == 0 else (1, 2, 0, 1)
        mine = nn.ReflectionPad2d(padding)
        assert_same(mine(ours(X)), torch.nn.ReflectionPad2d(plain)(theirs(X)))
        assert repr(mine) == repr(torch.nn.ReflectionPad2d(plain))
    with pytest.raises(ConfigurationError, match=r"an integer or 2 of them, got 1\.5"):
        nn.ReflectionPad1d(1.5)  # type: ignore[arg-type]
