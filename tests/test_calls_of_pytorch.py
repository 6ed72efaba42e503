"""What code for PyTorch says gives PyTorch's numbers, dtypes, shapes and gradients, or an error."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from calls import MATRIX, Call, outcome, same

import nnscratch
from nnscratch.errors import DTypeError, GradientError, ShapeError

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
    assert np.asarray(np.max(x, axis=1)).tolist() == x.amax(1).tolist()


def test_bytes_in_another_order() -> None:
    foreign = np.array([1.0, 2.0], np.dtype("f4").newbyteorder())
    assert nnscratch.tensor(foreign).tolist() == [1.0, 2.0]
    assert nnscratch.as_tensor(foreign).dtype == "float32"
    layer = nnscratch.nn.Linear(2, 1)
    expected = layer(nnscratch.tensor([1.0, 2.0])).item()
    assert layer(foreign).item() == expected
    with pytest.raises(DTypeError, match="native byte order"):
        nnscratch.from_numpy(foreign)


def test_layers_without_inputs_or_outputs() -> None:
    for sizes, rows in (((0, 2), (4, 0)), ((3, 0), (4, 3)), ((3, 2), (0, 3))):
        layer = nnscratch.nn.Linear(*sizes)
        out = layer(nnscratch.ones(*rows))
        assert out.shape == (rows[0], sizes[1])
        out.sum().backward()
        assert layer.weight.grad.shape == layer.weight.shape
