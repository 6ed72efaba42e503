"""Properties that hold for all shapes and indices, on examples that hypothesis finds."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from formulas.contract import STRICT, cotangent, place
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from nnscratch.array import to_numpy
from nnscratch.errors import ShapeError
from nnscratch.formulas import FORMULAS, GETITEM, MATMUL, SUM_TO, TAKE, registry
from nnscratch.formulas.checks import broadcast_shape

SIDES = {"min_side": 0, "max_side": 4}
PAIRS = hnp.mutually_broadcastable_shapes(num_shapes=2, max_dims=4, **SIDES)
SHAPES = hnp.array_shapes(min_dims=0, max_dims=4, **SIDES)


def numbers(shape: tuple[int, ...], seed: int = 0) -> Any:
    return np.asarray(np.random.default_rng(seed).standard_normal(shape))


def inner(A: Any, B: Any) -> float:
    return float(np.sum(np.asarray(A) * np.asarray(B)))


def adjoint(forward_value: Any, dY: Any, A: Any, dA: Any) -> None:
    """A linear map and its gradient are transposes of each other: <Y, dY> = <A, dA>."""
    assert dA.shape == A.shape
    assert math.isclose(inner(forward_value, dY), inner(A, dA), rel_tol=1e-9, abs_tol=1e-9)


@given(PAIRS)
def test_broadcast_shape_is_numpys(pair: Any) -> None:
    assert broadcast_shape("test", *pair.input_shapes) == pair.result_shape


@given(SHAPES, SHAPES)
def test_shapes_that_do_not_broadcast_are_refused(a: Any, b: Any) -> None:
    try:
        expected = np.broadcast_shapes(a, b)
    except ValueError:
        expected = None
    try:
        assert broadcast_shape("test", a, b) == expected
    except ShapeError:
        assert expected is None


@given(PAIRS, st.sampled_from(["add", "subtract", "multiply", "divide", "maximum", "minimum"]))
def test_binary_formulas_broadcast_as_numpy(pair: Any, name: str) -> None:
    A, B = (numbers(shape, seed) for seed, shape in enumerate(pair.input_shapes))
    Y, saved = registry.forward(FORMULAS[name], A, B)
    np.testing.assert_array_equal(Y, getattr(np, name)(A, B))
    gradients = registry.backward(FORMULAS[name], cotangent(Y.shape), saved, (True, True))
    for value, gradient in zip((A, B), gradients, strict=True):
        assert np.broadcast_shapes(gradient.shape, value.shape) == gradient.shape
        assert registry.forward(SUM_TO, gradient, shape=value.shape)[0].shape == value.shape


@given(PAIRS)
def test_sum_to_undoes_broadcasting(pair: Any) -> None:
    small, big = pair.input_shapes[0], pair.result_shape
    A, dY = numbers(small), numbers(big, 1)
    dA = registry.forward(SUM_TO, dY, shape=small)[0]
    adjoint(np.broadcast_to(A, big), dY, A, dA)
    # And its own gradient is broadcasting again.
    Y, saved = registry.forward(SUM_TO, dY, shape=small)
    (back,) = registry.backward(SUM_TO, A, saved, (True,))
    adjoint(Y, A, dY, back)


@given(st.data(), SHAPES)
def test_indices_are_numpys(data: st.DataObject, shape: Any) -> None:
    index = data.draw(hnp.basic_indices(shape, allow_newaxis=True))
    A = numbers(shape)
    Y, saved = registry.forward(GETITEM, A, index=index)
    np.testing.assert_array_equal(Y, np.asarray(A[index]))
    dY = numbers(Y.shape, 1)
    (dA,) = registry.backward(GETITEM, dY, saved, (True,))
    adjoint(Y, dY, A, dA)
    strict = registry.forward(GETITEM, place(A, "float64", STRICT), index=index)[0]
    np.testing.assert_array_equal(to_numpy(strict), Y)


@given(st.data(), hnp.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=5))
def test_take_adds_up_repeated_indices(data: st.DataObject, shape: Any) -> None:
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    size = shape[axis]
    indices = hnp.arrays(np.int64, SHAPES, elements=st.integers(-size, size - 1))
    I = data.draw(indices)
    A = numbers(shape)
    Y, saved = registry.forward(TAKE, A, I, axis=axis)
    np.testing.assert_array_equal(Y, np.take(A, I, axis=axis))
    dY = numbers(Y.shape, 1)
    dA, none = registry.backward(TAKE, dY, saved, (True, False))
    assert none is None
    adjoint(Y, dY, A, dA)


@given(SHAPES, st.data())
def test_transposes_and_reshapes_are_undone(shape: Any, data: st.DataObject) -> None:
    axes = tuple(data.draw(st.permutations(range(len(shape)))))
    A = numbers(shape)
    for name, options in (("transpose", {"axes": axes}), ("reshape", {"shape": (A.size,)})):
        Y, saved = registry.forward(FORMULAS[name], A, **options)
        (back,) = registry.backward(FORMULAS[name], Y, saved, (True,))
        np.testing.assert_array_equal(back, A)


@given(st.data(), SHAPES, st.booleans())
def test_sums_are_numpys(data: st.DataObject, shape: Any, keepdims: bool) -> None:
    axis = data.draw(st.none() | hnp.valid_tuple_axes(len(shape), min_size=0))
    A = numbers(shape)
    Y, saved = registry.forward(FORMULAS["sum"], A, axis=axis, keepdims=keepdims)
    np.testing.assert_array_equal(Y, A.sum(axis=axis, keepdims=keepdims))
    dY = numbers(Y.shape, 1)
    (dA,) = registry.backward(FORMULAS["sum"], dY, saved, (True,))
    adjoint(Y, dY, A, dA)


MATMULS = hnp.mutually_broadcastable_shapes(signature="(m?,k),(k,n?)->(m?,n?)", max_dims=4, **SIDES)


@given(MATMULS)
def test_matmul_has_all_the_cases_of_numpy(pair: Any) -> None:
    A, B = (numbers(shape, seed) for seed, shape in enumerate(pair.input_shapes))
    Y, saved = registry.forward(MATMUL, A, B)
    np.testing.assert_allclose(Y, np.matmul(A, B), rtol=1e-12)
    dY = numbers(Y.shape, 2)
    dA, dB = registry.backward(MATMUL, dY, saved, (True, True))
    adjoint(Y, dY, A, registry.forward(SUM_TO, dA, shape=A.shape)[0])
    adjoint(Y, dY, B, registry.forward(SUM_TO, dB, shape=B.shape)[0])


FINITE = st.floats(-1e4, 1e4)
ROWS = hnp.arrays(np.float64, st.tuples(st.integers(1, 4), st.integers(1, 6)), elements=FINITE)


@given(ROWS)
def test_softmax_is_a_distribution(X: Any) -> None:
    Y, saved = registry.forward(FORMULAS["softmax"], X, axis=1)
    np.testing.assert_allclose(Y.sum(axis=1), 1.0, rtol=1e-12)
    (dX,) = registry.backward(FORMULAS["softmax"], cotangent(Y.shape), saved, (True,))
    np.testing.assert_allclose(dX.sum(axis=1), 0.0, atol=1e-9)


@given(ROWS, st.floats(-1e3, 1e3))
def test_cross_entropy_does_not_see_a_shift(Z: Any, shift: float) -> None:
    T = np.zeros(len(Z), dtype=np.int64)
    L = registry.forward(FORMULAS["cross_entropy"], Z, T)[0]
    moved = registry.forward(FORMULAS["cross_entropy"], Z + shift, T)[0]
    np.testing.assert_allclose(L, moved, rtol=1e-9, atol=1e-9)
    assert L >= 0
