"""Shapes that know their product, changes of the tensor itself, and what is asked of a tensor."""

from __future__ import annotations

import copy
import math
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from calls import MATRIX, Call, same

import nnscratch
from nnscratch.errors import ConfigurationError, GradientError, ShapeError


def test_a_shape_is_a_size() -> None:
    for lib in (nnscratch, torch):
        x = lib.ones(2, 3, 4)
        assert isinstance(x.shape, lib.Size)
        assert x.shape == (2, 3, 4)
        assert (x.shape.numel(), x.shape[1:].numel(), x.shape[:-1].numel()) == (24, 12, 6)
        assert type(x.shape[1]) is int
        assert isinstance(x.shape[:1] + (5,), lib.Size)
        assert isinstance(x.size() * 2, lib.Size)
        assert lib.Size([2, 3]) == (2, 3)
        assert hash(lib.Size((2,))) == hash((2,))
        assert lib.ones(x.shape[:-1]).shape == (2, 3)
        assert x.view(*x.shape[:1], -1).shape == (2, 12)
        assert pickle.loads(pickle.dumps(x.shape)) == copy.deepcopy(x.shape) == x.shape
        assert f"{tuple(x.shape)}" == "(2, 3, 4)"
    assert f"{nnscratch.ones(2, 3).shape}" == "(2, 3)"


def test_a_size_is_added_to_tuples_and_computed_with_by_arrays() -> None:
    results = []
    for lib in (nnscratch, torch):
        size, array = lib.ones(2, 3).shape, np.asarray([4, 5])
        sizes = (size + (1,), (1,) + size, size + size, size * 2, 2 * size, size * np.int64(2))
        assert all(isinstance(one, lib.Size) for one in (*sizes, size * lib.tensor(2), size[::-1]))
        arrays = (size + array, array + size, size * array, array * size, size * np.asarray(2))
        assert all(isinstance(one, np.ndarray) for one in arrays)
        results.append([tuple(one) for one in (*sizes, *arrays, size - array)])
        for call in (
            lambda size: size + [1],
            lambda size: [1] + size,
            lambda size: size + 1,
            lambda size: size * 2.0,
        ):
            with pytest.raises(TypeError):
                call(size)
    assert results[0] == results[1]


def test_where_no_elements_lie() -> None:
    for shape in ((0, 3), (3, 0, 2), (2, 3, 0), (0,), (4, 0, 5, 6)):
        mine, theirs = nnscratch.zeros(*shape), torch.zeros(*shape)
        assert mine.stride() == theirs.stride()
        assert mine.stride(-1) == theirs.stride(-1)
        assert mine.data_ptr() == theirs.data_ptr() == 0
    for lib in (nnscratch, torch):
        part = lib.zeros(4, 3)[2:2]
        assert (part.stride(), part.data_ptr()) == ((3, 1), 0)
        assert lib.zeros(4, 3).data_ptr() != 0


def test_shapes_that_are_met_do_not_fill_the_memory() -> None:
    from nnscratch.tensors.size import SIZES

    for n in range(5000):
        assert nnscratch.Tensor(np.empty((n, 0))).shape == (n, 0)
    assert len(SIZES) <= 4096


def on(name: str, *args: Any, **kwargs: Any) -> Call:
    """Return the call that changes a copy of x in place and computes with it."""

    def call(lib: Any, x: Any) -> Any:
        y = x * 1.0
        made = getattr(y, name)(*args, **kwargs)
        assert made is y
        return y * 2.0

    return call


IN_PLACE = {
    **{
        name: on(name)
        for name in (
            *("abs_", "absolute_", "exp_", "neg_", "negative_", "relu_", "sigmoid_", "tanh_"),
            *("square_", "t_", "squeeze_", "reciprocal_"),
        )
    },
    "clip_": on("clip_", -1.0, 2.0),
    "clip_ by name": on("clip_", min=0.0),
    "multiply_": on("multiply_", 3.0),
    "subtract_": on("subtract_", 3.0),
    "unsqueeze_": on("unsqueeze_", 1),
    "unsqueeze_(dim=)": on("unsqueeze_", dim=-1),
    "transpose_": on("transpose_", 0, 1),
    "swapaxes_": on("swapaxes_", 0, 1),
    "swapdims_": on("swapdims_", dim0=0, dim1=-1),
    "cumsum_(axis=)": on("cumsum_", axis=0),
    "clamp_min_": on("clamp_min_", 0.25),
}


