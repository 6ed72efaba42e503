"""Tensor: values in and out, dtypes and promotion, shapes, arithmetic, as PyTorch has them."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from parity import assert_same, check, ours, theirs

import nnscratch
from nnscratch.errors import (
    ConfigurationError,
    DeviceError,
    DTypeError,
    GradientError,
    NNScratchError,
    ShapeError,
)

RNG = np.random.default_rng(0)
X = RNG.normal(size=(3, 4))
POSITIVE = RNG.uniform(0.5, 2.0, size=(3, 4))
CUBE = RNG.normal(size=(2, 3, 4))

METHODS: dict[str, tuple[Any, ...]] = {
    "exp": (lambda x: x.exp(), X),
    "log": (lambda x: x.log(), POSITIVE),
    "sqrt": (lambda x: x.sqrt(), POSITIVE),
    "rsqrt": (lambda x: x.rsqrt(), POSITIVE),
    "reciprocal": (lambda x: x.reciprocal(), POSITIVE),
    "abs": (lambda x: x.abs(), X),
    "abs()": (lambda x: abs(x), X),
    "neg": (lambda x: x.neg() + (-x) * (+x), X),
    "relu": (lambda x: x.relu(), X),
    "sigmoid": (lambda x: x.sigmoid(), X),
    "tanh": (lambda x: x.tanh(), X),
    "square": (lambda x: x.square(), X),
    "pow": (lambda x: x.pow(3) + x**2, X),
    "pow broken": (lambda x: x**1.5 + x ** (-0.5) + 2.0**x, POSITIVE),
    "clamp": (lambda x: x.clamp(-0.5, 0.5) + x.clamp(min=0.1) + x.clamp(max=0.2), X),
    "clamp by tensors": (lambda x, y: x.clamp(min=y) + x.clamp(max=y * 2.0), X, POSITIVE),
    "softmax": (lambda x: x.softmax(1) + x.softmax(dim=0), X),
    "log_softmax": (lambda x: x.log_softmax(-1), X),
    "logsumexp": (lambda x: x.logsumexp(1, keepdim=True) + x.logsumexp(0), X),
    "maximum": (lambda x, y: x.maximum(y) + x.minimum(y), X, POSITIVE),
    "sum": (lambda x: x.sum(), X),
    "sum dims": (lambda x: x.sum((0, 2)) + x.sum(0).sum(-1), CUBE),
    "sum of no dims": (lambda x: x.sum(()), CUBE),
    "mean": (lambda x: x.mean(1, keepdim=True) + x.mean(), X),
    "mean dims": (lambda x: x.mean([1, 2]), CUBE),
    "var": (lambda x: x.var() + x.var(0, correction=0) + x.var(dim=1, unbiased=False).sum(), X),
    "std": (lambda x: x.std(1, keepdim=True) + x.std(), X),
    "max": (lambda x: x.max() + x.min(), X),
    "max of equal": (lambda x: x.max(), np.array([[1.0, 3.0], [3.0, 3.0]])),
    "max dim": (lambda x: x.max(1).values + x.min(dim=1)[0], X),
    "max dim of equal": (lambda x: x.max(1).values, np.array([[1.0, 3.0, 3.0], [2.0, 2.0, 2.0]])),
    "max keepdim": (lambda x: x.max(0, keepdim=True)[0], X),
    "max of two": (lambda x, y: x.max(y) + x.min(y), X, POSITIVE),
    "amax": (
        lambda x: x.amax(1) + x.amin(dim=(0, 1)),
        np.array([[1.0, 3.0, 3.0], [2.0, 1.0, 3.0]]),
    ),
    "argmax": (lambda x: x.argmax(1), X),
    "argmax of all": (lambda x: x.argmax() + x.argmin(dim=0, keepdim=True), X),
    "norm": (lambda x: x.norm() + x.norm(dim=1), X),
    "all any": (lambda x: (x > -9).all() & (x > 9).any(1) | (x < 0).all(0, keepdim=True)[0, 0], X),
    "matmul": (lambda x, y: x @ y, X, RNG.normal(size=(4, 2))),
    "matmul vector": (lambda x, y: (x @ y).dot(x @ y) + x.matmul(y), X, RNG.normal(size=4)),
    "matmul batch": (lambda x, y: x @ y, CUBE, RNG.normal(size=(4, 5))),
    "add alpha": (
        lambda x, y: x.add(y, alpha=2) - x.sub(y, alpha=0.5) * x.mul(y).div(y),
        X,
        POSITIVE,
    ),
    "division": (lambda x: 1.0 / x + x / 3 + 2 / x, POSITIVE),
    "rsub": (lambda x: 1 - x + (2.0 - x) * (3 * x), X),
    "reshape": (lambda x: x.reshape(2, 6) * x.reshape((2, -1)) + x.view(6, 2).T, X),
    "view_as": (lambda x, y: x.view_as(y), X, RNG.normal(size=(2, 6))),
    "flatten": (lambda x: x.flatten(1) * 2.0, CUBE),
    "flatten end": (lambda x: x.flatten(0, 1), CUBE),
    "unflatten": (lambda x: x.unflatten(1, (2, 2)), X),
    "squeeze": (lambda x: x.unsqueeze(0).unsqueeze(-1).squeeze() + x.unsqueeze(1).squeeze(1), X),
    "squeeze dims": (lambda x: x.unsqueeze(1).unsqueeze(0).squeeze((0, 2)), X),
    "permute": (lambda x: x.permute(2, 0, 1) + x.permute((2, 0, -2)), CUBE),
    "transpose": (lambda x: x.transpose(0, -1) + x.swapaxes(2, 0), CUBE),
    "T": (lambda x: x.T + x.t() + x.mT, X),
    "expand": (lambda x: x.unsqueeze(0).expand(5, -1, 4) * x.expand(5, 3, 4), X),
    "expand_as": (lambda x, y: x[:, :1].expand_as(y) * y, X, POSITIVE),
    "repeat": (lambda x: x.repeat(2, 1, 3), X),
    "narrow": (lambda x: x.narrow(1, 1, 2), X),
    "split": (lambda x: x.split(3, 1)[1] * x.split([1, 3], dim=1)[0], X),
    "chunk": (lambda x: x.chunk(3, 1)[1] + x.chunk(2, dim=1)[0], X),
    "unbind": (lambda x: x.unbind(1)[2] + x.unbind(1)[-1], X),
    "iterate": (lambda x: sum(row * row for row in x), X),
    "where": (lambda x, y: x.where(x > 0, y) + x.masked_fill(x < 0.5, -1.0), X, POSITIVE),
    "clone": (lambda x: x.clone() * x, X),
    "type": (lambda x: x.float().double() + x.to(x.dtype), X),
    "isnan": (lambda x: (x / 0.0 * 0.0).isnan() | (x / 0.0).isinf() | ~x.isfinite(), X),
    "comparisons": (
        lambda x, y: (x < y) ^ (x <= y) | (x > 1) & (x >= 0) | (x == y) | (x != 0),
        X,
        X.copy(),
    ),
    "logical_not": (lambda x: (x > 0).logical_not() & True, X),
    "of integers": (lambda x: x.sum() + x.max() - x.min(), np.arange(6)),
    "floats of integers": (lambda x: x.exp() + x.sqrt() + x / 2 + x.sigmoid(), np.arange(6)),
    "powers of integers": (lambda x: x**2 + 2**x, np.arange(6)),
    "of booleans": (lambda x: x.sum(0) + x.long() + x.float().sum(), X > 0),
    "sum of bytes": (lambda x: x.sum(), np.full(300, 255, np.uint8)),
    "gather": (lambda x, i: x.gather(1, i), X, np.array([[0, 3], [1, 1], [2, 0]])),
    "index_select": (lambda x, i: x.index_select(1, i), X, np.array([0, 3, 0])),
    "masked_select": (lambda x: x.masked_select(x > 0), X),
    "type_as": (lambda x, y: x.type_as(y), X, np.arange(3)),
}


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_methods_have_the_values_and_gradients_of_pytorch(name: str, dtype: str) -> None:
    function, *arrays = METHODS[name]
    arrays = [a.astype(dtype) if a.dtype.kind == "f" else a for a in arrays]
    check(function, function, arrays)


FUNCTIONS: dict[str, tuple[Any, ...]] = {
    "cat": (lambda lib, x, y: lib.cat([x, y, x], dim=1), X, POSITIVE),
    "cat promotes": (lambda lib, x, y: lib.cat((x, y)), X, np.arange(8).reshape(2, 4)),
    "concat": (lambda lib, x: lib.concat([x], -1), X),
    "stack": (lambda lib, x, y: lib.stack([x, y], -1) + lib.stack((y, x), dim=2), X, POSITIVE),
    "where": (lambda lib, x, y: lib.where(x > 0, x, y) + lib.where(x > 0, 1.0, y), X, POSITIVE),
    "where scalar": (lambda lib, x: lib.where(x > 0, x, 0) + lib.where(x > 0, 1.0, 0.0), X),
    "where alone": (lambda lib, x: lib.stack(lib.where(x > 0)), X),
    "where promotes": (lambda lib, x, y: lib.where(x > 0, x, y), X, np.arange(4)),
    "relu": (lambda lib, x: lib.relu(x) + lib.sigmoid(x) * lib.tanh(x), X),
    "softmax": (lambda lib, x: lib.softmax(x, 1) + lib.log_softmax(x, dim=0), X),
    "exp": (lambda lib, x: lib.exp(x) + lib.log(lib.square(x)) + lib.sqrt(lib.abs(x)), X),
    "clamp": (lambda lib, x: lib.clamp(x, min=0.0) + lib.clip(x, -1.0, 0.3) + lib.pow(x, 2), X),
    "reduce": (lambda lib, x: lib.sum(x, 1) + lib.mean(x, dim=1) + lib.max(x, 1)[0], X),
    "extremes": (lambda lib, x, y: lib.max(x, y) + lib.minimum(x, y) - lib.min(x), X, POSITIVE),
    "var": (lambda lib, x: lib.var(x, dim=1) + lib.std(x, dim=1, correction=0), X),
    "matmul": (lambda lib, x, y: lib.matmul(x, y.T) @ lib.mm(x, y.T), X, POSITIVE),
    "bmm": (lambda lib, x: lib.bmm(x, lib.transpose(x, 1, 2)), CUBE),
    "reshape": (lambda lib, x: lib.reshape(x, (4, 3)) + lib.flatten(x).reshape(4, 3), X),
    "squeeze": (lambda lib, x: lib.squeeze(lib.unsqueeze(x, 1)) * lib.permute(x.T, (1, 0)), X),
    "split": (lambda lib, x: lib.split(x, 2, 1)[1] + lib.chunk(x, 2, dim=1)[0], X),
    "argmax": (lambda lib, x: lib.argmax(x, 1) + lib.argmin(x, dim=1), X),
    "isnan": (lambda lib, x: lib.isnan(x) | lib.isfinite(x), X),
    "one_hot": (
        lambda lib, i: getattr(lib, "one_hot", torch.nn.functional.one_hot)(i, 4),
        [0, 3, 1],
    ),
    "one_hot of all": (
        lambda lib, i: getattr(lib, "one_hot", torch.nn.functional.one_hot)(i),
        [[0, 2]],
    ),
    "full": (lambda lib, x: x + lib.full((3, 4), 2) * lib.ones(4) - lib.zeros(3, 4), X),
    "like": (lambda lib, x: lib.ones_like(x) * 2 + lib.zeros_like(x), X),
    "eye": (lambda lib, x: x @ lib.eye(4).double() + lib.eye(3, 4), X),
    "nonzero": (lambda lib, x: lib.nonzero(x > 0), X),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_have_the_values_and_gradients_of_pytorch(name: str) -> None:
    function, *arrays = FUNCTIONS[name]
    check(
        lambda *inputs: function(nnscratch, *inputs),
        lambda *inputs: function(torch, *inputs),
        arrays,
    )


MAKERS: dict[str, Any] = {
    "arange": lambda lib: lib.arange(5),
    "arange from": lambda lib: lib.arange(2, 9, 3),
    "arange floats": lambda lib: lib.arange(0.0, 1.0, 0.25),
    "arange dtype": lambda lib: lib.arange(3, dtype=lib.float64),
    "linspace": lambda lib: lib.linspace(0, 1, 5),
    "full of floats": lambda lib: lib.full((2, 1), 1.5),
    "full of integers": lambda lib: lib.full((2,), 7),
    "full of booleans": lambda lib: lib.full((2,), True),
    "zeros": lambda lib: lib.zeros(2, 3),
    "zeros of a tuple": lambda lib: lib.zeros((2, 3), dtype=lib.int64),
    "zeros of nothing": lambda lib: lib.zeros(()),
    "ones": lambda lib: lib.ones(3),
    "eye": lambda lib: lib.eye(2, 3),
    "tensor of floats": lambda lib: lib.tensor([[1.5, 2.0], [3.0, 4.0]]),
    "tensor of integers": lambda lib: lib.tensor([1, 2, 3]),
    "tensor of booleans": lambda lib: lib.tensor([True, False]),
    "tensor of a number": lambda lib: lib.tensor(2.5),
    "tensor of an integer": lambda lib: lib.tensor(2),
    "tensor of NumPy": lambda lib: lib.tensor(np.array([1.0, 2.0])),
    "tensor of dtype": lambda lib: lib.tensor([1, 2], dtype=lib.float32),
    "tensor of tensors": lambda lib: lib.tensor([[lib.tensor(1.0), 2.0], [3.0, lib.tensor(4.0)]]),
    "as_tensor": lambda lib: lib.as_tensor([1.0, 2.0], dtype=lib.float64),
    "from_numpy": lambda lib: lib.from_numpy(np.arange(3.0)),
    "empty": lambda lib: lib.zeros_like(lib.empty(2, 3)),
}


@pytest.mark.parametrize("name", MAKERS)
def test_making_tensors(name: str) -> None:
    assert_same(MAKERS[name](nnscratch), MAKERS[name](torch))


DTYPES = ["bool", "uint8", "int8", "int16", "int32", "int64", "float16", "float32", "float64"]
OPERATIONS = {
    "add": lambda a, b: a + b,
    "subtract": lambda a, b: a - b,
    "multiply": lambda a, b: a * b,
    "divide": lambda a, b: a / b,
    "less": lambda a, b: a < b,
    "equal": lambda a, b: a == b,
    "maximum": lambda a, b: a.maximum(b),
}
scalars = st.sampled_from([True, 2, 1.5])


def operand(dtype: str, ndim: int) -> np.ndarray:
    return np.full((2,) * ndim, 3, dtype)


@given(
    name=st.sampled_from(sorted(OPERATIONS)),
    left=st.tuples(st.sampled_from(DTYPES), st.integers(0, 2)),
    right=st.one_of(st.tuples(st.sampled_from(DTYPES), st.integers(0, 2)), scalars),
    swap=st.booleans(),
)
def test_dtypes_are_promoted_as_in_pytorch(name: str, left: Any, right: Any, swap: bool) -> None:
    operation = OPERATIONS[name]
    number = not isinstance(right, tuple)
    if number and name == "maximum":
        return
    a = operand(*left)
    b = right if number else operand(*right)
    names = (left[0], type(right).__name__ if number else right[0])
    if name == "subtract" and "bool" in names:
        return  # an error in PyTorch
    pair = (ours(a), b if number else ours(b))
    its = (theirs(a), b if number else theirs(b))
    if swap:
        pair, its = pair[::-1], its[::-1]
    if swap and name == "maximum" and number:
        return
    assert_same(operation(*pair), operation(*its), f"{name} {left} {right}")


def test_a_numpy_scalar_counts_as_a_number() -> None:
    x = nnscratch.ones(2)
    for scalar in (np.float64(2.0), np.float32(2.0), np.int64(2)):
        assert (x * scalar).dtype == np.float32
        assert (scalar * x).dtype == np.float32
        assert isinstance(scalar * x, nnscratch.Tensor)


def test_arithmetic_with_numpy_arrays_gives_tensors() -> None:
    x, a = nnscratch.ones(2, dtype="float64"), np.array([1.0, 2.0])
    for result in (x + a, a + x, a * x, a - x, a @ x, x @ a, a / x):
        assert isinstance(result, nnscratch.Tensor)
    assert (a - x).tolist() == [0.0, 1.0]
    assert isinstance(a == x, nnscratch.Tensor)


def test_in_place_arithmetic_keeps_the_memory_and_the_dtype() -> None:
    x = nnscratch.ones(3)
    view, array = x[:2], x.array
    x += 1
    x *= ours([2.0, 3.0, 4.0])
    assert x.array is array
    assert view.tolist() == [4.0, 6.0]
    assert x.dtype == np.float32
    counts = nnscratch.arange(3)
    counts += 1
    assert counts.dtype == np.int64
    for change in (lambda: counts.add_(0.5), lambda: counts.div_(2), lambda: counts.mul_(x)):
        with pytest.raises(DTypeError, match="do not fit in place into int64"):
            change()
    with pytest.raises(ShapeError, match=r"\(2, 3\) does not fit in place into \(3,\)"):
        x += nnscratch.ones(2, 3)


def test_views_share_memory() -> None:
    x = nnscratch.zeros(2, 3)
    x[0][1] = 5.0
    x.T[2] += 1.0
    x.reshape(-1)[0] = 7.0
    x.detach().numpy()[1, 1] = 9.0
    assert x.tolist() == [[7.0, 5.0, 1.0], [0.0, 9.0, 1.0]]


def test_tensor_copies_and_from_numpy_shares() -> None:
    array = np.zeros(2)
    copied, shared = nnscratch.tensor(array), nnscratch.from_numpy(array)
    array[0] = 1.0
    assert copied.tolist() == [0.0, 0.0]
    assert shared.tolist() == [1.0, 0.0]
    assert nnscratch.as_tensor(shared) is shared


def test_dlpack_both_ways() -> None:
    x = nnscratch.arange(4).float()
    assert_same(x, torch.from_dlpack(x))
    back = nnscratch.as_tensor(torch.arange(3.0))
    assert isinstance(back.array, np.ndarray)
    assert back.tolist() == [0.0, 1.0, 2.0]
    assert np.from_dlpack(x).tolist() == [0.0, 1.0, 2.0, 3.0]
    with pytest.raises(GradientError, match="detach"):
        np.from_dlpack(nnscratch.ones(2, requires_grad=True))


def test_attributes() -> None:
    x = nnscratch.zeros(2, 3)
    assert (x.shape, x.size(), x.size(1), x.ndim, x.dim()) == ((2, 3), (2, 3), 3, 2, 2)
    assert (x.numel(), x.nelement(), len(x)) == (6, 6, 2)
    assert str(x.device) == "cpu"
    assert x.device == nnscratch.device("cpu")
    assert not x.is_cuda
    assert x.is_leaf
    assert x.is_floating_point()
    assert nnscratch.is_tensor(x)
    assert not nnscratch.is_tensor(x.array)
    assert x.contiguous() is x
    assert x.to("cpu") is x
    assert x.to(nnscratch.float32) is x
    assert x.float() is x
    assert x.half().dtype == nnscratch.float16
    assert x.int().dtype == np.int32
    assert x.type(nnscratch.int64).dtype == np.int64
    assert hash(x) == hash(x)
    assert {x: 1}[x] == 1


def test_python_numbers() -> None:
    x = nnscratch.tensor([3])
    assert (x.item(), int(x), float(x), bool(x)) == (3, 3, 3.0, True)
    assert type(nnscratch.tensor(1.5).item()) is float
    assert type(nnscratch.tensor(True).item()) is bool
    assert [10, 20, 30, 40][x] == 40
    assert f"{nnscratch.tensor(0.125):.2f}" == "0.12"
    assert round(float(nnscratch.tensor(2.5)), 1) == 2.5
    assert np.asarray(x).tolist() == [3]
    assert np.asarray(x, dtype=np.float32).dtype == np.float32


def test_repr() -> None:
    x = nnscratch.tensor([1.0, 2.0], requires_grad=True)
    assert repr(x) == "tensor([1., 2.], requires_grad=True)"
    assert repr(x * 2) == "tensor([2., 4.], grad_fn=<multiply backward>)"
    assert repr(nnscratch.ones(1, dtype="float64")) == "tensor([1.], dtype=float64)"
    assert repr(nnscratch.tensor([1])) == "tensor([1])"
    assert str(nnscratch.tensor(2.0)) == "tensor(2.)"


def test_deepcopy_of_leaves() -> None:
    x = nnscratch.ones(2, requires_grad=True)
    (x * 2).sum().backward()
    made = copy.deepcopy(x)
    assert made.requires_grad
    assert made.grad.tolist() == [2.0, 2.0]
    with nnscratch.no_grad():
        made += 1
    assert x.tolist() == [1.0, 1.0]
    with pytest.raises(GradientError, match="detach"):
        copy.deepcopy(x * 2)


def test_random_tensors_are_a_matter_of_the_seed() -> None:
    def draw(generator: Any = None) -> list[Any]:
        return [
            nnscratch.rand(3, generator=generator).tolist(),
            nnscratch.randn(2, 2, generator=generator).tolist(),
            nnscratch.randint(0, 100, (5,), generator=generator).tolist(),
            nnscratch.randint(100, (5,), generator=generator).tolist(),
            nnscratch.randperm(6, generator=generator).tolist(),
        ]

    nnscratch.manual_seed(3)
    first = draw()
    nnscratch.manual_seed(3)
    assert draw() == first
    assert draw(nnscratch.Generator(3)) == first
    assert draw() != first
    assert sorted(first[-1]) == list(range(6))
    x = nnscratch.rand(10_000)
    assert x.dtype == np.float32
    assert 0.0 <= x.min().item() < 0.01
    assert 0.99 < x.max().item() < 1.0
    z = nnscratch.randn(10_000, dtype="float64")
    assert abs(z.mean().item()) < 0.05
    assert abs(z.std().item() - 1.0) < 0.05
    assert nnscratch.rand_like(z).dtype == np.float64
    assert nnscratch.randn_like(x).shape == (10_000,)
    labels = nnscratch.randint(2, 5, (1000,))
    assert set(labels.tolist()) == {2, 3, 4}


@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
def test_random_complex_numbers(dtype: str) -> None:
    """Of PyTorch's distribution: a variance of 1/2 for each part of normal ones."""
    like = nnscratch.zeros(10_000, dtype=dtype)
    for z in (nnscratch.randn(10_000, dtype=dtype), nnscratch.randn_like(like)):
        assert z.dtype == dtype
        for part in (z.real, z.imag):
            assert part.std().item() == pytest.approx(0.5**0.5, abs=0.03)
            assert part.mean().item() == pytest.approx(0.0, abs=0.03)
    z = nnscratch.normal(3.0, 2.0, (10_000,), dtype=dtype)
    assert z.real.mean().item() == pytest.approx(3.0, abs=0.1)
    assert z.imag.std().item() == pytest.approx(2.0**0.5, abs=0.1)
    for z in (nnscratch.rand(10_000, dtype=dtype), nnscratch.rand_like(like)):
        for part in (z.real, z.imag):
            assert (part.min().item(), part.max().item()) == pytest.approx((0, 1), abs=0.01)
    z = nnscratch.randn(2, dtype=dtype, requires_grad=True)
    assert z.is_leaf
    assert z.requires_grad


