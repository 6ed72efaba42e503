"""Eager calls that come again: to the bit what their lowering computes, and without it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from formulas.contract import NUMPY, needs_of, outputs_of, place

from nnscratch.formulas import FORMULAS, registry
from nnscratch.formulas.cases import Case, cases
from nnscratch.kernels.cpu.implementation import MOST_KINDS, CpuKernel
from nnscratch.kernels.cpu.known_calls import CallTaker, fitting, kind_of_call

REPEATING = [
    (name, one)
    for name in FORMULAS
    for one in registry.implementations(name)
    if isinstance(one, CpuKernel) and one.repeats
]


def lowered_anew(kernel: CpuKernel) -> CpuKernel:
    return replace(kernel, repeats=False)


def fresh(kernel: CpuKernel) -> CpuKernel:
    """A kernel that has met no calls yet."""
    return replace(kernel)


def without_lowering(kernel: CpuKernel, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise AssertionError("it was lowered")

    monkeypatch.setattr(CpuKernel, "lower", refuse)


def others(inputs: tuple[Any, ...], seed: int) -> tuple[Any, ...]:
    """Arrays of the same shapes and dtypes with other values, and what is no array as it is."""
    rng = np.random.default_rng(seed)
    return tuple(
        rng.uniform(0.5, 2.0, one.shape).astype(one.dtype) if isinstance(one, np.ndarray) else one
        for one in inputs
    )


def same(mine: Any, wanted: Any) -> None:
    for ours, theirs in zip(mine, wanted, strict=True):
        assert type(ours) is type(theirs)
        if isinstance(ours, np.ndarray):
            assert ours.dtype == theirs.dtype
            np.testing.assert_array_equal(ours, theirs, strict=True)
        else:
            assert ours == theirs


def test_some_kernels_repeat() -> None:
    assert {"standardize", "rms_norm", "softmax", "log_softmax"} <= {name for name, _ in REPEATING}


@pytest.mark.parametrize(
    ("name", "kernel", "case"),
    [
        pytest.param(name, kernel, case, id=f"{name}-{case.name}")
        for name, kernel in REPEATING
        for case in cases(name)
    ],
)
def test_every_case_again_with_other_values(name: str, kernel: CpuKernel, case: Case) -> None:
    formula, options = FORMULAS[name], dict(case.options)
    again, anew = fresh(kernel), lowered_anew(kernel)
    for dtype in ("float32", "float64"):
        given = tuple(place(one, dtype, NUMPY, "C") for one in case.build())
        if anew.refuses("forward", given, options) is not None:
            continue
        for seed in range(4):
            inputs = others(given, seed)
            Y, saved = again.forward(*inputs, **options)
            wanted, wanted_saved = anew.forward(*inputs, **options)
            same(outputs_of(Y), outputs_of(wanted))
            assert type(saved) is type(wanted_saved)
            same(saved, wanted_saved)
            needs = needs_of(formula, case.build())
            if not any(needs):
                continue
            dY = others(tuple(map(np.asarray, outputs_of(wanted))), seed + 9)
            dY = (dY[0], *(None,) * (len(dY) - 1))
            backward = (dY if formula.outputs else dY[0], saved)
            if anew.refuses("backward", (*dY, *saved), {}) is not None:
                continue
            for asked in (needs, (needs[0], *(False,) * (len(needs) - 1))):
                same(again.backward(*backward, asked), anew.backward(*backward, asked))


def layer(rows: int = 24) -> tuple[Any, ...]:
    rng = np.random.default_rng(rows)
    shapes = (rows, 48), (48,), (48,)
    return tuple(rng.standard_normal(shape).astype(np.float32) for shape in shapes)


OPTIONS: dict[str, Any] = {"axes": (1,), "first": 1, "eps": 1e-5}


@pytest.fixture
def standardize() -> CpuKernel:
    return fresh(next(kernel for name, kernel in REPEATING if name == "standardize"))


def test_the_third_call_is_not_lowered(
    standardize: CpuKernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    inputs, needs = layer(), (True,) * 3
    dY = (inputs[0] + 1, None, None)
    for _ in range(2):
        outputs, saved = standardize.forward(*inputs, **OPTIONS)
        gradients = standardize.backward(dY, saved, needs)
    without_lowering(standardize, monkeypatch)
    again, saved = standardize.forward(*inputs, **OPTIONS)
    same(again, outputs)
    assert saved.X is inputs[0]
    assert saved.V is again[2]
    same(standardize.backward(dY, saved, needs), gradients)
    assert standardize.refuses("forward", inputs, OPTIONS) is None
    with pytest.raises(AssertionError, match="it was lowered"):
        standardize.forward(*layer(25), **OPTIONS)


def test_gradients_go_into_the_arrays_that_are_given_and_fit(standardize: CpuKernel) -> None:
    inputs, needs = layer(), (True,) * 3
    _, saved = standardize.forward(*inputs, **OPTIONS)
    dY = (inputs[0] + 1, None, None)
    for _ in range(4):
        into = np.zeros((24, 48), np.float32), None, np.zeros(7, np.float32)
        found = standardize.backward_into(into, dY, saved, needs)
        assert found[0] is into[0]
        assert found[2] is not into[2]
        same(found, lowered_anew(standardize).backward(dY, saved, needs))


def test_nothing_of_an_earlier_call_is_kept_or_shared(standardize: CpuKernel) -> None:
    made = [standardize.forward(*layer(), **OPTIONS) for _ in range(4)]
    arrays = [one for outputs, _ in made for one in outputs]
    assert len({id(one) for one in arrays}) == len(arrays)
    assert not any(np.may_share_memory(a, b) for a in arrays for b in arrays if a is not b)
    assert all(one.base is None for one in arrays)


def test_shapes_that_never_come_again_are_forgotten(standardize: CpuKernel) -> None:
    for rows in range(1, MOST_KINDS + 5):
        standardize.forward(*layer(rows), **OPTIONS)
    assert 0 < len(standardize._known) <= MOST_KINDS


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"eps": 0.0}, {"eps": -0.0}),
        ({"eps": 0.0}, {"eps": 0}),
        ({"keep": True}, {"keep": 1}),
        ({"axes": (1,)}, {"axes": (-1,)}),
        ({"axes": (1,)}, {"axes": 1}),
        ({"first": 1}, {"last": 1}),
    ],
)
def test_what_differs_is_of_another_kind(one: Any, other: Any) -> None:
    assert kind_of_call("forward", layer(), one) != kind_of_call("forward", layer(), other)
    assert kind_of_call("forward", layer(), one) == kind_of_call("forward", layer(), dict(one))


def test_arrays_that_differ_are_of_another_kind() -> None:
    X, W, b = layer()
    kinds = [
        kind_of_call(direction, inputs, {})
        for direction, inputs in (
            ("forward", (X, W, b)),
            ("backward", (X, W, b)),
            ("forward", (X, W, None)),
            ("forward", (X, None, b)),
            ("forward", (X, W)),
            ("forward", (X.astype(np.float64), W, b)),
            ("forward", (X.reshape(48, 24), W, b)),
        )
    ]
    assert len(set(kinds)) == len(kinds)


def test_what_is_of_no_kind() -> None:
    X, W, _ = layer()
    raw = np.zeros(4 * W.size + 1, np.uint8)[1:].view(np.float32)
    for inputs in ((X.T, W), (X[::2], W), (X, X), (X, raw), (X, [1]), (X, (1, [2]))):
        assert kind_of_call("forward", inputs, {}) is None


class Keeper:
    """A builder that only allocates."""

    output = staticmethod(lambda position, shape, dtype, over=(): np.empty(shape, dtype))
    empty = staticmethod(np.empty)
    emit = python = check = staticmethod(lambda *_: None)


@pytest.mark.parametrize("what", ["python", "check"])
def test_a_call_of_which_python_is_a_part_is_not_known(what: str) -> None:
    taker = CallTaker(Keeper())
    made = taker.output(0, (3,), np.float32)
    assert taker.known((), (made,), None) is not None
    getattr(taker, what)(lambda: None)
    assert taker.known((), (made,), None) is None


def test_a_view_of_an_output_or_an_array_of_somebody_else_is_not_known() -> None:
    taker = CallTaker(Keeper())
    made = taker.output(0, (3,), np.float32)
    assert taker.known((), (made[:2],), None) is None
    assert taker.known((), (np.zeros(3),), None) is None
    assert taker.known((), (made,), (np.zeros(3),)) is None


def test_fitting() -> None:
    given = np.zeros((2, 3), np.float32)
    assert fitting(given, (2, 3), np.dtype("float32")) is given
    for unfit in (None, given.T, given.astype(np.float64), np.zeros((3, 2), np.float32).T):
        made = fitting(unfit, (2, 3), np.dtype("float32"))
        assert (made.shape, made.dtype, made.flags.c_contiguous) == ((2, 3), np.float32, True)
        assert made is not unfit