@pytest.mark.parametrize("name", IN_PLACE)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_changes_in_place(name: str, dtype: str) -> None:
    same(IN_PLACE[name], MATRIX, dtype)


def test_comparisons_in_place() -> None:
    for name, other in (
        ("eq_", 4.0),
        ("ne_", 4.0),
        ("lt_", 1.0),
        ("ge_", 0.5),
        ("logical_xor_", 1),
    ):
        made = []
        for lib in (nnscratch, torch):
            x = lib.tensor(MATRIX)
            assert getattr(x, name)(lib.full_like(x, other)) is x
            made.append((x.tolist(), str(x.dtype).rpartition(".")[2]))
        assert made[0] == made[1]
    asks = nnscratch.ones(2, requires_grad=True) * 2
    with pytest.raises(GradientError, match="cannot be overwritten"):
        asks.eq_(2.0)  # PyTorch lets the gradient be 0 from here on


@pytest.mark.parametrize("name", ["log_", "sqrt_", "rsqrt_"])
def test_changes_of_positive_numbers(name: str) -> None:
    same(on(name), [[0.5, 2.0], [3.0, 4.0]])


def test_a_leaf_that_asks_for_a_gradient_is_not_changed() -> None:
    for change in ("exp_", "t_", "squeeze_"):
        x = nnscratch.ones(2, 1, requires_grad=True)
        with pytest.raises(GradientError):
            getattr(x, change)()
        assert x.shape == (2, 1)


def test_a_view_that_changes_its_shape_still_shares_memory() -> None:
    for lib in (nnscratch, torch):
        x = lib.zeros(2, 3)
        view = x[0]
        view.unsqueeze_(0).add_(1.0)
        assert x.tolist() == [[1.0, 1.0, 1.0], [0.0, 0.0, 0.0]]


@pytest.mark.parametrize("name", ["squeeze_", "unsqueeze_", "transpose_", "swapaxes_", "t_"])
def test_a_tensor_that_changes_its_shape_keeps_its_history(name: str) -> None:
    places = {"squeeze_": (0,), "unsqueeze_": (0,), "transpose_": (0, 1), "swapaxes_": (0, 1)}
    # Of a transposed one PyTorch's backward has the earlier shape in mind, and raises an error.
    for lib in (nnscratch, torch) if "squeeze" in name else (nnscratch,):
        x = lib.ones(2, 3, requires_grad=True)
        y = x * 2
        with lib.no_grad():
            getattr(y, name)(*places.get(name, ()))
        assert not y.is_leaf
        assert y.requires_grad
        y.sum().backward()
        assert x.grad.tolist() == [[2.0] * 3] * 2
    leaf = nnscratch.ones(2, 3, requires_grad=True)
    with nnscratch.no_grad():
        getattr(leaf, name)(*places.get(name, ()))
    assert leaf.is_leaf
    (leaf * 2).sum().backward()
    assert leaf.grad.shape == leaf.shape == y.shape


@pytest.mark.parametrize("shape", [(3, 3), (2, 4), (7, 3), (0, 2), (3, 0)])
@pytest.mark.parametrize("wrap", [False, True])
def test_diagonals(shape: tuple[int, int], wrap: bool) -> None:
    made = []
    for lib in (nnscratch, torch):
        x = lib.zeros(*shape)
        assert x.fill_diagonal_(2.0, wrap=wrap) is x
        y = lib.ones(*shape, requires_grad=True)
        (y * 3.0).fill_diagonal_(0.0, wrap).sum().backward()
        made.append((x.tolist(), y.grad.tolist()))
    assert made[0] == made[1]
    with pytest.raises(ShapeError, match="is for a matrix"):
        nnscratch.zeros(2, 2, 2).fill_diagonal_(1.0)


def test_detach_in_place() -> None:
    for lib in (nnscratch, torch):
        y = lib.ones(2, requires_grad=True) * 2
        assert y.detach_() is y
        assert (y.requires_grad, y.is_leaf) == (False, True)


ASKED: dict[str, Callable[[Any], Any]] = {
    "stride": lambda x: (x.stride(), x.t().stride(), x.stride(0), x[:, 1:].stride()),
    "nbytes": lambda x: (x.nbytes, x.itemsize, x.ndimension()),
    "is_signed": lambda x: (x.is_signed(), x.bool().is_signed(), x.byte().is_signed()),
    "places": lambda x: (x.is_cpu, x.is_sparse, x.is_quantized, x.is_meta, x.get_device()),
    "is_same_size": lambda x: (x.is_same_size(x + 1), x.is_same_size(x[0])),
    "data_ptr": lambda x: x[1].data_ptr() - x.data_ptr(),
    "share_memory_": lambda x: x.share_memory_() is x,
}