def test_the_default_dtype() -> None:
    try:
        nnscratch.set_default_dtype(nnscratch.float64)
        assert nnscratch.tensor([1.0]).dtype == np.float64
        assert nnscratch.rand(1).dtype == np.float64
        assert (nnscratch.arange(2) / 2).dtype == np.float64
    finally:
        nnscratch.set_default_dtype("float32")
    with pytest.raises(DTypeError, match="int64"):
        nnscratch.set_default_dtype("int64")


MISTAKES: dict[str, tuple[Any, type[NNScratchError], str]] = {
    "item of many": (lambda x: x.item(), ShapeError, r"one element, got shape \(2, 3\)"),
    "truth of many": (lambda x: bool(x), ShapeError, r"\.any\(\) or \.all\(\)"),
    "length of none": (lambda x: len(x.sum()), DTypeError, "0-d"),
    "iterating over none": (lambda x: list(x.sum()), DTypeError, "0-d"),
    "a float as an index": (lambda x: [1][x.sum()], DTypeError, "integer tensor"),
    "dim": (lambda x: x.sum(2), ShapeError, "from -2 to 1 for 2 dimensions; got 2"),
    "reshape": (lambda x: x.reshape(4, 2), ShapeError, r"6 entries of shape \(2, 3\)"),
    "broadcast": (lambda x: x + nnscratch.ones(2), ShapeError, r"\(2, 3\) and \(2,\)"),
    "matmul": (lambda x: x @ x, ShapeError, r"inner dimensions.*x?\.T"),
    "permute": (lambda x: x.permute(0, 0), ShapeError, "each of 2 dimensions once"),
    "repeat": (lambda x: x.repeat(2), ShapeError, "each of 2 dimensions"),
    "narrow": (lambda x: x.narrow(1, 2, 2), ShapeError, "do not fit dimension 1"),
    "split": (lambda x: x.split([1, 1], 1), ShapeError, "do not add up to 3"),
    "split into nothing": (lambda x: x.split(0), ShapeError, "at least one element"),
    "chunk": (lambda x: x.chunk(0), ShapeError, "at least one piece"),
    "t": (lambda x: x.reshape(1, 2, 3).t(), ShapeError, "permute"),
    "flatten": (lambda x: x.flatten(1, 0), ShapeError, "comes after"),
    "expand": (lambda x: x.expand(-1, 2, 3), ShapeError, "-1 needs a dimension"),
    "dot": (lambda x: x.dot(x), ShapeError, "@"),
    "clamp": (lambda x: x.clamp(), ShapeError, "min, max or both"),
    "gather": (lambda x: x.gather(1, nnscratch.zeros(3, 1).long()), ShapeError, "as large as"),
    "mean of integers": (lambda x: x.long().mean(), DTypeError, r"int64; call \.float\(\)"),
    "softmax of integers": (lambda x: x.long().softmax(0), DTypeError, r"\.float\(\)"),
    "gradient of integers": (lambda x: x.long().requires_grad_(), DTypeError, r"\.float\(\)"),
    "& of floats": (lambda x: x & x, DTypeError, r"\(x > 0\) & \(x < 1\)"),
    "where": (lambda x: nnscratch.where(x, x, x), DTypeError, "booleans"),
    "numpy of a gradient": (
        lambda x: x.requires_grad_().numpy(), GradientError, r"x\.detach\(\)\.numpy\(\)"
    ),
    "strings": (lambda x: nnscratch.tensor(["a"]), DTypeError, "expected numbers"),
    "ragged": (lambda x: nnscratch.tensor([[1.0], [2.0, 3.0]]), DTypeError, "rows of one length"),
    "cat of none": (lambda x: nnscratch.cat([]), ShapeError, "empty list"),
    "cat": (lambda x: nnscratch.cat([x, x.T]), ShapeError, "does not fit"),
    "negative size": (lambda x: nnscratch.zeros(-1), ShapeError, "at least 0"),
    "randint": (lambda x: nnscratch.randint(0, 2), ConfigurationError, "size"),
    "randint of nothing": (
        lambda x: nnscratch.randint(2, 2, (1,)), ConfigurationError, "no integer from 2 to below 2"
    ),
    "device": (lambda x: x.to("cuda:x"), DeviceError, "'cuda:N'"),
    "dtype": (lambda x: x.to("float33"), DTypeError, "float33"),
    "from_numpy": (lambda x: nnscratch.from_numpy([1.0]), DTypeError, "numpy.ndarray"),
}  # fmt: skip


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_say_what_to_do(name: str) -> None:
    function, kind, message = MISTAKES[name]
    with pytest.raises(kind, match=message):
        function(nnscratch.ones(2, 3))


def test_what_code_for_pytorch_says_of_devices() -> None:
    x = nnscratch.ones(2, dtype="float64")
    assert x.to("cpu", non_blocking=True) is x
    other = x.to("cpu", copy=True)
    assert other is not x
    assert not np.shares_memory(other.array, x.array)
    assert nnscratch.device("cuda", 0) == nnscratch.device(0) == nnscratch.device("cuda:0")
    for made, value in ((nnscratch.full_like(x, 3), 3), (nnscratch.empty_like(x), 0)):
        assert made.dtype == np.float64
        assert made.tolist() == [value] * 2
    assert nnscratch.ones_like(x, dtype="float32", device="cpu").dtype == np.float32
    assert nnscratch.rand_like(x, dtype="float32").dtype == np.float32
    before = nnscratch.cuda.manual_seed_all(5), nnscratch.rand(3).tolist()
    assert (nnscratch.manual_seed(5), nnscratch.rand(3).tolist())[1] == before[1]
    with pytest.raises(DeviceError, match="cuda"):
        nnscratch.nn.Linear(2, 1).to(99, non_blocking=True)
