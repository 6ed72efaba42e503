import numpy as np
import pytest

from nnscratch.data import TensorDataset
from nnscratch.errors import ConfigurationError, DataError
from nnscratch.tensors import Tensor


def test_arrays_become_the_default_dtypes_and_tensors_stay_as_they_are():
    double = Tensor(np.zeros((2, 1)))
    data = TensorDataset(
        np.zeros((2, 3)), np.array([1, 0], np.uint8), np.array([True, False]), [1.5, 2.5], double
    )
    assert [str(t.dtype) for t in data.tensors] == [
        "float32",
        "int64",
        "int64",
        "float32",
        "float64",
    ]
    assert data.tensors[-1].array is double.array


def test_float32_arrays_are_not_copied():
    X = np.zeros((4, 2), np.float32)
    assert TensorDataset(X).arrays[0] is X


def test_samples_by_number_slice_and_tensor():
    data = TensorDataset(np.arange(6.0).reshape(3, 2), np.array([5, 6, 7]))
    x, y = data[1]
    assert (x.tolist(), y.item()) == ([2.0, 3.0], 6)
    assert data[1:][1].tolist() == [6, 7]
    assert data[Tensor(np.array([2, 0]))][1].tolist() == [7, 5]
    assert data.take(np.array([2, 0]))[0].tolist() == [[4.0, 5.0], [0.0, 1.0]]


def test_slices_share_memory_and_takes_do_not():
    data = TensorDataset(np.zeros((4, 2), np.float32))
    assert np.shares_memory(data.slice(1, 3)[0].array, data.arrays[0])
    assert not np.shares_memory(data.take(np.array([1]))[0].array, data.arrays[0])


def test_to_its_own_device_is_the_same_object():
    data = TensorDataset(np.zeros(2))
    assert data.to("cpu") is data


@pytest.mark.parametrize(
    ("tensors", "error", "message"),
    [
        ((), ConfigurationError, "at least one tensor"),
        ((np.zeros((0, 2)),), DataError, "empty"),
        ((np.zeros(3), np.zeros(4)), DataError, "3, 4"),
        ((np.zeros(()),), ConfigurationError, "no dimensions"),
    ],
)
def test_errors(tensors, error, message):
    with pytest.raises(error, match=message):
        TensorDataset(*tensors)
