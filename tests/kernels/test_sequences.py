"""Attention and the LSTM: the same bits for any number of threads, heads where they lie."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from nnscratch.formulas import FORMULAS, registry
from nnscratch.kernels import cpu

RNG = np.random.default_rng(0)


class Threads:
    """A builder that runs each instruction by so many threads."""

    def __init__(self, count: int) -> None:
        self.count = count

    def output(self, position: int, shape: tuple[int, ...], dtype: Any) -> Any:
        """Return a new array."""
        return np.full(shape, np.nan, dtype)

    def empty(self, shape: tuple[int, ...], dtype: Any) -> Any:
        """Return a new array."""
        return np.full(shape, np.nan, dtype)

    def emit(self, kernel: Any, a: Any, s: Any = (), flags: int = 0) -> None:
        """Run an instruction."""
        table = cpu.Table()
        table.add(kernel, a, s, flags)
        table.build().run(self.count)


def normal(*shape: int) -> Any:
    return RNG.standard_normal(shape).astype(np.float32)


def calls(name: str) -> tuple[tuple[Any, ...], dict[str, Any]]:
    if name == "lstm":
        t, n, i, h = 3, 37, 5, 24
        weights = (normal(4 * h, i), normal(4 * h, h), normal(4 * h), normal(4 * h))
        return (normal(t, n, i), normal(n, h), normal(n, h), *weights), {"reverse": True}
    return (normal(1, 3, 150, 16), normal(1, 3, 150, 16), normal(1, 3, 150, 20)), {
        "is_causal": True
    }


@pytest.mark.parametrize("name", ["scaled_dot_product_attention", "lstm"])
def test_bits_do_not_depend_on_threads(name: str) -> None:
    inputs, options = calls(name)
    kernel = cpu.IMPLEMENTATIONS[name]
    found = []
    for count in (1, 2, 3, 7):
        builder: Any = Threads(count)
        outputs, saved = kernel.lower(builder, "forward", inputs, options, ())
        given = tuple(
            np.cos(np.arange(one.size)).reshape(one.shape).astype("f4") for one in outputs
        )
        gradients, _ = kernel.lower(builder, "backward", (*given, *saved), {}, (True,) * 7)
        found.append([one.tobytes() for one in (*outputs, *gradients) if one is not None])
    assert all(one == found[0] for one in found)
    assert FORMULAS[name].outputs == (("Y", "H_T", "C_T") if name == "lstm" else ())


def test_heads_of_a_transposed_projection_are_not_copied() -> None:
    # As several heads come of one product: (batch, rows, heads, width), the heads moved forward.
    wide = [normal(2, 70, 3, 16) for _ in range(3)]
    heads = [one.transpose(0, 2, 1, 3) for one in wide]
    formula = FORMULAS["scaled_dot_product_attention"]
    with registry.use_kernels("require"):
        Y, saved = registry.forward(formula, *heads)
        got = registry.backward(formula, Y, saved, (True,) * 3)
    with registry.use_kernels("off"):
        exact, kept = registry.forward(formula, *heads)
        wanted = registry.backward(formula, exact, kept, (True, True, True, False))
    assert saved.Q is heads[0]
    np.testing.assert_allclose(Y, exact, 1e-5, 1e-5)
    for one, other in zip(got, wanted, strict=True):
        if other is not None:
            np.testing.assert_allclose(one, other, 1e-4, 1e-5)
