"""Rows by their indices in kernels: the same bits for any number of threads, and bad indices."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from threads import Threads

import nnscratch
from nnscratch.errors import IndexRangeError
from nnscratch.formulas import FORMULAS, registry
from nnscratch.kernels import cpu
from nnscratch.kernels.cpu.implementation import EagerBuilder
from nnscratch.kernels.cpu.runtime.heap import MAPPED
from nnscratch.nn import functional


def calls(name: str, dtype: str) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return the inputs and the options of a case."""
    rng = np.random.default_rng(0)
    W = rng.standard_normal((30, 37)).astype(dtype)
    I = rng.integers(0, 30, (23, 7))
    weights = rng.standard_normal((23, 7)).astype(dtype)
    offsets = np.array([0, 3, 3, 90, 161])
    return {
        "embedding": ((W, I), {"padding_idx": 4}),
        "mean of bags": ((W, I), {"padding_idx": 4}),
        "sum of bags": ((W, I, None, weights), {"mode": "sum", "padding_idx": 4}),
        "bags by offsets": ((W, I.ravel(), offsets), {"mode": "mean"}),
    }[name]


@pytest.mark.parametrize("name", ["embedding", "mean of bags", "sum of bags", "bags by offsets"])
def test_threads_change_no_bit_and_values_are_those_of_the_formula(
    name: str, dtype: str, tolerance: Any
) -> None:
    inputs, options = calls(name, dtype)
    formula = "embedding_bag" if "bags" in name else name
    kernel = cpu.IMPLEMENTATIONS[formula]
    assert kernel.refuses("forward", inputs, options) is None
    with registry.use_kernels("off"):
        wide = [one.astype("f8") if getattr(one, "dtype", "") == dtype else one for one in inputs]
        right, kept = registry.forward(FORMULAS[formula], *wide, **options)
        dY = np.cos(np.arange(right.size)).reshape(right.shape)
        needs = (True, False, False, len(inputs) > 3)[: max(2, len(inputs))]
        needs += (False,) * (len(FORMULAS[formula].inputs) - len(needs))
        truth = [right, *registry.backward(FORMULAS[formula], dY, kept, needs)]
    found = []
    for count in (1, 2, 3, 7):
        outputs, saved = kernel.lower(Threads(count), "forward", inputs, options, ())
        given = (dY.astype(dtype), *saved)
        assert kernel.refuses("backward", given, {}) is None
        gradients, _ = kernel.lower(Threads(count), "backward", given, {}, needs)
        found.append([*outputs, *gradients])
    for index, wanted in enumerate(truth):
        if wanted is None:
            assert all(one[index] is None for one in found)
            continue
        assert all(one[index].tobytes() == found[0][index].tobytes() for one in found)
        np.testing.assert_allclose(found[0][index], wanted, **tolerance(dtype, 64))


@pytest.mark.parametrize("columns", [1, 3, 16, 64, 65, 300])
@pytest.mark.parametrize("rows", [1, 2, 700])
def test_every_row_of_a_gradient_is_some_threads(columns: int, rows: int) -> None:
    rng = np.random.default_rng(columns)
    I = np.minimum(rng.zipf(1.3, 1000), rows) - 1
    dY = rng.standard_normal((I.size, columns))
    kernel = cpu.IMPLEMENTATIONS["embedding"]
    _, saved = registry.forward(FORMULAS["embedding"], np.ones((rows, columns)), I)
    right = np.zeros((rows, columns))
    np.add.at(right, I, dY)
    for count in (1, 2, 3, 7, 16):
        (dW, _), _ = kernel.lower(Threads(count), "backward", (dY, *saved), {}, (True, False))
        np.testing.assert_array_equal(dW, right)


