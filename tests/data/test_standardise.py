"""Standardising: as scikit-learn does it, exact for constants, safe for extreme numbers."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.preprocessing import StandardScaler

from nnscratch.data import (
    Standardiser,
    load_digits,
)
from nnscratch.errors import ConfigurationError, DataError, ShapeError


def through_json(value: Any) -> Any:
    return json.loads(json.dumps(value, allow_nan=False))


moderate = st.floats(-1e6, 1e6).filter(lambda x: x == 0 or abs(x) > 1e-6)


@given(hnp.arrays(np.float64, hnp.array_shapes(min_dims=2, max_dims=2), elements=moderate))
def test_standardiser(X: npt.NDArray[Any]) -> None:
    standardiser = Standardiser.fit(X)
    Z = standardiser.transform(X, np.float64)
    assert Z.shape == X.shape
    assert standardiser.transform(X).dtype == np.float32
    np.testing.assert_allclose(standardiser.inverse_transform(Z), X, rtol=1e-9, atol=1e-9)
    constant = (X == X[0]).all(axis=0)
    assert (Z[:, constant] == 0.0).all()
    assert all(std == 1.0 for std, same in zip(standardiser.std, constant, strict=True) if same)
    again = Standardiser.from_dict(through_json(standardiser.to_dict()))
    assert again == standardiser
    assert again.transform(X).tobytes() == standardiser.transform(X).tobytes()


def test_standardiser_is_that_of_scikit_learn() -> None:
    X = load_digits().features(np.float64)
    ours, theirs = Standardiser.fit(X), StandardScaler().fit(X)
    np.testing.assert_allclose(ours.transform(X, np.float64), theirs.transform(X), atol=1e-12)


@pytest.mark.parametrize("value", [0.1, 1e308, -1e308, 5e-324, 1e-310])
def test_extreme_numbers(value: float) -> None:
    constant = Standardiser.fit(np.full((7, 1), value))
    assert constant == Standardiser((value,), (1.0,))
    spread = Standardiser.fit(np.array([[value], [-value]]))
    assert all(math.isfinite(std) and std > 0 for std in spread.std)
    assert np.isfinite(spread.transform(np.array([[value], [-value]]))).all()


def test_standardiser_messages() -> None:
    fit = Standardiser.fit
    with pytest.raises(ShapeError, match=r"pixels: expected the shape \(N, F\), got \(3,\)"):
        fit([1.0, 2.0, 3.0], name="pixels")
    with pytest.raises(DataError, match="there are no rows"):
        fit(np.zeros((0, 3)))
    bad = [[0.0, 1.0], [np.nan, 1.0], [0.0, np.inf]]
    with pytest.raises(DataError, match="2 of 3 rows hold a NaN or an infinity, first in row 2, f"):
        fit(bad)
    with pytest.raises(DataError, match="expected numbers"):
        fit([["a"]])
    fitted = fit([[1.0, 2.0], [3.0, 4.0]])
    with pytest.raises(
        ShapeError, match=r"expected the shape \(N, 2\), as in training; got \(1, 3"
    ):
        fitted.transform([[1.0, 2.0, 3.0]])
    with pytest.raises(ShapeError, match=r"expected the shape \(N, 2\)"):
        fitted.inverse_transform([1.0, 2.0])
    with pytest.raises(DataError, match=r"1 values are so far .* overflow float32 .* row 2"):
        fitted.transform([[0.0, 0.0], [1e300, 0.0]])
    with pytest.raises(ConfigurationError, match="floating-point dtype, got int64"):
        fitted.transform([[0.0, 0.0]], np.int64)
    with pytest.raises(ConfigurationError, match="a mean and a std for each feature: got 2 and 1"):
        Standardiser((0.0, 1.0), (1.0,))
