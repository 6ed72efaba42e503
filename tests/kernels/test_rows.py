"""Eager calls of elementwise formulas, whose loops are found again: the same bits as described."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from nnscratch.formulas import FORMULAS, registry
from nnscratch.kernels import cpu
from nnscratch.kernels.cpu.elementwise import elementwise
from nnscratch.kernels.cpu.implementation import EagerBuilder
from nnscratch.kernels.cpu.operands import Operands

SHAPE = (40, 1200)


def arrays(dtype: str, count: int) -> list[Any]:
    rng = np.random.default_rng(3)
    return [rng.uniform(0.5, 2.0, SHAPE).astype(dtype) for _ in range(count)]


class Described(EagerBuilder):
    """A builder for which every loop is described anew."""


def through(
    kind: type[EagerBuilder], name: str, direction: str, inputs: Any, into: Any = ()
) -> Any:
    builder = kind(into)
    made = elementwise(FORMULAS[name])
    needs = (True,) * len(FORMULAS[name].inputs)
    return made.lower(builder, direction, inputs, {}, needs)[0]


@pytest.mark.parametrize("name", ["multiply", "divide", "add", "maximum", "power", "less"])
def test_one_array_twice_numbers_and_layouts(name: str, dtype: str) -> None:
    a, b = arrays(dtype, 2)
    for inputs in ((a, b), (a, a), (a, 2.0), (0.5, b), (a, b[:1]), (a.T, b.T), (a[::2], b[::2])):
        found = [through(one, name, "forward", inputs)[0] for one in (EagerBuilder, Described)]
        np.testing.assert_array_equal(*found)
        again = through(EagerBuilder, name, "forward", inputs)[0]
        np.testing.assert_array_equal(again, found[0])


@pytest.mark.parametrize("name", ["multiply", "divide", "maximum"])
def test_gradients_of_one_array_twice(name: str, dtype: str) -> None:
    a, b, dY = arrays(dtype, 3)
    for inputs in ((a, b), (a, a)):
        _, saved = registry.forward(FORMULAS[name], *inputs)
        for given in ((dY, *saved), (a, *saved)):
            ours = through(EagerBuilder, name, "backward", given)
            theirs = through(Described, name, "backward", given)
            for mine, described in zip(ours, theirs, strict=True):
                np.testing.assert_array_equal(mine, described)


def test_a_loop_is_described_once_and_found_again(monkeypatch: pytest.MonkeyPatch) -> None:
    described = []
    original = Operands.emit_now
    monkeypatch.setattr(
        Operands, "emit_now", lambda self, builder: (described.append(1), original(self, builder))
    )
    made, (a, b) = elementwise(FORMULAS["multiply"]), arrays("float32", 2)
    for inputs in ((a, b), (b, a), (a[:20], b[:20]), (a.reshape(-1), b.reshape(-1))):
        made.lower(EagerBuilder(), "forward", inputs, {}, ())
    assert len(described) == 1
    made.lower(EagerBuilder(), "forward", (a, a), {}, ())
    made.lower(EagerBuilder(), "forward", (a.T, b.T), {}, ())
    assert len(described) == 3


@pytest.mark.parametrize("name", ["relu", "tanh", "gelu"])
def test_a_gradient_that_is_written_where_it_is_wanted(name: str, dtype: str) -> None:
    x, dY = arrays(dtype, 2)
    _, saved = registry.forward(FORMULAS[name], x)
    wanted = through(Described, name, "backward", (dY, *saved))[0]
    place = np.empty(SHAPE, dtype)
    (made,) = through(EagerBuilder, name, "backward", (dY, *saved), (place,))
    assert made is place
    np.testing.assert_array_equal(place, wanted)


def test_an_array_with_gaps_is_not_written_into() -> None:
    """Kernels write in order, so the gradient comes in an array of its own, and is all there."""
    rng = np.random.default_rng(5)
    X = rng.normal(size=(20, 30)).astype("float32")
    W, b = rng.normal(size=(2, 30)).astype("float32")
    images, weights = rng.normal(size=(2, 3, 9, 9)), rng.normal(size=(4, 3, 3, 3))
    fields = {"stride": (1, 1), "padding": ((1, 1), (1, 1)), "dilation": (1, 1), "groups": 1}
    for name, inputs, options in (
        ("linear", (X, rng.normal(size=(30, 30)).astype("float32"), b), {}),
        ("standardize", (X, W, b), {"axes": (-1,), "first": 1, "eps": 1e-5}),
        ("rms_norm", (X, W), {"dims": 1, "eps": 1e-5}),
        ("convolution", (images, weights, None), fields),
        ("tanh", (X,), {}),
    ):
        kernel, needs = cpu.IMPLEMENTATIONS[name], tuple(one is not None for one in inputs)
        Y, saved = kernel.forward(*inputs, **options)
        first = rng.normal(size=(Y[0] if FORMULAS[name].outputs else Y).shape)
        first = first.astype(inputs[0].dtype)
        given = (first, None, None) if FORMULAS[name].outputs else first
        wanted = kernel.backward(given, saved, needs)
        places = tuple(
            None if one is None else np.full((*one.shape, 2), np.nan, one.dtype)[..., 0]
            for one in wanted
        )
        made = kernel.backward_into(places, given, saved, needs)
        for one, right, place in zip(made, wanted, places, strict=True):
            if right is not None:
                assert one is not place
                np.testing.assert_array_equal(one, right)


@pytest.mark.parametrize("name", ["add", "multiply", "negative", "less"])
def test_one_operation_of_numpy_is_left_to_it(name: str) -> None:
    large = np.zeros(1 << 22, "float32")
    inputs = (large,) * len(FORMULAS[name].inputs)
    assert not elementwise(FORMULAS[name]).worthwhile("forward", inputs)


@pytest.mark.parametrize("name", ["relu", "exp", "tanh", "silu", "gelu"])
def test_what_takes_several_passes_is_not(name: str) -> None:
    assert elementwise(FORMULAS[name]).worthwhile("forward", (np.zeros(1 << 16, "float32"),))
