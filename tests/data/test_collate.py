"""Batches are made of samples as PyTorch makes them."""

from collections import OrderedDict, defaultdict, namedtuple

import numpy as np
import pytest
import torch
import torch.utils.data as theirs

import nnscratch
from nnscratch import nn
from nnscratch.data import DataLoader, default_collate, default_convert
from nnscratch.errors import DataError, DTypeError

Point = namedtuple("Point", ["x", "label"])
A = np.arange(3, dtype=np.float32)

BATCHES = {
    "integers": [1, 2],
    "booleans": [True, False],
    "floats": [0.5, 1.5],
    "float64 scalars": [np.float64(0.5), np.float64(1)],
    "float32 scalars": [np.float32(0.5), np.float32(1)],
    "int32 scalars": [np.int32(5), np.int32(6)],
    "float64 arrays": [A.astype("f8"), A.astype("f8")],
    "uint8 arrays": [A.astype("u1"), A.astype("u1")],
    "boolean arrays": [A > 1, A > 2],
    "arrays without dimensions": [np.array(1.0), np.array(2.0)],
    "texts": ["a", "b"],
    "bytes": [b"a", b"b"],
    "pairs": [(A, 1), (A, 2)],
    "three": [(A, 1, "a"), (A, 2, "b")],
    "one": [(A,), (A,)],
    "lists": [[A, 0.5], [A, 1.5]],
    "nested": [(A, (1, [2, 3])), (A, (4, [5, 6]))],
    "dictionaries": [{"x": A, "y": 1}, {"x": A, "y": 2}],
    "deep dictionaries": [{"x": {"z": A, "name": "a"}}, {"x": {"z": A, "name": "b"}}],
    "ordered": [OrderedDict(a=1, b=A), OrderedDict(a=2, b=A)],
    "default": [defaultdict(int, a=1), defaultdict(int, a=2)],
    "named tuples": [Point(A, 1), Point(A, 2)],
    "ranges": [range(2), range(2)],
}


def shown(item):
    """Everything of a batch that can be compared: kinds, dtypes, values."""
    if isinstance(item, (torch.Tensor, nnscratch.Tensor)):
        return (str(item.dtype).removeprefix("torch."), tuple(item.shape), item.tolist())
    if isinstance(item, dict):
        return ("dict", {key: shown(value) for key, value in item.items()})
    if isinstance(item, (list, tuple)):
        return (type(item).__name__, [shown(part) for part in item])
    return item


@pytest.mark.parametrize("name", BATCHES)
def test_batches_are_pytorchs(name):
    batch = BATCHES[name]
    assert shown(default_collate(batch)) == shown(theirs.default_collate(batch))
    assert shown(default_convert(batch[0])) == shown(theirs.default_convert(batch[0]))


def test_batches_of_a_loader_are_pytorchs():
    for name, batch in BATCHES.items():
        samples = batch * 3
        ours = [shown(one) for one in DataLoader(samples, batch_size=4)]
        assert ours == [shown(one) for one in theirs.DataLoader(samples, batch_size=4)], name


def test_tensors_keep_their_graph():
    w = nnscratch.ones(2, requires_grad=True)
    made = default_collate([(w * 2, 0), (w * 3, 1)])
    made[0].sum().backward()
    assert w.grad.tolist() == [5.0, 5.0]
    assert nn.Linear(2, 1)(made[0]).shape == (2, 1)


@pytest.mark.parametrize(
    ("batch", "error", "message"),
    [
        ([np.zeros(2), np.zeros(3)], DataError, "different shapes"),
        ([[1, 2], [1]], DataError, "different lengths"),
        ([], DataError, "no samples"),
        ([None, None], DTypeError, "collate_fn"),
        ([object()], DTypeError, "collate_fn"),
        ([np.array(["a"]), np.array(["b"])], DTypeError, "collate_fn"),
    ],
)
def test_samples_that_are_no_batch(batch, error, message):
    with pytest.raises(error, match=message):
        default_collate(batch)
