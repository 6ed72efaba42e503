"""Kernels that only read and write: what is compared, what is timed, and the bytes they move."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from benchmarks.competitors import elementwise
from benchmarks.competitors.elementwise import (
    CALLS,
    Kernels,
    Reference,
    block,
)
from benchmarks.competitors.registry import EAGER, TORCH, Entry
from benchmarks.competitors.torch_elementwise import TorchKernels
from benchmarks.stopwatch import calls
from benchmarks.stopwatch.calls import TOLERANCE, repeats_in, run_call
from benchmarks.stopwatch.client import environment
from benchmarks.stopwatch.measuring import Effort, disagreement
from nnscratch.formulas import FORMULAS, registry

ONE = environment(1, "cpu")
TINY = Effort(rounds=2, turn=1e-4, warm=1e-4, budget=1.0, rest=0.0)
COMPARED = [name for name, call in CALLS.items() if call.formula != "dropout"]


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """For this process only: those that are started have arrays of full size."""
    monkeypatch.setattr(elementwise, "BLOCK", 16)
    monkeypatch.setattr(calls, "BLOCK", 16)
    monkeypatch.setattr(elementwise, "CHECKED", 3)


@pytest.mark.parametrize(
    ("kind", "name"),
    [*((Kernels, name) for name in CALLS), *((TorchKernels, name) for name in COMPARED)],
)
def test_calls_agree_with_the_reference(kind: type[Kernels], name: str) -> None:
    expected = Reference(name, 1).evidence(1)
    made = kind(name, 2)
    made.run(3)
    assert disagreement(made.evidence(1), expected, "infer") <= TOLERANCE
    assert 0.0 < max(map(abs, expected))


@pytest.mark.parametrize("name", CALLS)
def test_kernels_take_the_calls_and_the_reference_takes_none(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(elementwise, "BLOCK", 128)  # enough for every kernel to pay
    call = CALLS[name]
    with registry.observing(registry.CallLog()) as log:
        Kernels(name, 4).run(1)
    assert log.ran[-1] == (call.formula, call.direction, "numba")
    with registry.observing(registry.CallLog()) as log:
        Reference(name, 1).evidence(1)
    assert {implementation for _, _, implementation in log.ran} == {"reference"}


@pytest.mark.parametrize("name", CALLS)
def test_the_bytes_are_those_of_the_arrays_in_the_formula(name: str) -> None:
    call, formula = CALLS[name], FORMULAS[CALLS[name].formula]
    inputs, dY = block(call)
    entries = elementwise.BLOCK * elementwise.COLUMNS
    if call.formula == "linear_activation":
        # dY and the activation's output or input are read, dZ is written.
        moved = 3 * 4 * entries
    elif call.direction == "update":
        updated = len([one for one in formula.updates if one != "Vmax"])
        moved = 4 * entries * (len(inputs) + updated)
    else:
        Y, saved = formula.forward(*inputs, **call.options)
        arrays: list[Any] = [*inputs, Y, *saved]
        if call.direction == "backward":
            assert formula.backward is not None
            arrays = [dY, *saved, *formula.backward(dY, saved, call.needs)]
        different = {id(one): one for one in arrays if np.ndim(one)}.values()
        moved = sum(one.nbytes for one in different)
    assert call.moves * entries == moved


def test_arrays_are_the_block_again_and_again() -> None:
    (X,), _ = block(CALLS["elementwise-relu"])
    made = Kernels("elementwise-relu", 1).give(X, 3)
    assert np.array_equal(made, np.concatenate([X, X, X]))
    tensor = TorchKernels("elementwise-relu", 1).give(X, 3)
    assert np.array_equal(tensor.numpy(), made)
    (X, W, b), _ = block(CALLS["elementwise-bias-relu-backward"])
    assert Kernels("elementwise-relu", 1).give(W, 3).shape == W.shape
    assert np.abs(X @ W.T + b).min() >= 1 / 16


def test_arrays_shrink_until_they_fit() -> None:
    need = calls.BYTES_AN_ENTRY * elementwise.BLOCK * elementwise.COLUMNS
    # A fifth of the card is left to others.
    fitting = [repeats_in(round(blocks * need / 0.8)) for blocks in (0.5, 1.1, 9, 127, 129)]
    assert fitting == [1, 1, 8, 64, 128]
    assert repeats_in(0) == repeats_in(1 << 50) == calls.REPEATS


def test_a_row_from_start_to_end() -> None:
    row = run_call("elementwise-adam", TINY, device="cpu", memory=0, variables=ONE, repeats=1)
    assert set(row.timings) == {EAGER, TORCH}, row.absent
    assert (row.subject, row.flops) == (EAGER, 0)
    assert row.bytes == 28 * elementwise.BLOCK * elementwise.COLUMNS
    row.rates = {"memory": 2 * row.bytes / row.timings[EAGER].median, "sgemm": 1.0}
    assert row.memory_share(EAGER) == pytest.approx(0.5)


def test_who_draws_other_numbers_is_named_and_who_is_wrong_is_not_timed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    wrong = Entry(EAGER, "bench_fakes:OffByAThousandth", "ours")
    monkeypatch.setattr(calls, "ENTRIES", (wrong, calls.ENTRIES[1]))
    name = "elementwise-dropout-backward"
    row = run_call(name, TINY, device="cpu", memory=0, variables=ONE, repeats=1)
    assert not row.timings
    assert row.absent[EAGER].startswith("not timed: its outputs differ by")
    assert "other random numbers" in row.absent[TORCH]
