"""The one table of tolerances: how far a result may be from the truth, and why.

The truth is the reference formula in float64 on inputs that were rounded to the dtype under test. A
result may be off by ``ULPS`` units in the last place for the handful of roundings in a formula, and
by ``GROWTH`` times the square root of the length of its longest sum: roundings of random sign grow
no faster. A sum is measured against its largest entry and against the size that random terms
reach, ``magnitude · sqrt(terms)``, since a single entry may cancel to almost nothing.

Parity with PyTorch, whose own roundings differ, has the tolerances of ``torch.testing``.
"""

from __future__ import annotations

from typing import Any

import numpy as np

EPS = {"float16": 2.0**-10, "float32": 2.0**-23, "float64": 2.0**-52}
ULPS = 16.0
GROWTH = 2.0

# Complex step: nothing is subtracted or truncated. Five points: h⁴ and rounding over h, h = 1e-3.
NUMERIC = {"complex": 1e-12, "five-point": 1e-9}

# rtol, atol as in torch.testing.assert_close.
PARITY = {"float16": (1e-3, 1e-5), "float32": (1.3e-6, 1e-5), "float64": (1e-7, 1e-7)}


def allowed(truth: Any, dtype: str, terms: int = 1, magnitude: float = 1.0) -> Any:
    """Return for each entry how far a result in that dtype may be from the truth."""
    size = np.abs(truth)
    finite = np.where(np.isfinite(size), size, 0.0)
    if terms > 1:
        finite = np.maximum(np.max(finite, initial=0.0), magnitude * terms**0.5)
    else:
        finite = np.maximum(finite, magnitude)
    return EPS[dtype] * (ULPS + GROWTH * terms**0.5) * finite


def assert_near(got: Any, truth: Any, dtype: str, terms: int, magnitude: float, what: str) -> None:
    """Assert that a result is near the truth, with NaN and infinities in the same places."""
    got = np.asarray(got)
    truth = np.asarray(truth)
    assert got.shape == truth.shape, f"{what}: shape {got.shape}, expected {truth.shape}"
    if truth.dtype.kind in "biu":
        assert np.array_equal(got, truth), f"{what}: {got} is not exactly {truth}"
        return
    if truth.dtype.kind == "c":
        got, truth = got.astype(truth.dtype), truth.copy()
        got, truth = got[..., None].view(np.float64), truth[..., None].view(np.float64)
    got = got.astype(np.float64)
    with np.errstate(all="ignore"):
        near = np.abs(got - truth) <= allowed(truth, dtype, terms, magnitude)
    limit = np.finfo(dtype).max
    overflow = (np.abs(truth) > limit) & (got == np.copysign(np.inf, truth))
    good = near | (got == truth) | (np.isnan(got) & np.isnan(truth)) | overflow
    if not good.all():
        worst = np.argmax(np.where(good, -1.0, np.nan_to_num(np.abs(got - truth), nan=np.inf)))
        place = np.unravel_index(worst, truth.shape)
        limit = np.broadcast_to(allowed(truth, dtype, terms, magnitude), truth.shape)[place]
        raise AssertionError(
            f"{what}: {np.sum(~good)} of {truth.size} entries are off; at "
            f"{tuple(map(int, place))} {got[place]!r}, expected {truth[place]!r} ± {limit:.2g}"
        )
