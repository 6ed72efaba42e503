"""Pooling against PyTorch: values, gradients, second derivatives, corners, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from parity import assert_same, check, ours, theirs

import nnscratch
from nnscratch import nn
from nnscratch.errors import ConfigurationError, DataError, DTypeError, ShapeError
from nnscratch.nn import functional as F

RNG = np.random.default_rng(0)
LINE, PLANE, VOLUME = (2, 3, 9), (2, 3, 9, 8), (1, 2, 5, 6, 7)

CALLS: dict[str, tuple[str, tuple[int, ...], dict[str, Any]]] = {
    "max, line": ("max_pool1d", LINE, {"kernel_size": 3, "stride": 2, "padding": 1}),
    "max, dilated": ("max_pool1d", LINE, {"kernel_size": 3, "stride": 1, "dilation": 3}),
    "max, plane": ("max_pool2d", PLANE, {"kernel_size": 2}),
    "max, overlapping": ("max_pool2d", PLANE, {"kernel_size": 3, "stride": (1, 2), "padding": 1}),
    "max, ceil": ("max_pool2d", PLANE, {"kernel_size": (2, 3), "stride": 2, "ceil_mode": True}),
    "max, ceil and padding": (
        "max_pool2d", PLANE, {"kernel_size": 2, "padding": 1, "ceil_mode": True}
    ),
    "max, one sample": ("max_pool2d", PLANE[1:], {"kernel_size": (3, 1), "padding": (1, 0)}),
    "max, volume": ("max_pool3d", VOLUME, {"kernel_size": 2, "stride": 2, "ceil_mode": True}),
    "average, line": ("avg_pool1d", LINE, {"kernel_size": 3, "stride": 2, "padding": 1}),
    "average, plane": ("avg_pool2d", PLANE, {"kernel_size": 2}),
    "average, overlapping": (
        "avg_pool2d", PLANE, {"kernel_size": (3, 5), "stride": 2, "padding": (1, 2)}
    ),
    "average, padding not counted": (
        "avg_pool2d",
        PLANE,
        {"kernel_size": 3, "stride": 2, "padding": 1, "count_include_pad": False},
    ),
    "average, ceil and padding": (
        "avg_pool2d",
        PLANE[1:],
        {"kernel_size": 7, "stride": 3, "padding": 3, "ceil_mode": True},
    ),
    "average, ceil, padding not counted": (
        "avg_pool3d",
        VOLUME,
        {"kernel_size": 3, "padding": 1, "ceil_mode": True, "count_include_pad": False},
    ),
    "average, divisor": ("avg_pool2d", PLANE, {"kernel_size": 3, "divisor_override": 2}),
    "norm": ("lp_pool1d", LINE, {"norm_type": 2.0, "kernel_size": 3}),
    "norm, plane": ("lp_pool2d", PLANE, {"norm_type": 2, "kernel_size": (2, 3), "stride": 2}),
    "norm, volume": ("lp_pool3d", VOLUME, {"norm_type": 4.0, "kernel_size": 2, "ceil_mode": True}),
    "norm, largest": ("lp_pool1d", LINE, {"norm_type": float("inf"), "kernel_size": 3}),
    "norm, smallest": ("lp_pool2d", PLANE, {"norm_type": float("-inf"), "kernel_size": 2}),
    "adaptive average": ("adaptive_avg_pool1d", LINE, {"output_size": 4}),
    "adaptive average, one": ("adaptive_avg_pool2d", PLANE, {"output_size": 1}),
    "adaptive average, plane": ("adaptive_avg_pool2d", PLANE, {"output_size": (None, 5)}),
    "adaptive average, more": ("adaptive_avg_pool3d", VOLUME, {"output_size": (7, 4, 1)}),
    "adaptive max": ("adaptive_max_pool1d", LINE, {"output_size": 4}),
    "adaptive max, plane": ("adaptive_max_pool2d", PLANE[1:], {"output_size": (5, None)}),
    "adaptive max, volume": ("adaptive_max_pool3d", VOLUME, {"output_size": 3}),
}  # fmt: skip


@pytest.mark.parametrize("name", CALLS)
def test_functions(name: str) -> None:
    function, shape, options = CALLS[name]
    mine, its = getattr(F, function), getattr(torch.nn.functional, function)
    for dtype in ("float64", "float32"):
        X = RNG.normal(size=shape).astype(dtype)
        check(lambda x: mine(x, **options), lambda x: its(x, **options), [X], times=4.0)
    if "max" in function:
        x = RNG.integers(-3, 3, shape).astype(float)  # many are equal
        for got, wanted in zip(
            mine(ours(x), **options, return_indices=True),
            its(theirs(x), **options, return_indices=True), strict=True,
        ):  # fmt: skip
            assert_same(got, wanted, "values and indices")


@pytest.mark.parametrize("name", ["max, ceil", "average, ceil and padding", "adaptive average"])
def test_other_dtypes_and_layouts(name: str) -> None:
    function, shape, options = CALLS[name]
    mine, its = getattr(F, function), getattr(torch.nn.functional, function)
    wide = RNG.normal(size=(*shape[:-1], 2 * shape[-1]))
    assert_same(mine(ours(wide)[..., ::2], **options), its(theirs(wide)[..., ::2], **options))
    half = RNG.normal(size=shape).astype("float16")
    assert_same(mine(ours(half), **options), its(theirs(half), **options))
    empty = np.zeros((0, *shape[-2:])) if "1d" in function else np.zeros((0, 3, *shape[-2:]))
    check(lambda x: mine(x, **options), lambda x: its(x, **options), [empty])
    if "adaptive" not in function:
        whole = RNG.integers(-9, 9, shape)
        assert_same(mine(ours(whole), **options), its(theirs(whole), **options))


def test_corners() -> None:
    nan = float("nan")
    cases: list[tuple[Any, Any, list[float]]] = [
        (nn.MaxPool1d(2), [1.0, nan, 3.0, 2.0], [nan, 3.0]),
        (nn.MaxPool1d(2, padding=1), [-1.0, -2.0, -3.0, -4.0], [-1.0, -2.0, -4.0]),
        (nn.MaxPool1d(2, 2, padding=1, ceil_mode=True), [0.0, 1.0, 2.0, 3.0, 4.0], [0.0, 2.0, 4.0]),
        (nn.AvgPool1d(2, ceil_mode=True), [1.0, 2.0, 3.0, 4.0, 5.0], [1.5, 3.5, 5.0]),
        (nn.AvgPool1d(3, 1, 1), [1.0] * 4, [2 / 3, 1.0, 1.0, 2 / 3]),
        (nn.AvgPool1d(3, 1, 1, count_include_pad=False), [1.0] * 4, [1.0] * 4),
        (nn.AvgPool1d(7, 3, 3, ceil_mode=True), [1.0] * 9, [4 / 7, 1.0, 6 / 7, 0.5]),
        (nn.AvgPool1d(2, 1), [nan, 1.0, 2.0], [nan, 1.5]),
        (nn.AdaptiveAvgPool1d(3), [0.0, 1.0], [0.0, 0.5, 1.0]),
    ]
    for module, given, wanted in cases:
        got = module(nnscratch.tensor([[given]], dtype="float64")).numpy()[0, 0]
        np.testing.assert_allclose(got, wanted, rtol=1e-12, err_msg=repr(module))
    x = nnscratch.zeros(1, 1, 2, 2, requires_grad=True)
    F.max_pool2d(x, 2).sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [[[[1.0, 0.0], [0.0, 0.0]]]]
    x = nnscratch.tensor([[[0.0, 5.0, 1.0, 2.0, 9.0, 0.0]]], requires_grad=True)
    F.max_pool1d(x, 3, 1).sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [[[0.0, 2.0, 0.0, 0.0, 2.0, 0.0]]]


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_unpooling(dims: int) -> None:
    shape = (2, 3, 4, 6, 4)[: dims + 2]
    X = RNG.normal(size=shape)
    pools = [getattr(lib, f"MaxPool{dims}d")(2, return_indices=True) for lib in (nn, torch.nn)]
    (got, where), (_, at) = pools[0](ours(X)), pools[1](theirs(X))
    assert_same(where, at)
    backs = [getattr(lib, f"MaxUnpool{dims}d")(2) for lib in (nn, torch.nn)]
    assert repr(backs[0]) == repr(backs[1])
    for size in (None, shape, [n + 1 for n in shape[2:]]):
        check(
            lambda x, size=size: backs[0](x, where, output_size=size),
            lambda x, size=size: backs[1](x, at, output_size=size), [got.numpy()],
        )  # fmt: skip


MODULES: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = [
    ("MaxPool2d", ((2, 3),), {"stride": (1, 2), "padding": 1, "ceil_mode": True}),
    ("MaxPool3d", (2,), {"dilation": 2}),
    ("AvgPool1d", (2, 1), {}),
    ("AvgPool2d", (3,), {"padding": 1, "count_include_pad": False, "divisor_override": 5}),
    ("AvgPool3d", (2,), {}),
    ("LPPool1d", (2, 3), {"stride": 2}),
    ("LPPool2d", (2.0, (2, 3)), {"ceil_mode": True}),
    ("AdaptiveAvgPool2d", ((2, None),), {}),
    ("AdaptiveMaxPool1d", (2,), {}),
]


@pytest.mark.parametrize(("kind", "args", "options"), MODULES)
def test_modules(kind: str, args: tuple[Any, ...], options: dict[str, Any]) -> None:
    mine, its = (getattr(lib, kind)(*args, **options) for lib in (nn, torch.nn))
    assert repr(mine) == repr(its)
    shape = {"1": LINE, "2": PLANE, "3": VOLUME}[kind[-2]]
    check(mine, its, [RNG.normal(size=shape)])


def test_compiled_steps_are_the_eager_ones() -> None:
    def made() -> tuple[Any, Any]:
        nnscratch.manual_seed(3)
        model = nn.Sequential(
            nn.Linear(8, 8), nn.ReflectionPad2d(1), nn.MaxPool2d(2),
            nn.AvgPool2d(2, ceil_mode=True), nn.AdaptiveAvgPool2d((2, 1)),
        )  # fmt: skip
        optimizer = nnscratch.optim.SGD(model.parameters(), lr=0.05)

        def step(x: Any) -> Any:
            optimizer.zero_grad()
            loss = model(x).sum()
            loss.backward()
            optimizer.step()
            return loss

        return model, step

    (plain, eager), (other, step) = made(), made()
    compiled = nnscratch.compile(step)
    for _ in range(3):
        x = nnscratch.tensor(RNG.normal(size=(4, 3, 10, 8)), dtype="float32")
        np.testing.assert_allclose(float(eager(x)), float(compiled(x)), rtol=1e-5)
    for p, q in zip(plain.parameters(), other.parameters(), strict=True):
        assert_same(p, torch.tensor(q.tolist()))


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda x: F.max_pool1d(x, 3, padding=2), ConfigurationError, "at most half"),
        (lambda x: F.max_pool1d(x, 3, 0), ConfigurationError, "stride must be at least 1"),
        (lambda x: F.avg_pool1d(x, 7), ShapeError, "7 entries is larger than the 5 there are"),
        (lambda x: F.avg_pool2d(x[0], 2), ShapeError, r"\(N, C, H, W\)"),
        (lambda x: F.max_pool1d(x, (2, 2)), ConfigurationError, "kernel_size is an integer"),
        (lambda x: F.avg_pool2d(x, 2, divisor_override=0), ConfigurationError, "not be 0"),
        (lambda x: F.adaptive_avg_pool1d(x, (2, 2)), ConfigurationError, "output_size"),
        (lambda x: F.max_pool1d(x == 0, 2), DTypeError, "got bool"),
        (lambda x: F.max_unpool1d(x, x.long() + 99, 2), DataError, "from 0 to 9"),
        (lambda x: F.max_unpool1d(x, x.long(), 2, output_size=(3,)), ShapeError, "does not fit"),
        (lambda x: F.max_unpool1d(x, x, 2), DTypeError, "int64"),
    ],
)
def test_refused(call: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        call(nnscratch.ones(2, 3, 5))


def test_an_error_names_the_layer() -> None:
    model = nn.Sequential(nn.Identity(), nn.MaxPool2d(3))
    with pytest.raises(ShapeError, match=r"in 1 \(MaxPool2d\(.*3 entries is larger than the 2"):
        model(nnscratch.ones(1, 3, 2, 2))


@pytest.mark.parametrize("norm", [1.0, 2.0, 3.0, 4.0])
def test_a_window_of_zeros_has_the_derivative_0(norm: float) -> None:
    X = np.zeros((1, 2, 6))
    X[0, 0, 3:] = [3.0, 4.0, 1.0]
    for options in ({"kernel_size": 2}, {"kernel_size": 3, "stride": 2, "ceil_mode": True}):
        check(
            lambda x, options=options: F.lp_pool1d(x, norm, **options),
            lambda x, options=options: torch.nn.functional.lp_pool1d(x, norm, **options), [X],
        )  # fmt: skip
    x = ours(np.zeros((1, 1, 2, 2)), True)
    nn.LPPool2d(norm, 2)(x).sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [[[[0.0, 0.0], [0.0, 0.0]]]]


@pytest.mark.parametrize("norm", [1, 2, 2.0, float("inf"), float("-inf")])
@pytest.mark.parametrize("dtype", ["int32", "int64", "uint8"])
def test_p_norms_are_of_floating_point_numbers(norm: float, dtype: str) -> None:
    x = np.arange(6).reshape(1, 1, 6).astype(dtype)
    for call, name in ((F.lp_pool1d, "lp_pool1d"), (lambda x, *o: nn.LPPool1d(*o)(x), "LPPool1d")):
        text = rf"{name}: expected floating-point input, got {dtype}; call \.float\(\)"
        with pytest.raises(DTypeError, match=text):
            call(ours(x), norm, 2)
        expected = torch.nn.functional.lp_pool1d(theirs(x).float(), norm, 2)
        assert_same(call(ours(x).float(), norm, 2), expected)


def test_integers_are_not_averaged_by_fractions() -> None:
    whole = ours(np.arange(5).reshape(1, 1, 5))
    for size in (2, 3):
        with pytest.raises(DTypeError, match=r"got int64; convert them first with \.float\(\)"):
            F.adaptive_avg_pool1d(whole, size)
        with pytest.raises(NotImplementedError):
            torch.nn.functional.adaptive_avg_pool1d(theirs(whole.numpy()), size)
