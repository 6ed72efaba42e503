"""Eager calls of elementwise formulas, whose loops are found again: the same bits as described."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from nnscratch.formulas import FORMULAS, registry
from nnscratch.kernels.cpu.elementwise import elementwise
from nnscratch.kernels.cpu.implementation import EagerBuilder
from nnscratch.kernels.cpu.operands import Operands

SHAPE = (40, 1200)  # enough for a kernel to pay, whatever the formula


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
    for place in (
        np.empty(SHAPE, dtype),
        np.empty(SHAPE[::-1], dtype).T,
        np.empty((80, 1200), dtype)[::2],
    ):
        (made,) = through(EagerBuilder, name, "backward", (dY, *saved), (place,))
        assert made is place
        np.testing.assert_array_equal(place, wanted)
