"""What code for PyTorch may say in many ways gives its tensor, or an error where it refuses."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from calls import MATRIX, Call, same

import nnscratch
from nnscratch.errors import ConfigurationError, DeviceError, DTypeError, ShapeError

WAYS: dict[str, Call] = {
    "a list with lists is a tuple": lambda lib, x: x[[[0, 1], [1, 0]]],
    "a list with one list": lambda lib, x: x[[[0, 1]]],
    "a list with a slice": lambda lib, x: x[[slice(None), 0]],
    "a list of tensors": lambda lib, x: x[[lib.tensor(0), lib.tensor(1)]],
    "a list of numbers": lambda lib, x: x[[1, 0]],
    "a range": lambda lib, x: x[range(2)],
    "True": lambda lib, x: x[True],
    "False": lambda lib, x: x[False],
    "True behind a slice": lambda lib, x: x[:, True, 0],
    "a mask of no dimensions": lambda lib, x: x[lib.tensor(True)],
    "True behind a mask": lambda lib, x: x[x > 0, True],
    "a mask of a tensor of no dimensions": lambda lib, x: x[0, 0][lib.tensor(True)],
    "index_select by a number": lambda lib, x: x.index_select(1, lib.tensor(0)),
    "squeeze of no dimension": lambda lib, x: x[:1].squeeze(()),
    "logsumexp of several dimensions": lambda lib, x: x.logsumexp((0, 1)),
    "logsumexp keepdim": lambda lib, x: x.logsumexp([-1, 0], keepdim=True),
    "logsumexp of no dimensions": lambda lib, x: x[0, 0].logsumexp(0),
    "all of no dimension": lambda lib, x: (x > 0).all(()),
    "any of no dimension": lambda lib, x: (x > 0).any(dim=()),
    "sub(alpha=) of integers": lambda lib, x: x.sub(lib.tensor(2), alpha=0.5),
}


@pytest.mark.filterwarnings("ignore:Using a non-tuple sequence:UserWarning")
@pytest.mark.parametrize("name", WAYS)
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_ways_to_say_it(name: str, dtype: str) -> None:
    same(WAYS[name], MATRIX, dtype, rtol=2e-3 if dtype == "float16" else 1e-5)


@pytest.mark.filterwarnings("ignore:indexing with dtype torch.uint8:UserWarning")
def test_bytes_are_masks() -> None:
    def call(lib: Any, x: Any) -> Any:
        y = x * 1
        chosen = y[lib.tensor([0, 1], dtype=lib.uint8)]
        return lib.cat([chosen, y[:, lib.tensor([1, 0, 1], dtype=lib.uint8)].reshape(-1, 1)[:1]], 1)

    same(call, MATRIX)


REFUSED: dict[str, Call] = {
    "booleans less booleans": lambda lib, x: (x > 0) - (x < 0),
    "less True": lambda lib, x: x - True,
    "1 less booleans": lambda lib, x: 1 - (x > 0),
    "sub_ of booleans": lambda lib, x: x.detach().sub_(x > 0),
    "sum(True)": lambda lib, x: x.sum(True),
    "argmax(True)": lambda lib, x: x.argmax(True),
    "norm(1, True)": lambda lib, x: x.norm(1, True),
    "argmax of two": lambda lib, x: x.argmax((0, 1)),
    "max of two": lambda lib, x: x.max((0, 1)),
    "min(dim=[0])": lambda lib, x: x.min(dim=[0]),
    "index_select by a matrix": lambda lib, x: x.index_select(0, lib.tensor([[0, 1]])),
    "mm of a vector": lambda lib, x: x.mm(x[0]),
    "mm of batches": lambda lib, x: lib.mm(x[None], x.t()[None]),
    "bmm of matrices": lambda lib, x: lib.bmm(x, x.t()),
    "bmm of another batch": lambda lib, x: x[None].bmm(lib.stack([x.t(), x.t()])),
    "alpha among integers": lambda lib, x: x.int().add(x.int(), alpha=0.5),
    "clamp_ of integers to fractions": lambda lib, x: x.int().clamp_(0.5, 1.5),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_pytorch_refuses_is_refused(name: str) -> None:
    with pytest.raises((RuntimeError, TypeError, IndexError)):
        REFUSED[name](torch, torch.tensor(MATRIX))
    with pytest.raises((DTypeError, ShapeError)):
        REFUSED[name](nnscratch, nnscratch.tensor(MATRIX))


def test_words_of_creation() -> None:
    for lib in (nnscratch, torch):
        x = lib.ones(2, dtype=lib.float64)
        made = x.new_zeros((2, 2), device="cpu", requires_grad=True)
        assert made.requires_grad
        assert made.dtype == x.dtype
        assert x.new_full((1,), 3, device="cpu").tolist() == [3.0]
        for size in ((), (2,), (2, 0)):
            for made in (x.new_zeros(size=size), x.new_ones(size=size), x.new_empty(size=size)):
                assert tuple(made.shape) == size
        assert sorted(lib.randperm(3, dtype=lib.int32).tolist()) == [0, 1, 2]
        source = lib.Generator().manual_seed(3)
        first = lib.rand_like(x, generator=source).tolist()
        assert lib.rand_like(x, generator=source.manual_seed(3)).tolist() == first
        assert lib.randn_like(x, generator=source).dtype == x.dtype


NAMED: dict[str, Call] = {
    "reshape(shape=)": lambda lib, x: lib.reshape(x, shape=(3, 2)) + x.reshape(shape=(3, 2)),
    "view(size=)": lambda lib, x: x.view(size=(3, 2)),
    "permute(dims=)": lambda lib, x: lib.permute(x, dims=(1, 0)) + x.permute(dims=(1, 0)),
    "expand(size=)": lambda lib, x: x[:1].expand(size=(4, 3)),
    "repeat(repeats=)": lambda lib, x: x.repeat(repeats=(2, 1)),
    "ones_like(memory_format=)": lambda lib, x: (
        x * lib.ones_like(x, memory_format=lib.preserve_format)
    ),
    "zeros(pin_memory=)": lambda lib, x: x + lib.zeros(2, 3, dtype=x.dtype, pin_memory=False),
    "is_contiguous(memory_format=)": lambda lib, x: (
        x * x.is_contiguous(memory_format=lib.contiguous_format)
    ),
    "sum(input=)": lambda lib, x: lib.sum(input=x, dim=0),
    "transpose(input=)": lambda lib, x: lib.transpose(input=x, dim0=0, dim1=1),
    "softmax(input=)": lambda lib, x: lib.softmax(input=x, dim=-1),
    "add(input=, other=, alpha=)": lambda lib, x: lib.add(input=x, other=x, alpha=2),
    "gather(sparse_grad=)": lambda lib, x: lib.gather(
        input=x, dim=1, index=lib.tensor([[0], [2]]), sparse_grad=False
    ),
    "max(other=)": lambda lib, x: lib.max(x, other=-x),
    "min(other=)": lambda lib, x: x.min(other=-x),
    "dot(tensor=)": lambda lib, x: x[0].dot(tensor=x[1]),
    "split(split_size_or_sections=)": lambda lib, x: lib.split(
        tensor=x, split_size_or_sections=[1, 2], dim=1
    )[1],
    "tensor_split(sections=)": lambda lib, x: lib.tensor_split(x, sections=2, dim=1)[0],
    "tensor_split(indices=)": lambda lib, x: x.tensor_split(indices=(1,), dim=1)[1],
    "as_tensor(data=)": lambda lib, x: lib.as_tensor(data=x, dtype=lib.float64),
    "concatenate(axis=)": lambda lib, x: lib.concatenate([x, x], axis=1),
    "to(tensor=)": lambda lib, x: x.to(tensor=lib.ones(1, dtype=lib.float64)),
    "type(non_blocking=)": lambda lib, x: x.type(lib.float64, non_blocking=True),
    "cpu(memory_format=)": lambda lib, x: x.cpu(memory_format=lib.preserve_format),
    "copy_(non_blocking=)": lambda lib, x: (
        lib.zeros(2, 3, dtype=x.dtype).copy_(x.detach(), non_blocking=True) + (x * 0)
    ),
    "pow_(exponent=)": lambda lib, x: (x * 1).pow_(exponent=2),
    "addcmul_": lambda lib, x: (x * 1).addcmul_(tensor1=x, tensor2=x, value=2),
    "scatter_": lambda lib, x: (x * 1).scatter_(
        dim=1, index=lib.tensor([[0], [1]]), src=lib.ones(2, 1, dtype=x.dtype)
    ),
    "nan_to_num_": lambda lib, x: (x * 1).nan_to_num_(nan=0.0, posinf=1.0, neginf=0.0),
    "tril_": lambda lib, x: (x * 1).tril_(diagonal=-1),
    "round_(decimals=)": lambda lib, x: x.detach().round_(decimals=1),
    "asarray": lambda lib, x: lib.asarray(x.detach(), dtype=lib.float64) + x,
    "asarray(copy=)": lambda lib, x: lib.asarray(x.detach(), copy=True, requires_grad=True) * x,
    "from_dlpack": lambda lib, x: lib.from_dlpack(np.asarray([1.0, 2.0, 3.0])) * x,
}


@pytest.mark.parametrize("name", NAMED)
def test_arguments_by_name(name: str) -> None:
    same(NAMED[name], MATRIX)


def test_arguments_that_change_nothing_or_memory() -> None:
    for lib in (nnscratch, torch):
        x = lib.ones(3, requires_grad=True)
        assert x.numpy(force=True).tolist() == [1.0, 1.0, 1.0]
        drawn = lib.zeros(100).uniform_(to=0.5)
        assert 0.25 < float(drawn.max()) < 0.5
        held = np.ones(2, "float32")
        lib.asarray(held, copy=False)[0] = 3.0
        assert held.tolist() == [3.0, 1.0]
        with pytest.raises((ValueError, RuntimeError)):
            lib.asarray([1.0, 2.0], copy=False)
    assert nnscratch.rand(2, pin_memory=True).shape == (2,)
    model = nnscratch.nn.Linear(2, 1)
    assert model.to(memory_format=nnscratch.channels_last) is model
    for place in ("mps", "xpu:0", "meta"):
        for one in (nnscratch.ones(1), model):
            with pytest.raises(DeviceError, match="expected 'cpu', 'cuda' or 'cuda:N'"):
                one.to(place)
    for dtype in ("bfloat17", torch.quint8):
        with pytest.raises(DTypeError, match="expected one of bool"):
            nnscratch.ones(1).to(dtype)
    with pytest.raises(DTypeError, match="as_tensor"):
        nnscratch.from_dlpack([1.0])
    with pytest.raises(ConfigurationError, match="indices or sections once"):
        nnscratch.ones(4).tensor_split(2, sections=2)


@pytest.mark.filterwarnings("ignore:torch.asarray:UserWarning")
def test_what_asarray_shares_and_what_it_copies() -> None:
    class Given:
        """An object that has DLPack and nothing else."""

        def __init__(self, array: Any) -> None:
            self.array = array

        def __dlpack__(self, **options: Any) -> Any:
            return self.array.__dlpack__(**options)

        def __dlpack_device__(self) -> Any:
            return self.array.__dlpack_device__()

    for lib in (nnscratch, torch):
        x = lib.ones(2, requires_grad=True)
        assert not lib.asarray(x * 2, copy=True, requires_grad=False).requires_grad
        assert not lib.asarray(x * 2, requires_grad=False).requires_grad
        copied = lib.asarray(x * 2, copy=True)
        copied.sum().backward()  # a copy is a part of the graph
        assert x.grad.tolist() == [2.0, 2.0]
        assert not lib.asarray(x, copy=True, dtype=lib.float64).is_leaf
        for empty in (np.zeros((0, 3), np.float32), lib.zeros(0, 3)):
            assert lib.asarray(empty, copy=False).shape == (0, 3)
    held = np.zeros(3, np.float32)
    for given in (held, Given(held), torch.from_numpy(held), nnscratch.from_numpy(held)):
        assert nnscratch.asarray(given, copy=False).data_ptr() == held.ctypes.data
        assert nnscratch.asarray(given, copy=True).data_ptr() != held.ctypes.data
        with pytest.raises(ConfigurationError, match="float32 on cpu becomes float64 on cpu"):
            nnscratch.asarray(given, dtype="float64", copy=False)
    for given in ([1.0], 3.0, bytearray(4), np.float32(2)):
        with pytest.raises(ConfigurationError, match=type(given).__name__):
            nnscratch.asarray(given, copy=False)


@pytest.mark.parametrize("name", ["max", "min"])
def test_an_extreme_has_its_place_unless_numpy_asks(name: str) -> None:
    values = np.asarray([[0.5, 7.0, 2.0], [3.0, -1.0, 2.0]])
    results = []
    for lib in (nnscratch, torch):
        x, call = lib.tensor(values), getattr(lib, name)
        made = [call(x, 0, out=None), call(x, dim=1, keepdim=True, out=None), call(x, axis=0)]
        assert all(len(one) == 2 for one in made)
        pairs = [call(x, x.flip(0), out=None), getattr(x, name)(other=x * 2), call(x, out=None)]
        results.append([one.tolist() for pair in made for one in pair])
        results[-1] += [one.tolist() for one in pairs]
        for wrong in (
            lambda x: getattr(x, name)(0, other=x),
            lambda x: getattr(x, name)(x, other=x),
            lambda x: getattr(x, name)(x, keepdim=True),
        ):
            with pytest.raises((ConfigurationError, TypeError)):
                wrong(x)
    assert results[0] == results[1]
    asked = getattr(np, name)
    for axis in (None, 0, (0, 1)):
        assert asked(nnscratch.tensor(values), axis).tolist() == asked(values, axis).tolist()


TWICE: dict[str, Call] = {
    "view": lambda lib, x: x.view(3, 2, dtype=lib.int32),
    "view(size=)": lambda lib, x: x.view(size=(3, 2), dtype=lib.int32),
    "var": lambda lib, x: x.var(0, correction=0, ddof=2),
    "std": lambda lib, x: x.std(0, correction=0, ddof=0),
    "var(unbiased)": lambda lib, x: lib.var(x, 0, True, correction=0),
    "std(unbiased)": lambda lib, x: x.std(0, unbiased=False, correction=0),
    "sum": lambda lib, x: x.sum(dim=0, axis=0),
}


@pytest.mark.parametrize("name", TWICE)
def test_what_is_said_twice_is_refused(name: str) -> None:
    for lib in (nnscratch, torch):
        with pytest.raises((ConfigurationError, TypeError)):
            TWICE[name](lib, lib.ones(2, 3))


def test_words_of_compile() -> None:
    def step(x: Any) -> Any:
        return x * 2

    options = {"fullgraph": True, "dynamic": False, "backend": "inductor"}
    assert nnscratch.compile(step, mode="max-autotune", **options)(nnscratch.ones(1)).item() == 2.0
    assert nnscratch.compile(model=step)(nnscratch.ones(1)).item() == 2.0
    assert nnscratch.compile(step, disable=True) is step
    assert nnscratch.compile(disable=True)(step) is step
