"""The bundled digits, and the class that holds labelled images."""

from __future__ import annotations

import hashlib
from importlib.resources import files

import numpy as np
import pytest
from sklearn import datasets

from nnscratch.data import LabelledImages, load_digits
from nnscratch.errors import ConfigurationError, DataError


def test_digits_are_those_of_scikit_learn() -> None:
    digits, theirs = load_digits(), datasets.load_digits()
    np.testing.assert_array_equal(digits.images, theirs.images)
    np.testing.assert_array_equal(digits.labels, theirs.target)
    assert digits.images.dtype == np.uint8
    assert digits.labels.dtype == np.int64
    assert (digits.name, len(digits), digits.classes, digits.white) == ("digits", 1797, 10, 16)
    assert digits.class_names == tuple("0123456789")


def test_digits_never_change() -> None:
    digits = load_digits()
    content = digits.images.tobytes() + digits.labels.astype(np.uint8).tobytes()
    assert hashlib.sha256(content).hexdigest() == (
        "87ff0c9e40dc7e2c0e34e7257799c2e3f3aec1a016363bb11cad869ec428a826"
    )


def test_counts_are_those_of_the_published_test_set() -> None:
    # From the description of the data set in the UCI repository.
    published = [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    assert np.bincount(load_digits().labels).tolist() == published


def test_licence_lies_beside_the_file() -> None:
    licence = files("nnscratch.data").joinpath("bundled", "LICENSE.txt").read_text("utf-8")
    assert "CC BY 4.0" in licence
    assert "https://doi.org/10.24432/C50P49" in licence
    assert "Alpaydin" in licence


def test_features() -> None:
    digits = load_digits()
    features = digits.features()
    assert features.dtype == np.float32
    assert features.shape == (1797, 64)
    assert features.min() == 0.0
    assert features.max() == 1.0
    assert digits.features(np.float64).dtype == np.float64
    with pytest.raises(ConfigurationError, match="floating-point dtype, got int32"):
        digits.features(np.int32)


def test_take() -> None:
    digits = load_digits()
    part = digits.take([5, 3])
    np.testing.assert_array_equal(part.images, digits.images[[5, 3]])
    np.testing.assert_array_equal(part.labels, digits.labels[[5, 3]])
    assert part.white == 16


def test_messages() -> None:
    images, labels = np.zeros((2, 3, 3), np.uint8), np.zeros(2, np.int64)
    with pytest.raises(DataError, match=r"data: expected images of shape \(N, height, width\)"):
        LabelledImages("data", images[0], labels)
    with pytest.raises(DataError, match=r"data: expected labels of shape \(N,\) in whole numbers"):
        LabelledImages("data", images, labels.astype(np.float64))
    with pytest.raises(DataError, match="data: 2 images but 1 labels"):
        LabelledImages("data", images, labels[:1])