@pytest.mark.parametrize("given", [False, True])
def test_the_gradient_of_a_large_table_has_zeros_where_no_row_goes(given: bool) -> None:
    rows, columns = MAPPED // (4 * 256), 256
    rng = np.random.default_rng(0)
    I = np.concatenate([[0, rows - 1, 5, 5], rng.integers(0, rows, 996)]).reshape(-1, 4)
    dY = rng.integers(-9, 9, (*I.shape, columns)).astype(np.float32)
    formula = FORMULAS["embedding"]
    _, saved = registry.forward(formula, np.ones((rows, columns), np.float32), I)
    into = (np.full((rows, columns), np.nan, np.float32) if given else None, None)
    with registry.use_kernels("require"):
        dW, _ = registry.backward(formula, dY, saved, (True, False), into)
    assert (dW is into[0]) == given
    right = np.zeros((rows, columns), np.float32)
    np.add.at(right, I, dY)
    np.testing.assert_array_equal(dW, right)
    for changed in (rows, -1, 1 << 40):
        saved.I[-1] = changed
        with pytest.raises(IndexRangeError, match=f"from 0 to {rows - 1}"):
            registry.backward(formula, dY, saved, (True, False), into)


def test_zeros_come_from_the_system_where_memory_is_large_and_new() -> None:
    large, small = (MAPPED // 4,), (MAPPED // 4 - 1,)
    dtype = np.dtype("float32")
    new = EagerBuilder().new_zeros(0, large, dtype)
    assert (new.shape, new.dtype) == (large, dtype)
    assert not new.any()
    assert EagerBuilder().new_zeros(0, small, dtype) is None
    assert EagerBuilder((None,)).new_zeros(0, large, dtype) is not None
    assert EagerBuilder((np.empty(large, dtype),)).new_zeros(0, large, dtype) is None


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize(
    ("indices", "words"),
    [
        ([[0, 1], [2, 30]], r"embedding: .*from 0 to 29.*got 30"),
        ([[0, 1], [-1, 2]], r"embedding: .*from 0 to 29.*got -1"),
    ],
)
def test_an_index_out_of_range_is_named(indices: Any, words: str, compiled: bool) -> None:
    W = nnscratch.randn(30, 300)

    def run(I: Any) -> Any:
        return functional.embedding(I, W) * 2

    step = nnscratch.compile(run) if compiled else run
    good, bad = nnscratch.tensor([[0, 1], [2, 3]]), nnscratch.tensor(indices)
    for _ in range(3):
        assert step(good).shape == (2, 2, 300)
    with pytest.raises(IndexRangeError, match=words):
        step(bad)
    assert step(good).shape == (2, 2, 300)


def test_an_index_that_was_changed_since_the_forward_writes_nowhere() -> None:
    W, I = np.ones((5, 40)), np.array([[0, 1], [2, 3]])
    formula = FORMULAS["embedding_bag"]
    with registry.use_kernels("off"):
        Y, saved = registry.forward(formula, W, I, None, None, mode="sum")
    for changed in (1 << 40, 5, -1):
        I[1, 1] = changed
        with registry.use_kernels("require"), pytest.raises(IndexRangeError, match="from 0 to 4"):
            registry.backward(formula, np.ones_like(Y), saved, (True, False, False, False))


@pytest.mark.parametrize("offsets", [[1, 3], [0, 5, 4], [0, 9]])
def test_offsets_that_make_no_sense_are_named(offsets: list[int]) -> None:
    W, I = nnscratch.randn(30, 3000), nnscratch.tensor([0, 1, 2, 3, 4, 5])
    with pytest.raises(IndexRangeError, match=r"offsets start at 0, never fall .*the 6 indices"):
        functional.embedding_bag(I, W, nnscratch.tensor(offsets))


def test_a_compiled_step_of_a_language_model_leaves_no_lookup_to_python() -> None:
    made = []
    for compiled in (False, True):
        nnscratch.manual_seed(0)
        table = nnscratch.nn.Embedding(50, 40)
        optimizer = nnscratch.optim.SGD(table.parameters(), lr=0.1)
        I = nnscratch.tensor(np.random.default_rng(0).integers(0, 50, (6, 9)))

        def step(I: Any, table: Any = table, optimizer: Any = optimizer) -> Any:
            optimizer.zero_grad()
            loss = table(I).square().sum()
            loss.backward()
            optimizer.step()
            return loss

        run = nnscratch.compile(step) if compiled else step
        made.append([float(run(I)) for _ in range(4)])
        if compiled:
            (plan,) = run.plans
            assert plan.python == 0
    np.testing.assert_allclose(made[1], made[0], rtol=1e-5)