@pytest.mark.parametrize("name", ASKED)
def test_what_is_asked_of_a_tensor(name: str) -> None:
    assert ASKED[name](nnscratch.tensor(MATRIX)) == ASKED[name](torch.tensor(MATRIX))


NAMED: dict[str, Call] = {
    "squeeze(axis=)": lambda lib, x: x[:1].squeeze(axis=0),
    "unsqueeze(axis=)": lambda lib, x: lib.unsqueeze(x, axis=1),
    "softmax(axis=)": lambda lib, x: x.softmax(axis=0),
    "log_softmax(axis=)": lambda lib, x: lib.log_softmax(x, axis=1),
    "logsumexp(axis=, keepdims=)": lambda lib, x: lib.logsumexp(x, axis=1, keepdims=True),
    "chunk(axis=)": lambda lib, x: x.chunk(2, axis=1)[0],
    "unbind(axis=)": lambda lib, x: x.unbind(axis=1)[2],
    "narrow(axis=)": lambda lib, x: x.narrow(axis=1, start=1, length=2),
    "gather(axis=)": lambda lib, x: x.gather(axis=1, index=lib.tensor([[0], [2]])),
    "index_select(axis=)": lambda lib, x: x.index_select(axis=0, index=lib.tensor([1])),
    "clone(memory_format=)": lambda lib, x: x.clone(memory_format=lib.preserve_format),
    "contiguous(memory_format=)": lambda lib, x: x.contiguous(memory_format=lib.contiguous_format),
    "functions": lambda lib, x: lib.masked_fill(
        lib.clone(lib.negative(lib.absolute(lib.multiply(lib.subtract(x, 1.0), 2.0)))), x > 1, 0.5
    ),
    "1 << x": lambda lib, x: 1 << lib.tensor([1, 2]),
    "x >>= 1": lambda lib, x: lib.tensor([4, 2]).__irshift__(1),
}


@pytest.mark.parametrize("name", NAMED)
def test_names_of_arguments(name: str) -> None:
    same(NAMED[name], MATRIX)


def test_a_list_times_a_number_of_times() -> None:
    for lib in (nnscratch, torch):
        assert [1, 2] * lib.tensor(2) == [1, 2, 1, 2]


PYTHON = {
    "abs(x)": lambda x: abs(x),
    "pow(x, 2)": lambda x: pow(x, 2),
    "divmod(x, 2)": lambda x: divmod(x, 2),
    "divmod(7, x)": lambda x: divmod(7, x),
    "x // 2": lambda x: x // 2,
    "7 // x": lambda x: 7 // x,
}


@pytest.mark.parametrize("name", PYTHON)
def test_functions_of_python(name: str) -> None:
    values = np.asarray([0.55, -2.25, 3.0])
    made, expected = PYTHON[name](nnscratch.tensor(values)), PYTHON[name](values)
    pairs = zip(made, expected, strict=True) if isinstance(expected, tuple) else [(made, expected)]
    for one, other in pairs:
        assert isinstance(one, nnscratch.Tensor)
        np.testing.assert_allclose(one.numpy(), other)


def test_numbers_of_python() -> None:
    assert round(nnscratch.tensor([0.55, -2.25]), 1).tolist() == pytest.approx([0.6, -2.2])
    assert round(nnscratch.tensor(2.5)).item() == round(2.5)
    x = nnscratch.tensor(-2.75, requires_grad=True)
    assert (math.floor(x), math.ceil(x), math.trunc(x)) == (-3, -2, -2)
    assert divmod(nnscratch.tensor(-7), 2) == (nnscratch.tensor(-4), nnscratch.tensor(1))


