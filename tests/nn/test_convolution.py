"""Convolutions against PyTorch: modules, options, corners, and steps that are compiled."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
from parity import assert_same, check

import nnscratch
from nnscratch import nn
from nnscratch.errors import ConfigurationError, DTypeError, ShapeError
from nnscratch.nn import functional as F

RNG = np.random.default_rng(0)

MODULES: dict[str, tuple[str, tuple[Any, ...], dict[str, Any], tuple[int, ...]]] = {
    "rows": ("Conv1d", (3, 4, 3), {"padding": 1}, (2, 3, 9)),
    "rows, same": ("Conv1d", (2, 2, 4), {"padding": "same", "dilation": 2}, (3, 2, 11)),
    "a row alone": ("Conv1d", (2, 2, 3), {"stride": 2}, (2, 8)),
    "images": ("Conv2d", (3, 5, 3), {"padding": 1}, (2, 3, 8, 7)),
    "all options": (
        "Conv2d", (4, 6, (3, 2)),
        {"stride": (2, 1), "padding": (2, 1), "dilation": (1, 2), "groups": 2, "bias": False},
        (3, 4, 9, 8),
    ),
    "each channel": ("Conv2d", (4, 8, 3), {"groups": 4, "padding": "valid"}, (2, 4, 7, 7)),
    "a point": ("Conv2d", (6, 4, 1), {}, (2, 6, 5, 3)),
    "a point, strided": ("Conv2d", (6, 4, 1), {"stride": 2}, (2, 6, 5, 4)),
    "an image alone": ("Conv2d", (2, 3, 2), {}, (2, 4, 4)),
    "patches": ("Conv2d", (3, 8, 4), {"stride": 4}, (2, 3, 9, 8)),
    "first of AlexNet": ("Conv2d", (3, 4, 11), {"stride": 4, "padding": 2}, (1, 3, 35, 35)),
    "volumes": ("Conv3d", (2, 3, (2, 3, 1)), {"padding": (1, 0, 1), "stride": (1, 2, 2)},
                (2, 2, 4, 5, 6)),
    "rows back": ("ConvTranspose1d", (3, 2, 3), {"stride": 2, "padding": 1, "output_padding": 1},
                  (2, 3, 5)),
    "images back": (
        "ConvTranspose2d", (4, 6, (3, 4)),
        {"stride": (2, 3), "padding": (1, 2), "output_padding": (1, 2), "groups": 2,
         "dilation": (3, 1)},
        (2, 4, 3, 4),
    ),
    "output padding below the dilation": (
        "ConvTranspose2d", (2, 3, 2), {"output_padding": 2, "dilation": 3}, (2, 2, 3, 3),
    ),
    "an image back alone": ("ConvTranspose2d", (2, 3, 2), {"stride": 2, "bias": False}, (2, 3, 4)),
    "reflected": (
        "Conv2d", (2, 3, 3), {"padding": (2, 1), "padding_mode": "reflect"}, (2, 2, 5, 4),
    ),
    "replicated": ("Conv1d", (2, 3, 4), {"padding": 5, "padding_mode": "replicate"}, (2, 2, 4)),
    "circular": (
        "Conv2d", (2, 3, 4), {"padding": "same", "padding_mode": "circular"}, (2, 5, 4),
    ),
    "volumes back": ("ConvTranspose3d", (2, 2, 2), {"stride": (1, 2, 1)}, (1, 2, 2, 3, 3)),
}  # fmt: skip


def _pair(kind: str, args: Any, options: Any, dtype: str = "float64") -> tuple[Any, Any]:
    mine, its = getattr(nn, kind)(*args, **options), getattr(torch.nn, kind)(*args, **options)
    mine.to(dtype)
    its.to(getattr(torch, dtype))
    mine.load_state_dict(
        {name: nnscratch.tensor(value.numpy()) for name, value in its.state_dict().items()}
    )
    return mine, its


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", MODULES)
def test_module(name: str, dtype: str) -> None:
    kind, args, options, shape = MODULES[name]
    mine, its = _pair(kind, args, options, dtype)
    assert repr(mine) == repr(its)
    X = RNG.standard_normal(shape).astype(dtype)
    check(mine, its, [X], times=4.0)
    for p, q in zip(mine.parameters(), its.parameters(), strict=True):
        assert_same(p.grad, q.grad, "gradient of a parameter", times=8.0)


@pytest.mark.parametrize("name", ["all options", "images back", "rows, same"])
def test_second_derivatives(name: str) -> None:
    kind, args, options, shape = MODULES[name]
    mine, its = _pair(kind, args, options)
    X = RNG.standard_normal(shape)
    found = []
    for lib, module in ((nnscratch, mine), (torch, its)):
        x: Any = lib.tensor(X, requires_grad=True)
        (g,) = lib.autograd.grad((module(x) ** 3).sum(), x, create_graph=True)
        (g * g).sum().backward()
        found.append([x.grad, *(p.grad for p in module.parameters())])
    for one, other in zip(*found, strict=True):
        assert_same(one, other, "a second derivative")


def test_float16_is_added_up_in_float32() -> None:
    x = nnscratch.ones(1, 4096, 1, 1, dtype="float16")
    w = nnscratch.ones(1, 4096, 1, 1, dtype="float16")
    y = F.conv2d(x, w)
    assert (y.dtype, y.item()) == (np.dtype("float16"), 4096.0)


def test_arrays_that_do_not_lie_in_order() -> None:
    X = RNG.standard_normal((2, 7, 6, 3)).astype("float32")
    W = RNG.standard_normal((3, 3, 3, 4)).astype("float32")
    x, w = nnscratch.tensor(X).permute(0, 3, 1, 2), nnscratch.tensor(W).permute(3, 2, 0, 1)
    right = torch.conv2d(
        torch.tensor(X).permute(0, 3, 1, 2), torch.tensor(W).permute(3, 2, 0, 1), padding=1
    )
    assert_same(F.conv2d(x, w, padding=1), right, times=4.0)


def _row(values: list[float], kernel: list[float], **options: Any) -> list[float]:
    x, w = nnscratch.tensor([[values]]), nnscratch.tensor([[kernel]])
    return F.conv1d(x, w, **options).numpy().ravel().tolist()


def test_the_odd_zero_of_same_goes_behind() -> None:
    assert _row([1.0, 2.0, 3.0, 4.0], [1.0, 10.0], padding="same") == [21.0, 32.0, 43.0, 4.0]
    found = _row([1.0, 2.0, 3.0, 4.0, 5.0], [1.0, 10.0], padding="same", dilation=3)
    assert found == [30.0, 41.0, 52.0, 3.0, 4.0]


def test_pixels_that_no_window_holds_have_no_gradient() -> None:
    x = nnscratch.ones(1, 1, 5, requires_grad=True)
    F.conv1d(x, nnscratch.ones(1, 1, 2), stride=2).sum().backward()
    assert x.grad is not None
    assert x.grad.numpy().ravel().tolist() == [1.0, 1.0, 1.0, 1.0, 0.0]


def test_outputs_of_a_channel_that_is_its_own_group_follow_each_other() -> None:
    x = nnscratch.tensor([[[1.0], [10.0]]])
    w = nnscratch.tensor([[[1.0]], [[2.0]], [[3.0]], [[4.0]]])
    assert F.conv1d(x, w, groups=2).numpy().ravel().tolist() == [1.0, 2.0, 30.0, 40.0]


@pytest.mark.parametrize("size", [8, 40])
def test_a_nan_spoils_the_windows_that_hold_it(size: int) -> None:
    X = RNG.standard_normal((1, 16, size, size)).astype("float32")
    W = RNG.standard_normal((16, 16, 3, 3)).astype("float32")
    X[0, 3, 0, 0], X[0, 5, 4, 5] = np.nan, np.inf
    y = F.conv2d(nnscratch.tensor(X), nnscratch.tensor(W), padding=1).numpy()
    right = torch.conv2d(torch.tensor(X), torch.tensor(W), padding=1)
    assert_same(y, right, "values", times=30.0)
    assert np.isnan(y).sum() == 4 * 16
    assert np.isinf(y).sum() == 9 * 16


def test_an_infinity_times_a_zero_weight_is_nan() -> None:
    found = _row([float("inf"), 1.0, 1.0, 1.0], [0.0, 1.0, 0.0], padding=1)
    assert [str(one) for one in found] == ["inf", "nan", "1.0", "1.0"]


def test_no_images() -> None:
    layer = nn.Conv2d(2, 3, 3)
    x = nnscratch.zeros(0, 2, 5, 5, requires_grad=True)
    y = layer(x)
    y.sum().backward()
    assert y.shape == (0, 3, 3, 3)
    assert x.grad is not None
    assert x.grad.shape == x.shape
    assert all(not p.grad.any() for p in layer.parameters() if p.grad is not None)
    back = nn.ConvTranspose2d(2, 3, 3)(nnscratch.zeros(0, 2, 5, 5))
    assert back.shape == (0, 3, 7, 7)


@pytest.mark.parametrize("kind", ["Conv2d", "ConvTranspose2d"])
def test_bounds_of_the_first_weights(kind: str) -> None:
    layer = getattr(nn, kind)(8, 16, (3, 5), groups=2)
    fan_in = np.prod(layer.weight.shape[1:])
    for parameter in layer.parameters():
        assert float(parameter.detach().abs().max()) <= fan_in**-0.5
    assert float(layer.weight.detach().abs().max()) > 0.95 * fan_in**-0.5


def test_transposed_sizes_that_are_asked_for() -> None:
    args, options = (2, 3, 3), {"stride": 2, "padding": 1}
    mine, its = _pair("ConvTranspose2d", args, options)
    X = RNG.standard_normal((1, 2, 4, 4))
    for size in ((7, 8), (1, 3, 8, 7)):
        assert_same(
            mine(nnscratch.tensor(X), output_size=size), its(torch.tensor(X), output_size=size)
        )
    with pytest.raises(ConfigurationError, match=r"valid sizes range from \(7, 7\) to \(8, 8\)"):
        mine(nnscratch.tensor(X), output_size=(9, 9))
    with pytest.raises(ConfigurationError, match="must have 2 or 4 elements"):
        mine(nnscratch.tensor(X), output_size=(8,))


@pytest.mark.parametrize("batch", [(2,), ()])
def test_windows(batch: tuple[int, ...]) -> None:
    X = RNG.standard_normal((*batch, 3, 7, 8))
    options: dict[str, Any] = {"dilation": (1, 2), "padding": (1, 2), "stride": (2, 1)}
    unfold, fold = nn.Unfold((3, 2), **options), nn.Fold((7, 8), (3, 2), **options)
    check(unfold, torch.nn.Unfold((3, 2), **options), [X])
    columns = unfold(nnscratch.tensor(X)).numpy()
    check(fold, torch.nn.Fold((7, 8), (3, 2), **options), [columns])
    assert repr(unfold) == repr(torch.nn.Unfold((3, 2), **options))
    assert repr(fold) == repr(torch.nn.Fold((7, 8), (3, 2), **options))


BAD: dict[str, tuple[Any, type[Exception], str]] = {
    "groups": (lambda: nn.Conv2d(4, 6, 3, groups=4), ConfigurationError, "divisible by groups"),
    "no groups": (lambda: nn.Conv2d(4, 6, 3, groups=0), ConfigurationError, "positive"),
    "padding mode": (
        lambda: nn.Conv2d(4, 6, 3, padding_mode="mirror"), ConfigurationError, "reflect",
    ),
    "same with a stride": (
        lambda: nn.Conv2d(4, 6, 3, padding="same", stride=2), ConfigurationError, "strided",
    ),
    "a padding of no name": (
        lambda: nn.Conv2d(4, 6, 3, padding="full"), ConfigurationError, "'same', 'valid'",
    ),
    "three strides of two axes": (
        lambda: nn.Conv2d(4, 6, 3, stride=(1, 2, 3)), ConfigurationError, "stride",
    ),
    "no stride": (lambda: nn.Conv2d(4, 6, 3, stride=0), ConfigurationError, "from 1 on"),
    "transposed padding mode": (
        lambda: nn.ConvTranspose2d(4, 6, 3, padding_mode="reflect"), ConfigurationError, "zeros",
    ),
    "a kernel larger than the image": (
        lambda: nn.Conv2d(1, 1, 3)(nnscratch.zeros(1, 1, 2, 2)), ShapeError,
        "larger than the input",
    ),
    "channels": (
        lambda: nn.Conv2d(3, 1, 3)(nnscratch.zeros(1, 1, 4, 4)), ShapeError, "3 channels, got 1",
    ),
    "axes": (lambda: nn.Conv2d(3, 1, 3)(nnscratch.zeros(3, 4)), ShapeError, "C, H, W"),
    "dtype": (
        lambda: nn.Conv2d(1, 1, 3)(nnscratch.zeros(1, 1, 4, 4, dtype="float64")), DTypeError,
        "float64 but the weights are float32",
    ),
    "output padding": (
        lambda: F.conv_transpose1d(nnscratch.ones(1, 1, 3), nnscratch.ones(1, 1, 3),
                                   output_padding=1),
        ShapeError, "smaller than either stride or dilation",
    ),
    "columns": (
        lambda: F.fold(nnscratch.ones(1, 4, 3), (2, 3), 2), ShapeError, r"has \(1, 2\) places",
    ),
    "too wide a reflection": (
        lambda: nn.Conv1d(1, 1, 3, padding=3, padding_mode="reflect")(nnscratch.ones(1, 1, 3)),
        ShapeError, "mirrors at most 2 of 3",
    ),
    "a bias of another size": (
        lambda: F.conv1d(nnscratch.ones(1, 1, 3), nnscratch.ones(2, 1, 3), nnscratch.ones(1)),
        ShapeError, r"bias of shape \(2,\)",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_what_is_not_possible(name: str) -> None:
    call, kind, words = BAD[name]
    with pytest.raises(kind, match=words):
        call()


def _net() -> nn.Module:
    nnscratch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.Conv2d(6, 12, 3, stride=2), nn.Tanh(),
        nn.Conv2d(12, 12, 3, groups=12, padding="same"), nn.ConvTranspose2d(12, 4, 3, stride=2),
        nn.ReLU(), nn.Flatten(), nn.Linear(4 * 13 * 13, 10),
    )  # fmt: skip


@pytest.mark.parametrize("size", [14])
def test_a_compiled_step_is_the_eager_one(size: int) -> None:
    eager = _net()
    compiled = copy.deepcopy(eager)
    images = nnscratch.tensor(RNG.standard_normal((3, 8, 1, size, size)).astype("float32"))
    classes = nnscratch.tensor(RNG.integers(0, 10, (3, 8)))
    steps = []
    for net in (eager, compiled):
        optimizer = nnscratch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)

        def step(x: Any, t: Any, net: Any = net, optimizer: Any = optimizer) -> Any:
            optimizer.zero_grad()
            loss = F.cross_entropy(net(x), t)
            loss.backward()
            optimizer.step()
            return loss

        steps.append(step)
    fast = nnscratch.compile(steps[1])
    for x, t in zip(images, classes, strict=True):
        a, b = steps[0](x, t), fast(x, t)
        np.testing.assert_allclose(float(b), float(a), rtol=1e-6)
    for p, q in zip(eager.parameters(), compiled.parameters(), strict=True):
        np.testing.assert_allclose(q.detach().numpy(), p.detach().numpy(), rtol=2e-5, atol=1e-6)


def test_integers() -> None:
    X, W = RNG.integers(-9, 9, (2, 3, 5)), RNG.integers(-9, 9, (4, 3, 2))
    assert_same(
        F.conv1d(nnscratch.tensor(X), nnscratch.tensor(W)),
        torch.conv1d(torch.tensor(X), torch.tensor(W)),
    )
    with pytest.raises(DTypeError, match="expected floating-point input, got int64"):
        nn.Conv1d(3, 4, 2)(nnscratch.tensor(X))


@pytest.mark.parametrize(
    ("given", "weights", "text"),
    [
        ("float32", "int64", r"the weights are int64; convert them with weight\.to\('float32'\)$"),
        ("int32", "int64", r"are int64; convert them with weight\.to\('int32'\), or both with"),
        ("int32", "float32", r"expected floating-point input, got int32; call \.float\(\)"),
        ("float64", "float32", r"use x\.to\('float32'\) or model\.to\('float64'\)"),
        ("complex64", "float32", r"compute with x\.real and x\.imag$"),
    ],
)
def test_the_advice_for_two_dtypes_works(given: str, weights: str, text: str) -> None:
    x, w = nnscratch.ones(1, 2, 5).to(given), nnscratch.ones(3, 2, 2).to(weights)
    calls = {
        "conv1d": lambda: F.conv1d(x, w),
        "linear": lambda: F.linear(x, nnscratch.ones(2, 5).to(weights)),
    }
    for name, call in calls.items():
        with pytest.raises(DTypeError, match=f"^{name}: .*{text}"):
            call()
    if weights == "int64":
        assert F.conv1d(x, w.to(given)).tolist() == [[[4] * 4] * 3]
        assert F.conv1d(x.float(), w.float()).tolist() == [[[4] * 4] * 3]
    if given == "complex64":
        assert F.conv1d(x.real, w).tolist() == [[[4] * 4] * 3]


def test_a_list_and_a_size_that_is_asked_for() -> None:
    layer, its = nn.ConvTranspose1d(1, 2, 2, stride=2), torch.nn.ConvTranspose1d(1, 2, 2, stride=2)
    its.load_state_dict({k: torch.tensor(v.numpy()) for k, v in layer.state_dict().items()})
    given = [[1.0, 2.0]]
    assert_same(layer(given, output_size=(5,)), its(torch.tensor(given), output_size=(5,)))


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_weights_of_no_channel_are_refused(rank: int) -> None:
    sides, name = (3,) * rank, f"{rank}d"
    for kind, shapes in (("conv", [(0, 2)]), ("conv_transpose", [(2, 0), (0, 2)])):
        for shape in shapes:
            with pytest.raises(ShapeError, match=f"{kind}{name}: expected weights of"):
                getattr(F, kind + name)(
                    nnscratch.ones(1, 2, *sides), nnscratch.ones(*shape, *sides)
                )
            with pytest.raises(RuntimeError):
                getattr(torch.nn.functional, kind + name)(
                    torch.ones(1, 2, *sides), torch.ones(*shape, *sides)
                )
