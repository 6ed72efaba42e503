"""Attention and recurrent layers: the same bits for any number of threads, heads where they lie."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest

from nnscratch.formulas import FORMULAS, registry
from nnscratch.kernels import cpu
from nnscratch.kernels.cpu import steps
from nnscratch.kernels.cpu.runtime import threads as policy

RNG = np.random.default_rng(0)


class Threads:
    """A builder that runs each instruction by so many threads."""

    def __init__(self, count: int) -> None:
        self.count = count

    def output(
        self, position: int, shape: tuple[int, ...], dtype: Any, over: tuple[Any, ...] = ()
    ) -> Any:
        """Return a new array."""
        return np.full(shape, np.nan, dtype)

    def empty(self, shape: tuple[int, ...], dtype: Any) -> Any:
        """Return a new array."""
        return np.full(shape, np.nan, dtype)

    def is_constant(self, array: Any) -> bool:
        """Say no."""
        return False

    def emit(self, kernel: Any, a: Any, s: Any = (), flags: int = 0) -> None:
        """Run an instruction."""
        table = cpu.Table()
        table.add(kernel, a, s, flags)
        table.build().run(self.count)


def normal(*shape: int) -> Any:
    return RNG.standard_normal(shape).astype(np.float32)


GATES = {"lstm": 4, "gru": 3, "rnn": 1}


def calls(name: str, n: int = 37, h: int = 24) -> tuple[tuple[Any, ...], dict[str, Any]]:
    if name in GATES:
        t, i, rows = 3, 5, GATES[name] * h
        first = [normal(n, h) for _ in range(2 if name == "lstm" else 1)]
        weights = (normal(rows, i), normal(rows, h), normal(rows), normal(rows))
        return (normal(t, n, i), *first, *weights), {"reverse": True}
    return (normal(1, 3, 150, 16), normal(1, 3, 150, 16), normal(1, 3, 150, 20)), {
        "is_causal": True
    }


@pytest.mark.parametrize(
    ("name", "n", "h"),
    [
        ("scaled_dot_product_attention", 3, 16),
        *((name, n, 24) for name in GATES for n in (37, 32, 22, 7, 3)),
        *((name, n, h) for name in GATES for n, h in ((1, 256), (1, 181), (2, 150), (3, 100))),
    ],
)
def test_bits_do_not_depend_on_threads(
    name: str, n: int, h: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(policy, "_most", 7)
    inputs, options = calls(name, n, h)
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


@pytest.mark.parametrize("threads", [1, 2, 5])
@pytest.mark.parametrize(("n", "h"), [(1, 192), (2, 145), (3, 130)])
@pytest.mark.parametrize("name", GATES)
def test_units_of_few_sequences_are_shared_with_the_numbers_of_the_formula(
    name: str, n: int, h: int, threads: int, dtype: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(policy, "_most", threads)
    monkeypatch.setattr(steps, "WORTH_MEETING", 1 << 10)
    inputs = tuple([(0.2 * one).astype(dtype) for one in calls(name, n, h)[0]])
    kernel, formula, builder = cpu.IMPLEMENTATIONS[name], FORMULAS[name], Threads(threads)
    outputs, saved = kernel.lower(builder, "forward", inputs, {}, ())
    with registry.use_kernels("off"):
        wanted, kept = registry.forward(formula, *inputs)
    dY = tuple([np.cos(np.arange(one.size, dtype=dtype)).reshape(one.shape) for one in wanted])
    needs = (True,) * len(inputs)
    gradients, _ = kernel.lower(builder, "backward", (*dY, *saved), {}, needs)
    with registry.use_kernels("off"):
        wanted = (*wanted, *registry.backward(formula, dY, kept, (*needs, False, False)))
    limits = (1e-4, 1e-4) if dtype == "float32" else (1e-12, 1e-12)
    for one, other in zip((*outputs, *gradients), wanted, strict=False):
        if one is not None:
            np.testing.assert_allclose(one, other, *limits)


def test_a_sequence_beside_those_of_other_python_threads() -> None:
    """Threads that share its units meet each other, and nobody who runs alone meanwhile."""
    inputs, _ = calls("lstm", 1, 256)
    kernel = cpu.IMPLEMENTATIONS["lstm"]
    wanted = kernel.lower(Threads(1), "forward", inputs, {}, ())[0][0].tobytes()
    wrong: list[int] = []

    def work() -> None:
        for _ in range(100):
            outputs, _ = kernel.lower(Threads(2), "forward", inputs, {}, ())
            if outputs[0].tobytes() != wanted:
                wrong.append(1)

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not wrong


def test_the_slope_of_relu_is_one_where_a_state_is_nan(dtype: str) -> None:
    """It is zero where a state is zero or less; what is not known is passed on."""
    X, H = np.full((2, 1, 1), np.nan, dtype), np.ones((1, 1), dtype)
    X[0] = -3
    W, U = np.ones((2, 1, 1), dtype)
    given = {"nonlinearity": "relu"}
    kernel = cpu.IMPLEMENTATIONS["rnn"]
    outputs, saved = kernel.forward(X, H, W, U, None, None, None, **given)
    assert outputs[0][0] == 0
    assert np.isnan(outputs[0][1])
    one = [np.ones_like(each) for each in outputs]
    gradients = kernel.backward(tuple(one), saved, (True,) * 7)
    assert gradients[0].ravel().tolist() == [0.0, 2.0]
    assert "tanh, relu" in str(
        kernel.refuses("forward", (X, H, W, U, None, None, None), {"nonlinearity": "x"})
    )


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


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("biases", [(True, True), (True, False), (False, True), (False, False)])
@pytest.mark.parametrize("name", ["gru", "rnn", "relu"])
def test_recurrent_layers_give_the_numbers_of_their_formulas(
    name: str, biases: tuple[bool, bool], reverse: bool
) -> None:
    t, n, i, h = 5, 11, 7, 19  # no multiple of a panel
    formula, rows = FORMULAS["gru" if name == "gru" else "rnn"], (3 * h if name == "gru" else h)
    options: dict[str, Any] = {"reverse": reverse}
    if name == "relu":
        options["nonlinearity"] = "relu"
    given = [normal(rows) if one else None for one in biases]
    inputs = (normal(t, n, i), normal(n, h), 0.3 * normal(rows, i), 0.3 * normal(rows, h), *given)
    dY = (normal(t, n, h), normal(n, h))
    needs = (True, True, True, True, *biases, False)
    found = []
    for kernels in ("require", "off"):
        with registry.use_kernels(kernels):
            outputs, saved = registry.forward(formula, *inputs, None, **options)
            some = [registry.backward(formula, one, saved, needs) for one in (dY, (None, dY[1]))]
            found.append([*outputs, *some[0], *some[1]])
    for one, other in zip(*found, strict=True):
        if other is not None:
            np.testing.assert_allclose(one, other, 2e-4, 2e-5)


def test_lengths_are_left_to_the_formula() -> None:
    made, (inputs, _) = cpu.IMPLEMENTATIONS["gru"], calls("gru")
    lengths = np.full(37, 2)
    assert made.refuses("forward", inputs, {}) is None
    assert "lengths" in str(made.refuses("forward", (*inputs, lengths), {}))
