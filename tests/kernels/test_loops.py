"""Loops made of the bodies of formulas: strides, repeated axes, in place, threads, refusals."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest

from nnscratch.array.maths import exp, tanh
from nnscratch.formulas import FORMULAS
from nnscratch.formulas.sigmoids import logistic
from nnscratch.kernels import cpu
from nnscratch.kernels.bodies import NotABodyError, parsed
from nnscratch.kernels.cpu.operands import Operands
from nnscratch.kernels.strided import TooManyAxesError, walk

SIZES = (0, 1, 2, 31, 33, 257, 1025, 5000)
UNARY = sorted(name for name, f in FORMULAS.items() if f.has_loops and len(f.inputs) == 1)


class OnThreads:
    """A builder that runs each instruction with a number of threads."""

    def __init__(self, threads: int) -> None:
        self.threads = threads

    def emit(self, kernel: Any, a: Any, s: Any = (), flags: int = 0) -> None:
        table = cpu.Table()
        table.add(kernel, a, s, flags)
        table.build().run(self.threads)


def compute(body: Any, arrays: Any, target: Any, threads: int = 1, dtype: str = "float32") -> Any:
    loop = Operands(target.shape, dtype)
    loop.store(loop.apply(parsed(body), [loop.add(one) for one in arrays]), target)
    loop.emit_now(OnThreads(threads))
    return target


@pytest.mark.parametrize("name", UNARY)
def test_bits_do_not_depend_on_threads_or_on_working_in_place(
    name: str, dtype: str, rng: np.random.Generator
) -> None:
    words = FORMULAS[name].pointwise
    for size in SIZES:
        x = (3 * rng.standard_normal(size)).astype(dtype)
        options = [
            0.5 if value is inspect.Parameter.empty else value for value in words.options.values()
        ]
        values = [x, *options]
        found = []
        for threads in (1, 2, 3):
            found.append(compute(words.forward, values, np.empty_like(x), threads, dtype))
            place = x.copy()
            found.append(compute(words.forward, [place, *values[1:]], place, threads, dtype))
        for other in found[1:]:
            np.testing.assert_array_equal(other, found[0])


def product(A, B):
    return A * B


SHAPES = [
    ((3, 5), (3, 5)),
    ((3, 1), (1, 5)),
    ((), (7,)),
    ((2, 1, 4, 1), (3, 1, 5)),
    ((2, 3, 2, 3, 2, 3), (2, 1, 2, 1, 2, 1)),
    ((1, 1, 1), (1, 1, 1)),
]


@pytest.mark.parametrize(("a", "b"), SHAPES)
@pytest.mark.parametrize("turn", [False, True])
@pytest.mark.parametrize("step", [1, -1, 2])
def test_any_strides(a: Any, b: Any, turn: bool, step: int, rng: np.random.Generator) -> None:
    def made(shape: Any) -> Any:
        wide = rng.standard_normal([2 * n for n in shape]).astype(np.float32)
        one = wide[tuple(slice(None, None, step) for _ in shape)]
        one = one[tuple(slice(n) for n in shape)]
        return np.asarray(one)

    A, B = made(a), made(b)
    if turn and len(a) == len(b):
        A, B = A.T, B.T
    wanted = A * B
    for threads in (1, 2):
        np.testing.assert_array_equal(
            compute(product, [A, B], np.empty_like(wanted), threads), wanted
        )
        room = np.zeros([2 * n for n in wanted.shape], np.float32)
        target = room[tuple(slice(None, 2 * n, 2) for n in wanted.shape)]
        np.testing.assert_array_equal(compute(product, [A, B], target, threads), wanted)
        assert np.count_nonzero(room) == np.count_nonzero(wanted)  # nothing beside it


def test_other_dtypes_are_read_in_that_of_the_loop() -> None:
    A = np.linspace(-1, 1, 40, dtype=np.float32)
    for other in (np.arange(40), np.arange(40, dtype=np.int32), np.arange(40, dtype=np.uint8)):
        np.testing.assert_array_equal(
            compute(product, [A, other], np.empty_like(A)), A * other.astype("f4")
        )
    wide = np.empty(40)
    compute(product, [A, A], wide)
    np.testing.assert_array_equal(wide, (A * A).astype(np.float64))


def test_axes_become_one_where_they_lie_behind_one_another() -> None:
    assert walk((4, 5, 6), ((120, 24, 4),)).sizes == (120, 1, 1, 1)
    assert walk((4, 5, 6), ((120, 24, 4), (0, 24, 4))).sizes == (30, 4, 1, 1)
    assert walk((1, 1), ((8, 4),)).sizes == (1, 1, 1, 1)
    with pytest.raises(TooManyAxesError, match="5 axes"):
        walk((2, 3, 2, 3, 2), ((0, 8, 0, 4, 0),))


def with_loop(X):
    for _ in range(2):
        X = X + X
    return X


def with_power(X):
    return X**2


def with_a_stranger(X):
    return np.exp(X)


def without_return(X):
    X = X + X


def with_a_name_twice(X):
    Y = X + 1.0
    Y = Y * Y
    return Y


def with_its_parameter_again(X):
    X = X + 1.0
    return X


def with_text(X):
    return X + "one"


@pytest.mark.parametrize(
    ("body", "what"),
    [
        (with_loop, "for _ in"),
        (with_power, "Pow"),
        (with_a_stranger, "np.exp"),
        (without_return, "does not end in a return"),
        (with_a_name_twice, "assigns Y twice"),
        (with_its_parameter_again, "assigns X twice"),
        (with_text, "'one'"),
    ],
)
def test_what_is_no_body_is_refused_by_name(body: Any, what: str) -> None:
    with pytest.raises(NotABodyError, match=what):
        parsed(body)


def helped(X):
    return tanh(X) * logistic(exp(X))


def test_bodies_may_use_bodies() -> None:
    X = np.linspace(-2, 2, 50)
    np.testing.assert_allclose(compute(helped, [X], np.empty_like(X), dtype="float64"), helped(X))
