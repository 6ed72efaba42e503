"""What code for PyTorch says gives PyTorch's numbers, dtypes, shapes and gradients, or an error."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch

import nnscratch
from nnscratch.errors import DTypeError, GradientError, ShapeError

Call = Callable[[Any, Any], Any]


def outcome(library: Any, call: Call, values: Any, dtype: str) -> tuple[Any, Any, Any]:
    """Return the values, the dtype and the gradient of what a call makes of a tensor."""
    x = library.tensor(values, dtype=getattr(library, dtype))
    floats = dtype.startswith("float")
    if floats:
        x.requires_grad_()
    y = call(library, x)
    if not hasattr(y, "dtype"):
        return y, type(y).__name__, None
    gradient = None
    if floats and y.requires_grad:
        weights = library.arange(1.0, y.numel() + 1.0).reshape(y.shape).to(y.dtype)
        (y * weights).sum().backward()
        gradient = np.asarray(x.grad)
    return np.asarray(y.detach()), str(y.dtype).rpartition(".")[2], gradient


def same(call: Call, values: Any, dtype: str = "float32", rtol: float = 1e-5) -> None:
    mine, theirs = (outcome(library, call, values, dtype) for library in (nnscratch, torch))
    assert mine[1] == theirs[1], f"dtype {mine[1]}, PyTorch has {theirs[1]}"
    np.testing.assert_allclose(mine[0], theirs[0], rtol=rtol, atol=1e-6)
    assert (mine[2] is None) == (theirs[2] is None)
    if theirs[2] is not None:
        np.testing.assert_allclose(mine[2], theirs[2], rtol=rtol, atol=1e-6)


MATRIX = [[0.5, -2.0, 3.0], [1.5, 4.0, -0.25]]
FLOAT_CALLS: dict[str, Call] = {
    "norm(1)": lambda lib, x: x.norm(1),
    "norm(p=3, dim)": lambda lib, x: x.norm(p=3, dim=1, keepdim=True),
    "norm(inf)": lambda lib, x: x.norm(float("inf"), 0),
    "norm of all": lambda lib, x: lib.norm(x),
    "norm('fro')": lambda lib, x: x.norm("fro", (0, 1)),
    "normalize p = 1": lambda lib, x: lib.nn.functional.normalize(x, p=1.0, dim=0),
    "var(False)": lambda lib, x: x.var(False),
    "std(False)": lambda lib, x: x.std(False),
    "var(1, False)": lambda lib, x: x.var(1, False),
    "std correction": lambda lib, x: x.std(dim=1, correction=0),
    "sum(-1, True)": lambda lib, x: x.sum(-1, True),
    "sum(axis=)": lambda lib, x: x.sum(axis=1, keepdims=True),
    "mean(axis=)": lambda lib, x: x.mean(axis=0),
    "max(axis=)": lambda lib, x: x.max(axis=1).values,
    "sum(dtype=)": lambda lib, x: x.sum(dtype=lib.float64),
    "softmax(dtype=)": lambda lib, x: x.softmax(1, dtype=lib.float64),
    "cat(axis=)": lambda lib, x: lib.cat([x, x], axis=1),
    "stack(axis=)": lambda lib, x: lib.stack([x, x], axis=1),
    "cat with an empty vector": lambda lib, x: lib.cat([lib.tensor([]), x]),
    "lt and masked_fill": lambda lib, x: x.masked_fill(x.lt(0), 0.5),
    "t().contiguous()": lambda lib, x: x.t().contiguous(),
    "repeat": lambda lib, x: x.repeat(2, 1, 2),
    "chunk": lambda lib, x: x.chunk(2, 1)[1],
    "new_ones": lambda lib, x: x.new_ones(3) * x,
    "x ** 2": lambda lib, x: x**2,
}


@pytest.mark.parametrize("name", FLOAT_CALLS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_floats(name: str, dtype: str) -> None:
    same(FLOAT_CALLS[name], MATRIX, dtype)


ZEROS: dict[str, Call] = {
    "norm": lambda lib, x: x.norm(dim=1),
    "norm(1)": lambda lib, x: x.norm(1, dim=1),
    "norm(inf)": lambda lib, x: x.norm(float("inf"), dim=1),
    "norm(3)": lambda lib, x: x.norm(3, dim=1),
    "std": lambda lib, x: x.std(1),
    "normalize": lambda lib, x: lib.nn.functional.normalize(x, dim=1),
}


@pytest.mark.parametrize("name", ZEROS)
def test_gradients_at_zero(name: str) -> None:
    same(ZEROS[name], [[0.0, 0.0, 0.0], [3.0, -4.0, 1.0]])


ONE: dict[str, Call] = {
    "softmax": lambda lib, x: x.softmax(0),
    "log_softmax": lambda lib, x: x.log_softmax(0),
    "sum(0)": lambda lib, x: x.sum(0),
    "mean(-1)": lambda lib, x: x.mean(-1),
    "max(0)": lambda lib, x: x.max(0).values,
    "argmax(0)": lambda lib, x: x.max(0).indices,
    "norm": lambda lib, x: x.norm(),
    "reshape": lambda lib, x: x.reshape(-1),
}


@pytest.mark.parametrize("name", ONE)
def test_a_tensor_of_no_dimensions(name: str) -> None:
    same(ONE[name], 1.5)


HALF: dict[str, Call] = {
    "sum": lambda lib, x: x.sum(),
    "sum of rows": lambda lib, x: x.sum(1),
    "mean": lambda lib, x: x.mean(),
    "mean of columns": lambda lib, x: x.mean(0),
    "var": lambda lib, x: x.var(),
    "std": lambda lib, x: x.std(0),
    "norm": lambda lib, x: x.norm(),
    "logsumexp": lambda lib, x: x.logsumexp(0),
    "log_softmax": lambda lib, x: x.log_softmax(0),
    "mse": lambda lib, x: lib.nn.functional.mse_loss(x, x * 0 + 1),
    "l1": lambda lib, x: lib.nn.functional.l1_loss(x, x * 0 + 1),
    "huber": lambda lib, x: lib.nn.functional.huber_loss(x, x * 0 + 1),
    "smooth_l1": lambda lib, x: lib.nn.functional.smooth_l1_loss(x, x * 0 + 1),
    "bce_with_logits": lambda lib, x: lib.nn.functional.binary_cross_entropy_with_logits(
        x, x * 0 + 1
    ),
    "the sum over what was repeated": lambda lib, x: (x[:, :1] * lib.ones(3, 2).half()[0])[:2],
}


@pytest.mark.parametrize("name", HALF)
def test_float16_is_added_up_in_float32(name: str) -> None:
    # Their sum passes 65,504, their squares add up to more, and so does their number.
    same(HALF[name], np.tile([[30.0, 40.0]], (36_000, 1)), "float16", rtol=2e-3)


def test_float16_products_are_added_up_in_float32() -> None:
    ones = nnscratch.ones(4096, 2, dtype="float16")
    W = nnscratch.ones(3, 2, dtype="float16").requires_grad_()
    b = nnscratch.zeros(3, dtype="float16").requires_grad_()
    nnscratch.nn.functional.linear(ones, W, b).sum().backward()
    assert W.grad.tolist() == [[4096.0, 4096.0]] * 3
    assert b.grad.tolist() == [4096.0] * 3


INTEGERS = ["uint8", "int8", "int16", "int32", "int64", "bool"]
INTEGER_CALLS: dict[str, Call] = {
    **{
        f"{word} {number}": lambda lib, x, n=number, w=word: getattr(x, w)(n)
        for word, number in itertools.product(
            ("__lt__", "__ge__", "__eq__", "__add__", "__rsub__", "__mul__"), (-1, 2, 300)
        )
    },
    "clamp to floats": lambda lib, x: x.clamp(0.5, 2.5),
    "** 2": lambda lib, x: x**2,
    "square": lambda lib, x: x.square(),
    "any": lambda lib, x: x.any(),
    "all": lambda lib, x: x.all(),
    "sum": lambda lib, x: x.sum(),
    "& 2": lambda lib, x: x & 2,
    "| itself": lambda lib, x: x | x,
    "^ 1": lambda lib, x: x ^ 1,
    "~": lambda lib, x: ~x,
    "masked_fill": lambda lib, x: x.masked_fill(x == 2, 1),
    "mean in floats": lambda lib, x: x.mean(dtype=lib.float32),
    "type()": lambda lib, x: x.type(),
    "element_size()": lambda lib, x: x.element_size(),
}


@pytest.mark.parametrize("dtype", INTEGERS)
@pytest.mark.parametrize("name", INTEGER_CALLS)
def test_integers(name: str, dtype: str) -> None:
    call = INTEGER_CALLS[name]
    try:
        outcome(torch, call, [0, 1, 2, 100], dtype)
    except RuntimeError:  # 1 - a mask, say
        return
    if (name, dtype) == ("type()", "bool"):
        assert nnscratch.tensor([True]).type() == "torch.BoolTensor"
        return
    if name in ("type()", "element_size()"):
        x, y = nnscratch.tensor([1], dtype=dtype), torch.tensor([1], dtype=getattr(torch, dtype))
        assert call(nnscratch, x) == call(torch, y)
        return
    same(call, [0, 1, 2, 100], dtype)


def test_the_norm_of_power_0_counts() -> None:
    x = nnscratch.tensor([[0.0, 2.0], [3.0, -4.0]], requires_grad=True)
    x.norm(0, dim=1).sum().backward()
    assert x.norm(0, dim=1).tolist() == [1.0, 2.0]
    assert x.grad.tolist() == [[0.0, 0.0], [0.0, 0.0]]


def test_comparing_with_what_is_no_number() -> None:
    x = nnscratch.tensor([1.0, 2.0])
    assert (x == None) is False  # noqa: E711
    assert (x != None) is True  # noqa: E711
    assert (x == "a") is False
    assert None in [x, None]


def test_constructors_of_old() -> None:
    assert nnscratch.Tensor([1, 2]).dtype == "float32"
    assert nnscratch.Tensor(2, 3).shape == (2, 3)
    assert nnscratch.Tensor().shape == (0,)
    assert nnscratch.Tensor(np.zeros(2)).dtype == "float64"
    for name in ("Float", "Double", "Half", "Long", "Int", "Short", "Char", "Byte", "Bool"):
        mine, theirs = (getattr(lib, f"{name}Tensor") for lib in (nnscratch, torch))
        made = mine([1, 0, 1])
        assert str(made.dtype) == str(theirs([1, 0, 1]).dtype).rpartition(".")[2]
        assert made.tolist() == theirs([1, 0, 1]).tolist()
        assert mine(2, 3).shape == (2, 3)
        assert isinstance(made, mine)
        assert made.type() == f"torch.{name}Tensor"
        assert nnscratch.ones(2).type(made.type()).dtype == made.dtype
    assert not isinstance(nnscratch.ones(2), nnscratch.LongTensor)


def test_creation_takes_the_words_of_pytorch() -> None:
    like = nnscratch.zeros(size=(2, 3))
    assert like.shape == nnscratch.randn(size=(2, 3)).shape == (2, 3)
    for made in (
        nnscratch.zeros(2, requires_grad=True),
        nnscratch.empty(2, requires_grad=True),
        nnscratch.ones_like(like, requires_grad=True),
        nnscratch.zeros_like(like, requires_grad=True),
        nnscratch.rand_like(like, requires_grad=True),
        nnscratch.arange(3.0, requires_grad=True),
        nnscratch.linspace(0, 1, 3, requires_grad=True),
        nnscratch.eye(2, requires_grad=True),
    ):
        assert made.requires_grad
    drawn = nnscratch.randint(high=9, size=(50,), dtype=nnscratch.int32)
    assert drawn.dtype == "int32"
    assert 0 <= int(drawn.min()) <= int(drawn.max()) < 9
    with pytest.raises(ShapeError, match="no steps of 1 lead from 3 to 0"):
        nnscratch.arange(3, 0)
    nnscratch.manual_seed(0)
    x = nnscratch.empty(1000)
    assert abs(float(x.normal_(2.0, 0.5).mean()) - 2.0) < 0.1
    assert 3.0 <= float(x.uniform_(3.0, 4.0).min()) <= 4.0
    weight = nnscratch.nn.Linear(3, 2).weight
    weight.data.normal_(0, 0.02)
    with pytest.raises(GradientError, match="leaf"):
        weight.normal_()


SHARED: dict[str, Call] = {
    "t().contiguous()": lambda lib, x: x.t().contiguous(),
    "contiguous()": lambda lib, x: x.contiguous(),
    "repeat(1, 1)": lambda lib, x: x.repeat(1, 1),
    "repeat(1, 1, 1)": lambda lib, x: x.repeat(1, 1, 1)[0],
    "reshape of a transpose": lambda lib, x: x.t().reshape(-1),
    "expand of one row": lambda lib, x: x[:1].expand(1, 3),
    "view": lambda lib, x: x.view(-1),
    "flatten": lambda lib, x: x.flatten(),
    "chunk": lambda lib, x: x.chunk(2)[0],
    "clone": lambda lib, x: x.clone(),
    "cat": lambda lib, x: lib.cat([x]),
    "to a dtype it has": lambda lib, x: x.to(lib.float32),
}


@pytest.mark.parametrize("name", SHARED)
def test_memory_is_shared_where_pytorch_shares_it(name: str) -> None:
    changed = []
    for library in (nnscratch, torch):
        x = library.zeros(2, 3)
        y = SHARED[name](library, x)
        y += 1
        changed.append(x.tolist())
    assert changed[0] == changed[1]


def test_no_grad_reaches_into_a_generator() -> None:
    @nnscratch.no_grad()
    def counted(n: int) -> Iterator[bool]:
        for _ in range(n):
            sent = yield nnscratch.is_grad_enabled()
            if sent is not None:
                yield sent
        with nnscratch.enable_grad():
            yield nnscratch.is_grad_enabled()
        return "end"

    seen = []
    for inside in counted(2):
        seen.append((inside, nnscratch.is_grad_enabled()))
    assert seen == [(False, True), (False, True), (True, True)]
    running = counted(2)
    assert next(running) is False
    assert running.send("sent") == "sent"
    with pytest.raises(KeyError):
        running.throw(KeyError("thrown"))
    assert nnscratch.is_grad_enabled()
    running = counted(1)
    next(running)
    running.close()
    assert nnscratch.is_grad_enabled()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (lambda g: g[:1], r"shape \(3,\) .* returned one of shape \(1,\)"),
        (lambda g: g.double(), "dtype float32, and returned .* dtype float64"),
        (lambda g: 2.0, "must return None or a tensor, got float"),
    ],
)
def test_a_hook_cannot_change_the_form_of_a_gradient(given: Any, message: str) -> None:
    for make in (lambda x: x, lambda x: x * 1):
        x = nnscratch.ones(3, requires_grad=True)
        y = make(x)
        y.register_hook(given)
        with pytest.raises(GradientError, match=message):
            (y * 2).sum().backward()


def test_numpy_takes_tensors() -> None:
    x = nnscratch.tensor(MATRIX)
    assert float(np.sum(x)) == pytest.approx(float(x.sum()))
    assert np.asarray(np.mean(x, axis=0)).tolist() == x.mean(0).tolist()
    assert np.asarray(np.max(x, axis=1).values).tolist() == x.amax(1).tolist()


def test_bytes_in_another_order() -> None:
    foreign = np.array([1.0, 2.0], np.dtype("f4").newbyteorder())
    assert nnscratch.tensor(foreign).tolist() == [1.0, 2.0]
    assert nnscratch.as_tensor(foreign).dtype == "float32"
    layer = nnscratch.nn.Linear(2, 1)
    expected = layer(nnscratch.tensor([1.0, 2.0])).item()
    assert layer(foreign).item() == expected
    with pytest.raises(DTypeError, match="order of bytes"):
        nnscratch.from_numpy(foreign)


def test_layers_without_inputs_or_outputs() -> None:
    for sizes, rows in (((0, 2), (4, 0)), ((3, 0), (4, 3)), ((3, 2), (0, 3))):
        layer = nnscratch.nn.Linear(*sizes)
        out = layer(nnscratch.ones(*rows))
        assert out.shape == (rows[0], sizes[1])
        out.sum().backward()
        assert layer.weight.grad.shape == layer.weight.shape


# What another program may say in many ways: each gives PyTorch's tensor.

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
    "clamp_ in a graph": lambda lib, x: (x * 2).clamp_(min=0.5, max=5.0),
    "clamp_ by a tensor": lambda lib, x: (x * 2).clamp_(min=lib.tensor(0.5)),
    "copy_ of a graph": lambda lib, x: lib.zeros(2, 3, dtype=x.dtype).copy_(x * 2),
    "copy_ of a graph, broadcast": lambda lib, x: lib.zeros(4, 2, 3, dtype=x.dtype).copy_(x * 2),
    "copy_ of a graph and more of it": lambda lib, x: lib.ones(2, 3, dtype=x.dtype).copy_(x) * x,
}


@pytest.mark.filterwarnings("ignore:Using a non-tuple sequence:UserWarning")
@pytest.mark.parametrize("name", WAYS)
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_ways_to_say_it(name: str, dtype: str) -> None:
    same(WAYS[name], MATRIX, dtype, rtol=2e-3 if dtype == "float16" else 1e-5)


@pytest.mark.parametrize("dtype", ["uint8", "int8", "int16", "int32", "int64", "bool"])
@pytest.mark.parametrize(
    "call",
    [
        lambda lib, x: x / 300,
        lambda lib, x: 300 / (x | 1),
        lambda lib, x: x / 2**40,
        lambda lib, x: x.div(-1),
        lambda lib, x: (x * 100).sum(dtype=lib.int8),
        lambda lib, x: x.sum(0, dtype=lib.uint8),
        lambda lib, x: x.sum(dtype=lib.bool),
        lambda lib, x: x.logsumexp(0),
        lambda lib, x: x.all(()),
        lambda lib, x: x.new_full((2,), 1),
    ],
)
def test_integers_by_numbers_beyond_them(call: Call, dtype: str) -> None:
    same(call, [[0, 1, 3], [100, 2, 7]], dtype)


@pytest.mark.filterwarnings("ignore:indexing with dtype torch.uint8:UserWarning")
def test_bytes_are_masks() -> None:
    def call(lib: Any, x: Any) -> Any:
        y = x * 1
        chosen = y[lib.tensor([0, 1], dtype=lib.uint8)]
        return lib.cat([chosen, y[:, lib.tensor([1, 0, 1], dtype=lib.uint8)].reshape(-1, 1)[:1]], 1)

    same(call, MATRIX)


NUMBERS: list[Any] = [
    [np.float64(1.5), 2],
    [np.float32(1), 2],
    [np.float16(1), np.float16(2)],
    [np.float16(1), 2.5],
    [[np.float32(1)], [np.float64(2)]],
    [np.array([1.0, 2.0])],
    [1.5, 2],
    [[]],
    np.float64(1),
]


@pytest.mark.filterwarnings("ignore:Creating a tensor from a list of numpy:UserWarning")
@pytest.mark.parametrize("data", NUMBERS, ids=repr)
def test_numpy_numbers_keep_their_dtype(data: Any) -> None:
    mine, theirs = nnscratch.tensor(data), torch.tensor(data)
    assert str(mine.dtype) == str(theirs.dtype).rpartition(".")[2]
    np.testing.assert_array_equal(mine.numpy(), theirs.numpy())


BEYOND: dict[str, Call] = {
    "fill_": lambda lib, x: x.fill_(300),
    "fill_ with NaN": lambda lib, x: x.fill_(float("nan")),
    "fill_ with a large fraction": lambda lib, x: x.fill_(1e10),
    "full": lambda lib, x: lib.full((2,), 300, dtype=x.dtype),
    "full_like": lambda lib, x: lib.full_like(x, 2**40),
    "new_full": lambda lib, x: x.new_full((2,), 300),
    "masked_fill": lambda lib, x: x.masked_fill(x > 0, 300),
    "masked_fill_": lambda lib, x: x.masked_fill_(x > 0, 300),
    "where": lambda lib, x: lib.where(x > 0, x, 300),
    "where the other way": lambda lib, x: lib.where(x > 0, 300, x),
    "clamp": lambda lib, x: x.clamp(max=300),
    "float16": lambda lib, x: x.half().fill_(1e6),
    "float16 masks": lambda lib, x: x.half().masked_fill(x > 0, -1e9),
    "float32": lambda lib, x: x.float().fill_(1e300),
}


@pytest.mark.parametrize("name", BEYOND)
@pytest.mark.parametrize("dtype", ["int8", "uint8"])
def test_a_dtype_that_cannot_hold_a_number_says_so(name: str, dtype: str) -> None:
    with pytest.raises(RuntimeError, match="overflow"):
        BEYOND[name](torch, torch.tensor([1, 2], dtype=getattr(torch, dtype)))
    with pytest.raises(DTypeError, match="beyond the range"):
        BEYOND[name](nnscratch, nnscratch.tensor([1, 2], dtype=dtype))


def test_numbers_at_the_end_of_a_range() -> None:
    for lib in (nnscratch, torch):
        assert lib.zeros(1, dtype=lib.uint8).fill_(-1).item() == 255
        assert lib.full((1,), 0.5, dtype=lib.int64).item() == 0
        assert lib.full((1,), float("-inf"), dtype=lib.float16).item() == float("-inf")
        assert lib.tensor([3], dtype=lib.int8).clamp_(-128, 127).item() == 3


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


# Views and what is changed in place: PyTorch's values, or an error that says what to write.

VIEWS: dict[str, Call] = {
    "an element": lambda lib, x: x[0, 1],
    "a row": lambda lib, x: x[0],
    "unbind": lambda lib, x: x.unbind(1)[2],
    "an element of a row": lambda lib, x: x[1][-1],
    "transposed": lambda lib, x: x.t(),
    "flat": lambda lib, x: x.view(-1),
    "split": lambda lib, x: x.split(1)[1],
    "nothing left out": lambda lib, x: x[...],
    "detached": lambda lib, x: x.detach(),
}


@pytest.mark.parametrize("name", VIEWS)
@pytest.mark.parametrize("dtype", ["int16", "float32"])
def test_a_view_changed_in_place_changes_the_whole(name: str, dtype: str) -> None:
    found = []
    for lib in (nnscratch, torch):
        x = lib.tensor([[1, 2, 3], [4, 5, 6]], dtype=getattr(lib, dtype))
        view = VIEWS[name](lib, x)
        view += 1
        view.mul_(2)
        found.append((np.asarray(x), np.asarray(view)))
    np.testing.assert_array_equal(found[0][0], found[1][0])
    np.testing.assert_array_equal(found[0][1], found[1][1])


@pytest.mark.parametrize("name", [name for name in VIEWS if name != "detached"])
def test_a_view_in_a_graph_is_not_left_behind(name: str) -> None:
    a = nnscratch.tensor(MATRIX, requires_grad=True)
    for base in (a * 2, nnscratch.zeros(2, 3)):
        view = VIEWS[name](nnscratch, base)
        with pytest.raises(GradientError, match="shares its memory"):
            view += a.sum()
        with pytest.raises(GradientError, match="shares its memory"):
            base *= a


def test_a_view_alone_is_changed_in_place_in_a_graph() -> None:
    def call(lib: Any, x: Any) -> Any:
        flat = (x * 2).view(-1)
        flat += 1
        flat *= lib.arange(6.0)
        return flat

    same(call, MATRIX)


def test_a_detached_tensor_sees_a_change_in_a_graph() -> None:
    for lib in (nnscratch, torch):
        a = lib.tensor([1.0, 2.0], requires_grad=True)
        loss = a * 3
        seen = loss.detach()
        loss += a
        assert seen.tolist() == loss.tolist() == [4.0, 8.0]
        assert not seen.requires_grad
        loss.sum().backward()
        assert a.grad is not None
        assert a.grad.tolist() == [4.0, 4.0]


def test_a_graph_whose_values_were_written_over_through_a_view_is_not_walked() -> None:
    a = nnscratch.tensor([1.0, 2.0], requires_grad=True)
    b = a * 3
    seen = b.detach()
    square = b * b
    b += 1
    assert seen.tolist() == [4.0, 7.0]
    with pytest.raises(GradientError):
        square.sum().backward()
