"""Resizing, shuffles, grids and fractional pooling against PyTorch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from parity import assert_same, check, ours, theirs

import nnscratch
from nnscratch import nn
from nnscratch.errors import ConfigurationError, DTypeError, ShapeError
from nnscratch.nn import functional as F

RNG = np.random.default_rng(0)
LINE, PLANE, VOLUME = (2, 3, 5), (2, 3, 4, 5), (1, 2, 3, 4, 5)
T = torch.nn.functional

CALLS: dict[str, tuple[tuple[int, ...], dict[str, Any]]] = {
    "nearest": (LINE, {"size": 8}),
    "nearest, fewer": (PLANE, {"scale_factor": (0.6, 2.3)}),
    "nearest, recomputed": (PLANE, {"scale_factor": 1.7, "recompute_scale_factor": True}),
    "nearest, exact": (VOLUME, {"size": (5, 2, 7), "mode": "nearest-exact"}),
    "area": (PLANE, {"size": (3, 7), "mode": "area"}),
    "area by a factor": (LINE, {"scale_factor": 0.5, "mode": "area"}),
    "linear": (LINE, {"size": 9, "mode": "linear"}),
    "linear, fewer": (LINE, {"scale_factor": 0.7, "mode": "linear"}),
    "linear, corners": (LINE, {"size": 2, "mode": "linear", "align_corners": True}),
    "bilinear": (PLANE, {"scale_factor": (1.9, 0.5), "mode": "bilinear"}),
    "bilinear, corners": (PLANE, {"size": (7, 1), "mode": "bilinear", "align_corners": True}),
    "bilinear, smoothed": (PLANE, {"size": (2, 3), "mode": "bilinear", "antialias": True}),
    "bicubic": (PLANE, {"size": (3, 11), "mode": "bicubic"}),
    "bicubic, corners": (PLANE, {"scale_factor": 2.0, "mode": "bicubic", "align_corners": True}),
    "bicubic, smoothed": (PLANE, {"size": (2, 9), "mode": "bicubic", "antialias": True}),
    "bicubic, smoothed, corners": (
        (1, 1, 9, 8),
        {"size": (4, 5), "mode": "bicubic", "antialias": True, "align_corners": True},
    ),
    "trilinear": (VOLUME, {"size": (5, 2, 7), "mode": "trilinear"}),
}


@pytest.mark.parametrize("name", CALLS)
def test_interpolate(name: str) -> None:
    shape, options = CALLS[name]
    X = RNG.normal(size=shape)
    for dtype in ("float64", "float32"):
        check(
            lambda x: F.interpolate(x, **options), lambda x: T.interpolate(x, **options),
            [X.astype(dtype)], times=4.0,
        )  # fmt: skip


def test_other_dtypes() -> None:
    whole = RNG.integers(0, 255, PLANE).astype("uint8")
    assert_same(F.interpolate(ours(whole), 7), T.interpolate(theirs(whole), 7))
    with pytest.raises(DTypeError, match="got uint8"):
        F.interpolate(ours(whole), 7, mode="bilinear")
    half = RNG.normal(size=PLANE).astype("float16")[..., ::2]
    for mode in ("bilinear", "area"):
        got, its = (
            lib.interpolate(make(half), 6, mode=mode) for lib, make in ((F, ours), (T, theirs))
        )
        np.testing.assert_allclose(got.numpy(), its.numpy(), rtol=2e-3)
    assert F.interpolate(nnscratch.zeros(0, 3, 4), 6).shape == (0, 3, 6)


def test_modules() -> None:
    made: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = [
        ("Upsample", (), {"scale_factor": 2}),
        ("Upsample", ((3, 9),), {"mode": "bilinear", "align_corners": True}),
        ("Upsample", (), {"scale_factor": (1.5, 2), "mode": "bicubic"}),
        ("UpsamplingNearest2d", (), {"scale_factor": 2}),
        ("UpsamplingBilinear2d", (7,), {}),
        ("PixelShuffle", (2,), {}),
        ("PixelUnshuffle", (2,), {}),
        ("ChannelShuffle", (4,), {}),
    ]
    X = RNG.normal(size=(2, 8, 4, 6))
    for kind, args, options in made:
        mine, its = (getattr(lib, kind)(*args, **options) for lib in (nn, torch.nn))
        assert repr(mine) == repr(its)
        check(mine, its, [X])


PADDINGS = ("zeros", "border", "reflection")


@pytest.mark.parametrize("align", [False, True])
@pytest.mark.parametrize("mode", ["bilinear", "nearest", "bicubic", "trilinear"])
def test_grid_sample(mode: str, align: bool) -> None:
    space = mode == "trilinear"
    way = "bilinear" if space else mode
    X = RNG.normal(size=(2, 3, 4, 5, 3) if space else (2, 3, 4, 5))
    grid = RNG.uniform(-2.5, 2.5, size=(2, 2, 3, 4, 3) if space else (2, 3, 4, 2))
    for padding in PADDINGS:
        check(
            lambda x, g, padding=padding: F.grid_sample(x, g, way, padding, align),
            lambda x, g, padding=padding: T.grid_sample(x, g, way, padding, align), [X, grid],
        )  # fmt: skip
    if mode == "bilinear":
        ends = np.array([-1.0, 1.0, 0.0, 0.5]).repeat(2)[None, None]
        grid = np.broadcast_to(ends[..., None], (2, 1, 8, 2)).copy()
        for padding in PADDINGS:
            got, its = (
                lib.grid_sample(make(X), make(grid), way, padding, align)
                for lib, make in ((F, ours), (T, theirs))
            )
            assert_same(got, its)


def test_second_derivative_of_grid_sample() -> None:
    X, grid = RNG.normal(size=(1, 2, 3, 4)), RNG.uniform(-0.9, 0.9, size=(1, 2, 2, 2))
    found = []
    for lib, make, functions in ((nnscratch, ours, F), (torch, theirs, T)):
        x, g = make(X, True), make(grid, True)
        y: Any = functions.grid_sample(x, g, align_corners=False)
        (first,) = lib.autograd.grad((y**3).sum(), g, create_graph=True)
        found.append(lib.autograd.grad((first**2).sum(), [x, g]))
    for got, wanted in zip(*found, strict=True):
        assert_same(got, wanted)


@pytest.mark.filterwarnings("ignore:Since version 1.3.0:UserWarning")
@pytest.mark.parametrize("align", [False, True])
def test_affine_grid(align: bool) -> None:
    for shape, size in (((2, 2, 3), (2, 1, 3, 4)), ((1, 3, 4), (1, 2, 2, 1, 3))):
        check(
            lambda t, size=size: F.affine_grid(t, size, align),
            lambda t, size=size: T.affine_grid(t, size, align), [RNG.normal(size=shape)],
        )  # fmt: skip
    with pytest.warns(UserWarning, match="align_corners"):
        F.affine_grid(nnscratch.zeros(1, 2, 3), (1, 1, 2, 2))
    with pytest.warns(UserWarning, match="align_corners"):
        F.grid_sample(nnscratch.zeros(1, 1, 2, 2), nnscratch.zeros(1, 1, 1, 2))


@pytest.mark.parametrize("dims", [2, 3])
def test_fractional_pooling(dims: int) -> None:
    shape = (2, 3, 9, 8, 7)[: dims + 2]
    X, U = RNG.normal(size=shape), RNG.uniform(size=(2, 3, dims))
    name = f"fractional_max_pool{dims}d"
    mine, its = getattr(F, name), getattr(T, name)
    for options in (
        {"output_size": 4},
        {"output_ratio": (0.6, 0.5, 0.4)[:dims]},
        {"output_size": (1, 3, 2)[:dims]},
    ):
        check(
            lambda x, o=options: mine(x, 2, **o, _random_samples=ours(U)),
            lambda x, o=options: its(x, 2, **o, _random_samples=theirs(U)), [X],
        )  # fmt: skip
        pairs = zip(
            mine(ours(X), 3, **options, return_indices=True, _random_samples=ours(U)),
            its(theirs(X), 3, **options, return_indices=True, _random_samples=theirs(U)),
            strict=True,
        )
        for got, wanted in pairs:
            assert_same(got, wanted)
    one = getattr(nn, f"FractionalMaxPool{dims}d")(2, output_size=3)(ours(X[0]))
    assert one.shape == (3, *(3,) * dims)
    nnscratch.manual_seed(0)
    drawn = [mine(ours(X), 2, 4).tolist() for _ in range(3)]
    assert drawn[0] != drawn[1] or drawn[1] != drawn[2]


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda x: F.interpolate(x), ConfigurationError, "either size or scale_factor"),
        (lambda x: F.interpolate(x, 3, 2.0), ConfigurationError, "either size or scale_factor"),
        (lambda x: F.interpolate(x, (3, 3, 3)), ConfigurationError, "each of 2 dimensions"),
        (lambda x: F.interpolate(x, 3, mode="cubic"), ConfigurationError, "mode is one of"),
        (lambda x: F.interpolate(x, 3, mode="linear"), ShapeError, "takes an input of 3"),
        (lambda x: F.interpolate(x, 3, align_corners=True), ConfigurationError, "align_corners"),
        (lambda x: F.interpolate(x, 3, antialias=True), ConfigurationError, "antialias goes with"),
        (lambda x: F.interpolate(x, scale_factor=0.1), ShapeError, "at least 1"),
        (lambda x: F.pixel_shuffle(x, 2), ShapeError, "no multiple of 2²"),
        (lambda x: F.pixel_unshuffle(x, 3), ShapeError, "no multiples of 3"),
        (lambda x: F.channel_shuffle(x, 2), ShapeError, "do not divide 3"),
        (lambda x: F.grid_sample(x, x, align_corners=True), ShapeError, "a grid"),
        (lambda x: F.fractional_max_pool2d(x, 2), ConfigurationError, "output_ratio"),
        (lambda x: F.fractional_max_pool2d(x, 2, 9), ShapeError, "do not fit"),
    ],
)
def test_refused(call: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        call(nnscratch.ones(2, 3, 5, 4))


def test_compiled_steps_are_the_eager_ones() -> None:
    weight = nnscratch.tensor(RNG.normal(size=(1, 3, 1, 1)), requires_grad=True)
    grid = nnscratch.tensor(RNG.uniform(-1, 1, size=(2, 4, 4, 2)))

    def step(x: Any) -> Any:
        y = F.interpolate(x * weight, scale_factor=1.5, mode="bicubic")
        y = F.grid_sample(y, grid, padding_mode="reflection", align_corners=False)
        weight.grad = None
        loss = (F.pixel_unshuffle(y, 2) ** 2).sum()
        loss.backward()
        return loss, weight.grad

    compiled = nnscratch.compile(step)
    for _ in range(3):
        x = nnscratch.tensor(RNG.normal(size=(2, 3, 4, 5)))
        wanted = [one.tolist() for one in step(x)]
        for got, right in zip(compiled(x), wanted, strict=True):
            np.testing.assert_allclose(got.tolist(), right, rtol=1e-12)


def _places(dims: int) -> np.ndarray:
    """Places (N, H', W', 2), or with a dimension more, of which some are far away or NaN."""
    far = [float("nan"), float("inf"), float("-inf"), 1e12, 0.3]
    places = np.full((1, *(1,) * (dims - 1), 2 * len(far), dims), 0.1)
    for d in range(2):
        places[..., d * len(far) : (d + 1) * len(far), d] = far
    return places


@pytest.mark.parametrize("padding", ["zeros", "border", "reflection"])
@pytest.mark.parametrize("align", [False, True])
@pytest.mark.parametrize(("dims", "mode"), [(2, "bilinear"), (2, "nearest"), (2, "bicubic"),
                                            (3, "bilinear"), (3, "nearest")])  # fmt: skip
def test_places_far_away_and_nan(dims: int, mode: str, align: bool, padding: str) -> None:
    X, places = RNG.normal(size=(1, 2, 3, 4, 5)[: dims + 2]), _places(dims)
    if (dims, padding) == (3, "reflection"):
        # How often 1e12 is mirrored does not fit into PyTorch's integers there.
        places = np.where(places == 1e12, 1e6, places)
    options = (mode, padding, align)
    got, expected = F.grid_sample(ours(X), ours(places), *options), T.grid_sample(
        theirs(X), theirs(places), *options
    )  # fmt: skip
    np.testing.assert_allclose(got.numpy(), expected.numpy(), rtol=1e-6)
    if mode == "nearest":  # with a gradient too
        assert_same(F.grid_sample(ours(X), ours(places, True), *options), expected)
    if (dims, mode, padding) == (2, "bilinear", "zeros"):
        # With other paddings PyTorch reads memory that is not its own.
        check(
            lambda x, g: F.grid_sample(x, g, *options), lambda x, g: T.grid_sample(x, g, *options),
            [X, places],
        )  # fmt: skip
