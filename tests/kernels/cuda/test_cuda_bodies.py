"""Elementwise kernels made of bodies: their text, broadcasting, and numbers as operands."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from emulator.driver import Emulator

from nnscratch.array import maths
from nnscratch.array.maths import exp, where
from nnscratch.formulas import FORMULAS
from nnscratch.formulas.fused import FUSABLE
from nnscratch.formulas.pointwise import unchanged
from nnscratch.kernels.bodies import NotABodyError, parsed
from nnscratch.kernels.cuda import IMPLEMENTATIONS
from nnscratch.kernels.cuda.bodies import formulas, function, functions, kernels
from nnscratch.kernels.cuda.source import signatures, text

THREE = 3


def bump(X, width):
    return where(X < THREE, exp(-X / width), 0.0)


def twice(X):
    return bump(X, 2.0) + bump(X, 2.0)


def between(X):
    return where(-1.0 < X < 1.0, X, 0.0)


def test_a_body_is_a_device_function() -> None:
    lines = function(parsed(bump)).splitlines()
    assert lines[0].endswith("__bump(REAL X, REAL width) {")
    assert lines[1] == (
        "  return word_where((X < REAL(3.0)), word_exp(((-X) / width)), REAL(0.0));"
    )
    whole = functions([parsed(twice), parsed(bump)])
    assert whole.count("__bump(REAL X, REAL width)") == 1
    assert whole.index("__bump(REAL X") < whole.index("__twice(REAL X")


def test_what_cuda_has_no_words_for_is_refused() -> None:
    with pytest.raises(NotABodyError, match=r"between.*no '-1.0 < X < 1.0'"):
        function(parsed(between))


def test_every_elementwise_formula_has_its_kernels() -> None:
    assert set(formulas()) <= set(IMPLEMENTATIONS)
    for name in formulas():
        declared = signatures(name)
        for kernel in kernels(name).values():
            assert kernel.name in declared
            assert (f"{kernel.name}_broadcast" in declared) == kernel.broadcasts
    assert text("linear").count("struct Activation<") == len(FUSABLE) + 1


def test_every_word_is_written_for_each_compiler() -> None:
    from nnscratch.kernels.cpu.words import WORDS

    # Those that only formulas without loops use are words of arrays alone.
    header = set(re.findall(r"DEVICE \w+ (word_\w+)\(", text("relu")))
    assert set(WORDS) == header <= {f"word_{name}" for name in maths.__all__}
    bodies = "".join(
        functions([parsed(body)])
        for f in FORMULAS.values()
        if f.has_loops
        for body in (f.pointwise.forward, *f.pointwise.backward.values())
        if body is not unchanged
    )
    assert set(re.findall(r"word_\w+", bodies)) <= header


SHAPES: list[tuple[Any, Any]] = [
    ((7, 5), (5,)),
    ((7, 1), (1, 5)),
    ((2, 3, 1, 5), (3, 4, 1)),
    ((2, 1, 3, 1, 2), (1, 4, 1, 5, 2)),
    ((), (6,)),
    ((1, 1), ()),
    ((4, 9), (4, 1)),
]


@pytest.mark.parametrize("shapes", SHAPES, ids=str)
@pytest.mark.parametrize("name", ["subtract", "divide", "less", "power"])
def test_operands_that_broadcast(name: str, shapes: Any, emulator: Emulator, rng: Any) -> None:
    A, B = (np.asarray(rng.uniform(0.5, 2.0, shape), np.float32) for shape in shapes)
    kernel = IMPLEMENTATIONS[name].on(emulator)
    if kernel.refuses("forward", (A, B), {}) is not None:
        assert "axes are left" in str(kernel.refuses("forward", (A, B), {}))
        assert len(shapes[0]) > 4
        return
    Y, saved = kernel.forward(A, B)
    truth, kept = FORMULAS[name].forward(A, B)
    assert (Y.shape, Y.dtype) == (truth.shape, truth.dtype)
    np.testing.assert_allclose(Y, truth, rtol=1e-6)
    if FORMULAS[name].backward is None or truth.dtype != np.float32:
        return
    dY = np.asarray(rng.standard_normal(Y.shape), np.float32)
    expected = FORMULAS[name].backward(dY, kept, (True, True))
    for got, one in zip(kernel.backward(dY, saved, (True, True)), expected, strict=True):
        np.testing.assert_allclose(got, one, rtol=1e-5, atol=1e-6)


def test_numbers_as_operands(emulator: Emulator, rng: Any) -> None:
    X = rng.uniform(0.5, 2.0, (9, 7)).astype(np.float32)
    for name in ("subtract", "multiply", "power", "maximum", "greater"):
        kernel = IMPLEMENTATIONS[name].on(emulator)
        for inputs in ((X, 1.25), (1.25, X)):
            assert kernel.refuses("forward", inputs, {}) is None
            np.testing.assert_allclose(
                kernel.forward(*inputs)[0], FORMULAS[name].forward(*inputs)[0], rtol=1e-6
            )
    C = X > 1
    chosen = IMPLEMENTATIONS["where"].on(emulator).forward(C, 0.0, X)[0]
    np.testing.assert_array_equal(chosen, np.where(C, np.float32(0), X))


def test_operands_that_no_kernel_takes(emulator: Emulator) -> None:
    add, relu = (IMPLEMENTATIONS[name].on(emulator) for name in ("add", "relu"))
    X = np.ones((2, 3), np.float32)
    assert "do not broadcast" in str(add.refuses("forward", (X, X[:, :2].copy()), {}))
    assert "is no number" in str(add.refuses("forward", (X, "one"), {}))
    assert "A is bool" in str(add.refuses("forward", (X > 0, X), {}))
    assert "not of the shape" in str(relu.refuses("backward", (X, X[0].copy()), {}))
