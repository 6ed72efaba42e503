"""Normalisation kernels against NumPy in float64: the same bits for any number of threads."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from threads import Threads

from nnscratch.formulas import RMS_NORM, STANDARDIZE, registry
from nnscratch.kernels import cpu
from nnscratch.kernels.normalized import form_of

# Axes of the mean, the first axis of the weights and how many they have, and shapes.
FORMS: dict[str, tuple[tuple[int, ...], int, int, list[tuple[int, ...]]]] = {
    "rows": ((-1,), 1, 1, [(1, 1), (7, 3), (300, 17), (65, 129), (3, 4099)]),
    "columns": ((0,), 1, 1, [(9, 1), (7, 3), (65, 65), (130, 200)]),
    "pictures": ((0, 2), 1, 1, [(2, 3, 5), (3, 33, 16), (2, 5, 4099)]),
    "groups": ((2, 3), 1, 2, [(2, 3, 2, 5), (3, 5, 7, 33)]),
}


def results(name: str, threads: int, forward: Any, options: Any, cotangents: Any) -> list[Any]:
    kernel = cpu.IMPLEMENTATIONS[name]
    outputs, saved = kernel.lower(Threads(threads), "forward", forward, options, ())
    needs = tuple(one is not None for one in forward)
    given = (*cotangents, *saved)
    gradients, _ = kernel.lower(Threads(threads), "backward", given, {}, needs)
    return [*outputs, *gradients]


@pytest.mark.parametrize("absent", ["", "W", "b", "Wb"])
@pytest.mark.parametrize("name", FORMS)
def test_threads_change_no_bit(
    name: str, absent: str, dtype: str, rng: Any, tolerance: Any
) -> None:
    axes, first, dims, shapes = FORMS[name]
    kernel = cpu.IMPLEMENTATIONS["standardize"]
    for shape in shapes:
        X = (rng.standard_normal(shape) * 3 + 5).astype(dtype)
        W, b = (
            None if word in absent else rng.standard_normal(shape[first : first + dims])
            for word in "Wb"
        )
        given = [X, *(None if one is None else one.astype(dtype) for one in (W, b))]
        options = {"axes": axes, "first": first, "eps": 1e-5}
        if absent == "Wb" and form_of(shape, axes, ()) is None:
            assert kernel.refuses("forward", tuple(given), options) is not None
            continue
        wide = [None if one is None else one.astype(np.float64) for one in given]
        with registry.use_kernels("off"):
            right, saved = registry.forward(STANDARDIZE, *wide, **options)
        cotangents = [rng.standard_normal(one.shape).astype(dtype) for one in right]
        needs = tuple(one is not None for one in given)
        for asked in ((True, True, True), (True, False, False), (True, True, False)):
            pairs = zip(cotangents, asked, strict=True)
            cotangent = tuple(one if yes else None for one, yes in pairs)
            made = [results("standardize", n, tuple(given), options, cotangent) for n in (1, 2, 3)]
            double = tuple(None if one is None else one.astype(np.float64) for one in cotangent)
            with registry.use_kernels("off"):
                truth = [*right, *registry.backward(STANDARDIZE, double, saved, needs)]
            for index, (one, wanted) in enumerate(zip(made[0], truth, strict=True)):
                if wanted is None:
                    assert all(other[index] is None for other in made)
                    continue
                assert all(other[index].tobytes() == one.tobytes() for other in made)
                np.testing.assert_allclose(one, wanted, **tolerance(dtype, X.size))


def test_what_is_left_of_many_small_pictures_is_added_exactly() -> None:
    """Fewer pixels than a register has lanes, in many pictures, the first ones far away."""
    X = np.random.default_rng(0).standard_normal((4096, 4, 4)).astype(np.float32)
    X[0] = 1e4
    options = {"axes": (0, 2), "first": 1, "eps": 1e-5}
    (_, mean, var), _ = cpu.IMPLEMENTATIONS["standardize"].forward(X, None, None, **options)
    wide = X.astype(np.float64)
    eps = float(np.finfo(np.float32).eps)
    np.testing.assert_allclose(mean.ravel(), wide.mean((0, 2)), 8 * eps)
    np.testing.assert_allclose(var.ravel(), wide.var((0, 2)), 8 * eps)


def test_a_row_whose_first_numbers_are_far_off_keeps_its_digits() -> None:
    """Those beside it in its group have first numbers of the usual kind, a NaN, or no spread."""
    X = np.random.default_rng(0).standard_normal((43, 500)).astype(np.float32)
    X[3::5, :16] += 1e4
    X[5], X[7, 90], X[8, 0], X[10, 50] = 1e4, np.nan, np.nan, np.inf
    options = {"axes": (-1,), "first": 1, "eps": 1e-5}
    kernel = cpu.IMPLEMENTATIONS["standardize"]
    made = [kernel.lower(Threads(n), "forward", (X, None, None), options, ())[0] for n in (1, 2, 3)]
    for other in made[1:]:
        assert [one.tobytes() for one in other] == [one.tobytes() for one in made[0]]
    Y, mean, var = (one.reshape(43, -1) for one in made[0])
    lost = ~np.isfinite(X).all(1)
    assert np.isnan(Y[lost]).all()
    wide = X[~lost].astype(np.float64)
    right, spread = wide.mean(1, keepdims=True), wide.var(1, keepdims=True)
    eps = float(np.finfo(np.float32).eps)
    np.testing.assert_allclose(mean[~lost], right, 8 * eps, 8 * eps)
    np.testing.assert_allclose(var[~lost], spread, 16 * eps)
    np.testing.assert_allclose(Y[~lost], (wide - right) / np.sqrt(spread + 1e-5), 1e-5, 1e-6)


def test_root_mean_squares(dtype: str, rng: Any, tolerance: Any) -> None:
    for shape in FORMS["rows"][3]:
        X = rng.standard_normal(shape).astype(dtype)
        W, dY = (
            rng.standard_normal(shape[1]).astype(dtype),
            rng.standard_normal(shape).astype(dtype),
        )
        options = {"dims": 1, "eps": 1e-5}
        made = [results("rms_norm", n, (X, W), options, (dY,)) for n in (1, 2, 3)]
        with registry.use_kernels("off"):
            Y, saved = registry.forward(
                RMS_NORM, *(A.astype(np.float64) for A in (X, W)), **options
            )
            truth = [Y, *registry.backward(RMS_NORM, dY.astype(np.float64), saved, (True, True))]
        for index, (one, wanted) in enumerate(zip(made[0], truth, strict=True)):
            assert all(other[index].tobytes() == one.tobytes() for other in made)
            np.testing.assert_allclose(one, wanted, **tolerance(dtype, X.size))


def test_what_no_kernel_goes_over_is_refused() -> None:
    assert form_of((2, 3, 4), (0,), ()) is None
    assert form_of((2, 3, 4), (1,), ()) is None
    assert form_of((2, 3, 4), (0, 2), (1, 2)) is None
    assert form_of((2, 3, 4, 5), (3,), (1,)) is None
    kernel = cpu.IMPLEMENTATIONS["standardize"]
    X, W = np.ones((4, 3)), np.ones(3)
    options = {"axes": (0,), "first": 1, "eps": 0.0}
    assert kernel.refuses("forward", (X, W, None), options) is None
    assert "sizes" in str(kernel.refuses("forward", (X, np.ones(2), None), options))
    assert "axes" in str(kernel.refuses("forward", (X, W, None), {**options, "axes": (2,)}))
    saved = kernel.forward(X, W, None, **options)[1]
    assert "gradient of Y" in str(kernel.refuses("backward", (None, W, W, *saved), {}))


class InPlace(Threads):
    """Writes an output over an input where a lowering allows it."""

    def output(
        self, position: int, shape: tuple[int, ...], dtype: Any, over: tuple[Any, ...] = ()
    ) -> Any:
        return over[0] if over else np.empty(shape, dtype)


@pytest.mark.parametrize("shape", [(2, 3, 5), (3, 33, 16), (2, 5, 200), (2, 3, 4099)])
def test_pictures_pull_back_in_place(shape: tuple[int, ...], dtype: str, rng: Any) -> None:
    X, dY = (rng.standard_normal(shape).astype(dtype) for _ in range(2))
    W, b, dM, dV = (rng.standard_normal(shape[1]).astype(dtype) for _ in range(4))
    dY[0, 1, 2], X[0, 2, 3] = np.nan, np.inf
    kernel = cpu.IMPLEMENTATIONS["standardize"]
    options = {"axes": (0, 2), "eps": 1e-5}
    _, saved = kernel.lower(Threads(1), "forward", (X, W, b), options, ())
    needs = (True, True, True)
    for inputs in ((dM, dV), (None, None)):
        apart, _ = kernel.lower(Threads(2), "backward", (dY, *inputs, *saved), {}, needs)
        for threads in (1, 2):
            over = dY.copy()
            given = (over, *inputs, *saved)
            made, _ = kernel.lower(InPlace(threads), "backward", given, {}, needs)
            assert made[0] is over
            for one, wanted in zip(made, apart, strict=True):
                assert one.tobytes() == wanted.tobytes()


@pytest.mark.parametrize("pixels", [129, 200, 4099])
def test_pictures_whose_middles_are_far_from_the_mean(
    pixels: int, dtype: str, rng: Any, tolerance: Any
) -> None:
    X = rng.standard_normal((3, 4, pixels)).astype(dtype)
    middle = slice(pixels // 2 - 8, pixels // 2 + 8)
    X[:, 0, middle] += 300.0
    X[1, 1, middle] -= 1000.0
    X[:, 2] = 7.25
    X[2, 3] += 50.0
    kernel = cpu.IMPLEMENTATIONS["standardize"]
    options = {"axes": (0, 2), "eps": 1e-5}
    made, _ = kernel.lower(Threads(1), "forward", (X,), options, ())
    with registry.use_kernels("off"):
        right, _ = registry.forward(STANDARDIZE, X.astype(np.float64), **options)
    for one, wanted in zip(made, right, strict=True):
        np.testing.assert_allclose(one, wanted, **tolerance(dtype, X.size))
    assert made[2][2] == 0.0  # of equal numbers there is no variance


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_finite_spoils_its_channel_alone(bad: float, dtype: str, rng: Any) -> None:
    kernel = cpu.IMPLEMENTATIONS["standardize"]
    for place in (0, 100, 199):
        X = rng.standard_normal((2, 3, 200)).astype(dtype)
        clean, _ = kernel.lower(Threads(1), "forward", (X,), {"axes": (0, 2), "eps": 1e-5}, ())
        X[1, 1, place] = bad
        made, _ = kernel.lower(Threads(1), "forward", (X,), {"axes": (0, 2), "eps": 1e-5}, ())
        for one, wanted in zip(made, clean, strict=True):
            one, wanted = (np.moveaxis(np.atleast_2d(array), 1, 0) for array in (one, wanted))
            assert one[[0, 2]].tobytes() == wanted[[0, 2]].tobytes()
        assert np.isnan(made[0][:, 1]).all()
        assert np.isnan(made[2][1])