NUMPY = {
    **{
        f"{name}({said})": lambda x, name=name, options=options: getattr(np, name)(x, **options)
        for name in ("sum", "mean", "std", "var", "max", "min", "prod")
        for said, options in (
            ("", {}),
            ("axis=0", {"axis": 0}),
            ("axis=-1, keepdims", {"axis": -1, "keepdims": True}),
        )
    },
    **{
        f"{name}(dtype=)": lambda x, name=name: getattr(np, name)(x, axis=0, dtype=np.float64)
        for name in ("sum", "mean", "std", "var", "prod")
    },
    **{
        f"{name}(ddof=1)": lambda x, name=name: getattr(np, name)(x, axis=1, ddof=1, keepdims=True)
        for name in ("std", "var")
    },
    "max of two": lambda x: np.max(x, axis=(0, 1)),
    "cumsum": lambda x: np.cumsum(x),
    "cumsum(axis=)": lambda x: np.cumsum(x, axis=1),
    "cumprod": lambda x: np.cumprod(x),
    "argmax": lambda x: np.argmax(x, axis=1),
    "any": lambda x: np.any(x > 0, axis=0),
    "all": lambda x: np.all(x > 0, axis=1, keepdims=True),
    "squeeze": lambda x: np.squeeze(x[None], axis=0),
    "clip": lambda x: np.clip(x, 0, 1),
    "round": lambda x: np.round(x, 1),
    "median": lambda x: np.median(x, axis=0),
    "ptp": lambda x: np.ptp(x, axis=0),
}


@pytest.mark.parametrize("name", NUMPY)
def test_functions_of_numpy(name: str) -> None:
    values = np.asarray(MATRIX, "float32")
    made, expected = NUMPY[name](nnscratch.tensor(values)), NUMPY[name](values)
    assert made.dtype == expected.dtype
    np.testing.assert_allclose(np.asarray(made), expected, rtol=1e-6)


def test_ways_to_print() -> None:
    x = nnscratch.tensor([[1 / 3, 1234.5]])
    try:
        nnscratch.set_printoptions(precision=2, sci_mode=True)
        assert repr(x) == "tensor([[3.33e-01, 1.23e+03]])"
        nnscratch.set_printoptions(profile="short", sci_mode=False)
        assert "0.33" in repr(x)
        nnscratch.set_printoptions(threshold=1, edgeitems=1)
        assert repr(nnscratch.arange(5)) == "tensor([0, ..., 4])"
        with pytest.raises(ConfigurationError, match="profile is one of default, short, full"):
            nnscratch.set_printoptions(profile="long")
    finally:
        nnscratch.set_printoptions(profile="default")
    assert np.get_printoptions()["precision"] == 8


def test_ways_to_print_powers_of_ten() -> None:
    nan, inf = float("nan"), float("inf")
    for numbers in (
        [1 / 3, 0.5, 2.0, 1e-3, 1e8],
        [1 / 3 + 2j, 1e-3 - 0.5j, 100 + 0j, 1 - 1e-8j],
        [complex(1, inf), complex(1, -inf)],
    ):
        texts = []
        for lib in (nnscratch, torch):
            lib.set_printoptions(precision=2, sci_mode=True)
            texts.append(repr(lib.tensor(numbers)).replace(", dtype=complex64", ""))
            lib.set_printoptions(profile="default")
        assert texts[0] == texts[1]
    nnscratch.set_printoptions(sci_mode=True)
    made = [str(nnscratch.tensor([0.1, nan, -inf], dtype=kind)) for kind in ("float32", "float64")]
    nnscratch.set_printoptions(profile="default")
    assert made[0] == "tensor([1.000000e-01, nan, -inf])"
    assert made[1] == "tensor([1.00000000e-01, nan, -inf], dtype=float64)"


def test_inference_mode() -> None:
    for lib in (nnscratch, torch):
        with lib.inference_mode():
            assert not lib.is_grad_enabled()
            with lib.inference_mode(mode=False):
                assert lib.is_grad_enabled()
        assert lib.inference_mode()(lib.is_grad_enabled)() is False
        assert lib.inference_mode(lib.is_grad_enabled)() is False
        assert lib.is_grad_enabled()


def test_bytes_as_other_numbers() -> None:
    for lib in (nnscratch, torch):
        x = lib.tensor([1.0, -2.0])
        bits = x.view(lib.int32)
        assert bits.tolist() == [0x3F800000, -0x40000000]
        bits[0] = 0
        assert x.tolist() == [0.0, -2.0]
        assert x.view(dtype=lib.uint8).shape == (8,)
        assert x.view(2, 1).view(-1).shape == (2,)
        with pytest.raises((ValueError, RuntimeError)):
            lib.ones(3, dtype=lib.float32).view(lib.float64)
    with pytest.raises(GradientError, match=r"to\(dtype\)"):
        nnscratch.ones(2, requires_grad=True).view(nnscratch.int32)
