"""Copies between arrays whose elements lie anyhow, and sums along any axes of them."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from emulator.driver import Emulator

from nnscratch.formulas import FORMULAS as ALL
from nnscratch.kernels.cuda import IMPLEMENTATIONS, KernelArgumentError
from nnscratch.kernels.cuda.copies import contiguous, copy, why_not
from nnscratch.kernels.cuda.launch import Strided
from nnscratch.kernels.cuda.source import signatures
from nnscratch.kernels.cuda.sums import sum_axes
from nnscratch.kernels.cuda.target import EagerBuilder, Target


@pytest.fixture
def target(emulator: Emulator) -> Target:
    emulator.launched.clear()
    return Target(EagerBuilder(emulator), emulator)


def numbers(dtype: Any, *shape: int) -> Any:
    return np.arange(np.prod(shape)).reshape(shape).astype(dtype)


FLOATS: list[tuple[str, Any]] = [
    ("copy_elements", lambda d: numbers(d, 5, 7)[:, ::2]),
    ("copy_elements", lambda d: numbers(d, 5, 7)[::-1, ::-1]),
    ("copy_elements", lambda d: numbers(d, 6, 12)[1:, 1:9]),
    ("copy_elements", lambda d: numbers(d, 2, 3, 4).transpose(2, 0, 1)),
    ("copy_elements", lambda d: np.broadcast_to(numbers(d, 7, 1), (3, 7, 5))),
    ("copy_elements", lambda d: numbers(d, 3, 2, 3, 2, 3, 2, 2)[::2, :, ::2, :, ::2, :, ::-1]),
    ("copy_packs", lambda d: numbers(d, 6, 12)[1:, 4:]),
    ("copy_packs", lambda d: numbers(d, 6, 3, 8)[:, 1:].transpose(1, 0, 2)),
    ("transpose_tiles", lambda d: numbers(d, 33, 70).T),
    ("transpose_tiles", lambda d: numbers(d, 2, 40, 3, 9).transpose(3, 0, 2, 1)),
    ("transpose_tiles", lambda d: numbers(d, 70, 9)[:, ::-1].T[::-1]),
    ("copy", lambda d: numbers(d, 4, 6)),
]


@pytest.mark.parametrize(("kernel", "source"), FLOATS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_copies_of_floats(
    kernel: str, source: Any, dtype: str, target: Target, emulator: Emulator
) -> None:
    A = source(dtype)
    Y = np.empty(A.shape, dtype)
    copy(target, A, Y)
    np.testing.assert_array_equal(Y, A)
    assert emulator.launched == [kernel]
    # And from order into a place that lies so, which keeps what is beside it.
    if kernel != "copy" and 0 not in A.strides:
        A.base.flat[:] = -1.0
        copy(target, Y, A)
        np.testing.assert_array_equal(A, Y)
        assert (A.base == -1.0).sum() == A.base.size - A.size


@pytest.mark.parametrize(
    ("kernel", "source"),
    [
        ("copy_integers", numbers("int64", 9, 6)[:, :-1]),
        ("copy_masks", (numbers("int64", 9, 6) % 2 == 0).T),
    ],
    ids=["integers", "masks"],
)
def test_copies_of_others(kernel: str, source: Any, target: Target, emulator: Emulator) -> None:
    made = contiguous(target, source)
    assert made.flags.c_contiguous
    np.testing.assert_array_equal(made, source)
    assert emulator.launched == [kernel]
    assert contiguous(target, made) is made


def test_every_copy_is_tested() -> None:
    assert set(signatures("copies")) == {kernel for kernel, _ in FLOATS} - {"copy"} | {
        "copy_integers",
        "copy_masks",
    }


def test_what_no_copy_takes(target: Target) -> None:
    assert "int32" in str(why_not(numbers("int32", 4, 4).T))
    record = np.zeros(5, [("a", "f4"), ("b", "i1")])["a"]
    assert "multiple" in str(why_not(record))
    wrong = Strided(numbers("float64", 4, 4).T)
    arguments = (wrong, wrong, 16, bytes(192))
    with pytest.raises(KernelArgumentError, match="array of float32 as x, got one of float64"):
        target.launch("copies", "copy_elements", "float32", (1,), arguments)


def test_more_axes_than_a_kernel_has(target: Target, emulator: Emulator) -> None:
    whole = numbers("float32", *(3,) * 10)
    for A in (whole[(slice(None, None, 2),) * 10], whole[:1, ::2][(slice(None, 2),) * 10]):
        shape = (2, *A.shape[1:])
        Y = np.empty(shape, np.float32)
        copy(target, A, Y)
        np.testing.assert_array_equal(Y, np.broadcast_to(A, shape))
        assert emulator.launched == ["copy_elements"] * len(emulator.launched)
        assert len(emulator.launched) > 1
        emulator.launched.clear()
    Y = np.empty((2,) * 9, np.float32)
    copy(target, whole[0][(slice(2),) * 9][0], Y)
    np.testing.assert_array_equal(Y[1], whole[0, 0][(slice(2),) * 8])


def test_a_copy_in_tiles_takes_several_turns() -> None:
    plain = Emulator("plain")
    A = numbers("float32", 40, 70)
    Y = np.zeros((70, 40), np.float32)
    sizes = (40, 70, 1, 1, 1, 1, 1, 1)
    axes = np.array([sizes, (70, 1, 0, 0, 0, 0, 0, 0), (1, 40, 0, 0, 0, 0, 0, 0)])
    arguments = (A, Y, 6, axes.tobytes())
    plain.launch("copies", "transpose_tiles", "float32", (2,), arguments, (32, 8))
    np.testing.assert_array_equal(Y, A.T)


@pytest.mark.parametrize("shape", [(5, 7, 3, 2), (2, 600, 3), (700, 40), (1200,), (3, 1, 1300)])
def test_sums_along_any_axes(shape: Any, target: Target, rng: Any) -> None:
    whole = rng.standard_normal(shape).astype(np.float32)
    for A in (whole, whole.T, whole[::-1], np.broadcast_to(whole[:1], shape)):
        for count in range(1, A.ndim + 1):
            for axes in itertools.combinations(range(A.ndim), count):
                kept = [n for axis, n in enumerate(A.shape) if axis not in axes]
                Y = np.empty(kept, np.float32)
                sum_axes(target, A, axes, Y, 0.5)
                expected = 0.5 * A.sum(axis=axes, dtype=np.float64)
                np.testing.assert_allclose(Y, expected, rtol=1e-6, atol=1e-6)


def test_sums_repeat_bit_for_bit_in_any_order_of_threads(rng: Any) -> None:
    A = rng.standard_normal((1700, 40)).astype(np.float32)
    made = []
    for schedule in (0, 1, 2):
        driver = Emulator("plain", schedule)
        for axis in (0, 1):
            made.append(IMPLEMENTATIONS["sum"].on(driver).forward(A, axis=axis)[0].tobytes())
    assert made[:2] == made[2:4] == made[4:]


def test_more_axes_than_a_sum_goes_over(target: Target, emulator: Emulator, rng: Any) -> None:
    A = rng.standard_normal((2, 3) * 5).astype(np.float32)
    Y = np.empty((3,) * 5, np.float32)
    sum_axes(target, A, (0, 2, 4, 6, 8), Y)
    np.testing.assert_allclose(Y, A.sum(axis=(0, 2, 4, 6, 8)), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_softmax_along_any_axis(name: str, emulator: Emulator, rng: Any) -> None:
    kernel, X = IMPLEMENTATIONS[name].on(emulator), rng.standard_normal((3, 5, 4))
    for axis in (0, 1, -2, 2):
        assert kernel.refuses("forward", (X,), {"axis": axis}) is None
        Y, saved = kernel.forward(X, axis=axis)
        truth, kept = ALL[name].forward(X, axis=axis)
        np.testing.assert_allclose(Y, truth, rtol=1e-13)
        dY = rng.standard_normal(X.shape)
        (dX,) = kernel.backward(dY, saved, (True,))
        np.testing.assert_allclose(dX, ALL[name].backward(dY, kept, (True,))[0], atol=1e-13)
    assert "no such axis" in str(kernel.refuses("forward", (X,), {"axis": 3}))


@pytest.mark.parametrize("name", ["copy_into", "accumulate"])
def test_a_target_that_its_source_overlaps_is_not_taken(name: str, emulator: Emulator) -> None:
    X = np.arange(16.0, dtype="float32").reshape(4, 4)
    kernel = IMPLEMENTATIONS[name].on(emulator)
    for target, source in ((X, X[::-1]), (X[1:], X[:-1]), (X, X.T)):
        assert kernel.refuses("update", (target, source), {}) is not None
    assert "overlap" in str(kernel.refuses("update", (X[1:], X[:-1]), {}))
    assert kernel.refuses("update", (X, X.copy()), {}) is None
