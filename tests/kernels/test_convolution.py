"""Convolutions in kernels: the same bits for any number of threads, and what is not finite."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from emulator.driver import Emulator

import nnscratch
from nnscratch.errors import ShapeError
from nnscratch.formulas import FORMULAS, registry
from nnscratch.formulas.windows import Geometry
from nnscratch.kernels import cpu, cuda
from nnscratch.kernels.cpu.convolution import _fit, emit_convolution, emit_spread, windows_of
from nnscratch.kernels.cpu.convolution_weights import _parts, emit_weights, weights_fit
from nnscratch.kernels.cpu.depthwise import ROW_PLACES
from nnscratch.kernels.cpu.windows import Windows, fitting
from nnscratch.nn import functional

# N, C, H, W, outputs, kernel, stride, padding, groups: in tiles, in place, by Winograd, by rows.
SHAPES = {
    "first layer": (5, 1, 28, 28, 6, 5, 1, 2, 1),
    "few outputs": (3, 5, 12, 23, 13, 3, 1, 1, 1),
    "few outputs, many rows of an image": (1, 14, 90, 41, 22, 5, 1, 2, 2),
    "few outputs, one register": (4, 3, 6, 9, 8, 2, 1, 0, 1),
    "narrow rows, a register for each": (5, 16, 10, 10, 6, 5, 1, 4, 1),
    "narrow rows as one line": (9, 6, 14, 14, 16, 5, 1, 0, 1),
    "narrow rows of groups": (3, 6, 9, 7, 14, 3, 1, 1, 2),
    "narrow rows, many": (2, 3, 150, 13, 7, 3, 1, 1, 1),
    "rows of a few places": (7, 3, 12, 3, 5, 2, 1, 0, 1),
    "long rows as one line": (2, 5, 21, 33, 11, 5, 1, 2, 1),
    "long rows, many": (2, 1, 40, 101, 3, 5, 1, 2, 1),
    "few places": (19, 40, 3, 3, 40, 2, 1, 0, 1),
    "one place": (1, 40, 3, 3, 37, 3, 1, 0, 1),
    "places of two images": (2, 12, 5, 6, 20, 3, 2, 0, 2),
    "points": (2, 33, 20, 9, 50, 1, 1, 0, 1),
    "strided": (2, 12, 30, 31, 20, 3, 2, 1, 2),
    "strided, far from the edge": (2, 6, 9, 41, 20, 5, 2, 4, 1),
    "strided, rows of several registers": (1, 3, 11, 150, 70, 3, 2, 1, 1),
    "points of one image, few outputs": (1, 33, 20, 15, 21, 1, 1, 0, 1),
    "points, more inputs than outputs": (9, 90, 5, 5, 46, 1, 1, 0, 2),
    "points of several images in a panel": (37, 33, 5, 5, 110, 1, 1, 0, 1),
    "windows of several images in a panel": (70, 7, 9, 11, 40, 3, 2, 1, 1),
    "windows of small images in a panel": (67, 20, 3, 5, 101, 2, 1, 0, 1),
    "windows of small images, all sums of an output": (35, 9, 9, 9, 130, 3, 2, 0, 1),
    "points, strided": (2, 24, 9, 11, 30, 1, 2, 0, 1),
    "many terms": (2, 70, 12, 12, 24, 5, 1, 2, 1),
    "four pixels at a time": (3, 24, 14, 15, 40, 3, 1, 1, 1),
    "all channels not at once": (2, 140, 10, 12, 136, 3, 1, 0, 1),
    "wide": (1, 18, 4, 150, 17, 3, 1, 1, 1),
    "eight windows in a row": (3, 34, 16, 32, 37, 3, 1, 1, 1),
    "far from the edge": (2, 33, 9, 12, 32, 3, 1, 4, 1),
    "two pixels": (40, 33, 2, 2, 40, 3, 1, 1, 1),
    "small images in one panel": (70, 17, 4, 4, 16, 3, 1, 1, 1),
    "few images": (1, 70, 4, 4, 130, 3, 1, 1, 1),
    "few images, strided, panels cut": (3, 20, 9, 11, 150, 3, 2, 1, 2),
    "few images, points": (2, 300, 3, 3, 222, 1, 1, 0, 1),
    "few images, points of one panel": (2, 60, 4, 4, 130, 1, 1, 0, 2),
    "few images, more pixels than a table": (1, 7, 20, 23, 130, 17, 1, 0, 1),
    "few images, too large for the space": (1, 2, 230, 170, 90, 11, 3, 2, 1),
    "weights by transforms": (6, 100, 30, 33, 98, 3, 1, 1, 2),
    "weights by transforms, small images": (40, 49, 4, 5, 50, 3, 1, 1, 1),
    "transforms, images in blocks, outputs in parts": (21, 18, 6, 5, 70, 3, 1, 1, 1),
    "transforms, groups, rows in blocks": (3, 66, 17, 22, 72, 3, 1, 1, 2),
    "transforms, kernels of every other pixel": (9, 18, 13, 14, 35, 5, 2, 2, 1),
    "transforms, strided": (9, 34, 17, 22, 37, 3, 2, 1, 1),
    "transforms, strided, groups, no zeros": (21, 66, 9, 13, 80, 3, 2, 0, 2),
    "transforms, strided, all channels not at once": (3, 270, 16, 18, 33, 3, 2, 1, 1),
    "transforms, strided, rows in blocks": (1, 32, 19, 214, 32, 3, 2, 2, 1),
    "each channel": (3, 20, 17, 19, 20, 3, 1, 1, 20),
    "each channel, short rows": (5, 21, 7, 5, 21, 3, 1, 1, 21),
    "each channel, cut": (3, 20, 9, 12, 40, 4, 1, 0, 20),
    "each channel, strided": (2, 9, 21, 50, 18, 5, 2, 2, 9),
    "each channel, strided by three": (3, 7, 8, 8, 7, 3, 3, 1, 7),
    "each channel, too large for a plane": (2, 3, 100, 90, 3, 3, 2, 1, 3),
}


class Collector:
    """Takes the instructions of a lowering into a table."""

    def __init__(self) -> None:
        self.table = cpu.Table()

    def empty(self, shape: tuple[int, ...], dtype: Any) -> Any:
        """Return an array full of NaN: what is read before it is written is seen."""
        return np.full(shape, -1 if np.dtype(dtype).kind == "i" else np.nan, dtype)

    def is_constant(self, array: Any) -> bool:
        """Say no."""
        return False

    def once(self, emit: Any, *given: Any) -> Any:
        """Emit what may be computed once."""
        return emit(self, *given)

    def emit(self, kernel: Any, a: Any, s: Any = (), flags: int = 0) -> None:
        """Add an instruction."""
        self.table.add(kernel, a, s, flags)

    def loop(self, operands: Any) -> None:
        """Add a loop."""
        operands.emit_now(self)


def results(name: str, dtype: str, threads: int, spoil: bool = False) -> tuple[Any, ...]:
    """Compute output and gradients with so many threads, beside PyTorch's in float64."""
    n, c, h, w, o, k, s, p, groups = SHAPES[name]
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, c, h, w)).astype(dtype)
    if spoil:
        X[0, 0, h // 2, 0] = np.inf
    W = rng.standard_normal((o, c // groups, k, k)).astype(dtype)
    b = rng.standard_normal(o).astype(dtype)
    wide = [torch.tensor(one, dtype=torch.float64, requires_grad=True) for one in (X, W)]
    made = torch.conv2d(*wide, torch.tensor(b).double(), s, p, 1, groups)
    D = rng.standard_normal(made.shape).astype(dtype)
    gradients = torch.autograd.grad(made, wide, torch.tensor(D).double())
    right = [one.detach().numpy() for one in (made, *gradients)]
    lost = [(size + 2 * p - k) % s for size in (h, w)]
    at = Geometry((s, s), tuple((p, p - one) for one in lost), (1, 1))
    builder: Any = Collector()
    Y, dX, dW = (np.full(a.shape, np.nan, dtype) for a in (D, X, W))
    emit_convolution(builder, X, W, b, Y, at, groups)
    emit_spread(builder, D, W, None, dX, at, groups)
    emit_weights(builder, windows_of(X.shape, D.shape[2:], (k, k), at, groups), X, D, dW)
    builder.table.build().run(threads)
    return right, Y, dX, dW


@pytest.mark.parametrize("name", SHAPES)
def test_any_number_of_threads_gives_the_same_bits(name: str, dtype: str) -> None:
    right, *one = results(name, dtype, 1)
    eps = np.finfo(dtype).eps
    for found, wanted in zip(one, right, strict=True):
        np.testing.assert_allclose(found, wanted, 0, 40 * eps * np.abs(wanted).max())
    for threads in (2, 3) if dtype == "float32" else (2,):
        for first, other in zip(one, results(name, dtype, threads)[1:], strict=True):
            assert np.array_equal(first, other)
            assert np.isfinite(other).all()


@pytest.mark.parametrize(
    "name",
    [
        "four pixels at a time",
        "places of two images",
        "small images in one panel",
        "narrow rows as one line",
        "narrow rows, many",
        "rows of a few places",
        "weights by transforms, small images",
        "transforms, strided",
        "each channel, short rows",
        "each channel, strided by three",
    ],
)
def test_an_infinity_spoils_its_own_windows(name: str) -> None:
    (right, _, weights), Y, _, dW = results(name, "float32", 2, spoil=True)
    for found, wanted in ((Y, right), (dW, weights)):
        np.testing.assert_array_equal(np.isfinite(found), np.isfinite(wanted))
        np.testing.assert_array_equal(np.isnan(found), np.isnan(wanted))
        assert np.isinf(found).any()


@pytest.mark.parametrize("name", ["transforms, strided", "small images in one panel"])
def test_an_infinite_gradient_spoils_the_pixels_it_goes_to(name: str, dtype: str) -> None:
    n, c, h, w, o, k, s, p, groups = SHAPES[name]
    rng = np.random.default_rng(0)
    X = torch.tensor(rng.standard_normal((n, c, h, w)), requires_grad=True)
    W = rng.standard_normal((o, c // groups, k, k))
    made = torch.conv2d(X, torch.tensor(W), None, s, p, 1, groups)
    D = rng.standard_normal(made.shape)
    D[0, 1, 1, 2] = np.inf
    D[n - 1, 0, 3, 3] = np.nan
    (right,) = torch.autograd.grad(made, X, torch.tensor(D))
    at = Geometry((s, s), tuple((p, p - (size + 2 * p - k) % s) for size in (h, w)), (1, 1))
    found = []
    for threads in (1, 2):
        builder: Any = Collector()
        dX = np.full((n, c, h, w), np.nan, dtype)
        emit_spread(builder, D.astype(dtype), W.astype(dtype), None, dX, at, groups)
        builder.table.build().run(threads)
        found.append(dX)
    np.testing.assert_array_equal(*found)
    np.testing.assert_allclose(found[0], right.numpy(), 1e-4, 1e-4)
    assert 0 < np.isfinite(found[0]).mean() < 1


@pytest.mark.parametrize("groups", [1, 8])
@pytest.mark.parametrize("dilation", [30, 50, 60, 70])
def test_windows_at_the_edge_of_the_space(dilation: int, groups: int, dtype: str) -> None:
    """What the check lets pass can be lowered, and what it does not is the reference's."""
    rng = np.random.default_rng(0)
    side = 2 * dilation + 50
    X = rng.standard_normal((1, 8, side, side)).astype(dtype)
    W = rng.standard_normal((8, 8 // groups, 3, 3)).astype(dtype)
    x, w = (nnscratch.tensor(one, requires_grad=True) for one in (X, W))
    options = {
        "stride": (1, 1), "padding": ((0, 0), (0, 0)), "dilation": (dilation, dilation),
        "groups": groups,
    }  # fmt: skip
    refused = cpu.IMPLEMENTATIONS["convolution"].refuses("forward", (X, W, None), options)
    if dilation == 30 or groups == 8:
        assert refused is None
    elif dilation == 70:
        assert "larger than the space" in str(refused)
    y = functional.conv2d(x, w, dilation=dilation, groups=groups)
    y.sum().backward()
    wide = [torch.tensor(one, dtype=torch.float64, requires_grad=True) for one in (X, W)]
    made = torch.conv2d(*wide, None, 1, 0, dilation, groups)
    right = (made, *torch.autograd.grad(made.sum(), wide))
    eps = np.finfo(dtype).eps
    for found, wanted in zip((y, x.grad, w.grad), right, strict=True):
        assert found is not None
        truth = wanted.detach().numpy()
        np.testing.assert_allclose(found.detach().numpy(), truth, 0, 40 * eps * np.abs(truth).max())


@pytest.mark.parametrize("dilation", [1, 2])
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_an_infinite_weight_meets_numbers_and_no_gaps(
    stride: int, dilation: int, dtype: str
) -> None:
    """The zeros between the numbers of D, which the kernel lays out, meet no weight."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((2, 3, 9, 11)).astype(dtype)
    W = rng.standard_normal((3, 1, 3, 3)).astype(dtype)
    W[1, 0, 1, 2] = np.inf
    options = {
        "stride": (stride, stride), "padding": ((1, 1), (1, 1)), "dilation": (dilation, dilation),
        "groups": 3,
    }  # fmt: skip
    found = {}
    for mode in ("require", "off"):
        with registry.use_kernels(mode):
            Y, saved = registry.forward(FORMULAS["convolution"], X, W, None, **options)
            D = np.cos(np.arange(Y.size)).reshape(Y.shape).astype(dtype)
            found[mode] = registry.backward(FORMULAS["convolution"], D, saved, (True, True, False))
    ours, right = found["require"][0], found["off"][0]
    if stride > 1:
        assert np.isfinite(right).any(axis=(0, 2, 3)).all()
        np.testing.assert_array_equal(np.isfinite(ours), np.isfinite(right))
    finite = np.isfinite(right) & np.isfinite(ours)
    assert finite[:, [0, 2]].all()
    np.testing.assert_allclose(ours[finite], right[finite], 0, 1e3 * np.finfo(dtype).eps)


@pytest.mark.parametrize(
    ("kernel", "padding"), [(1, (1, 1, 1)), (1, (0, 1, 1)), (3, (1, 1, 1)), (3, (1, 0, 0))]
)
def test_one_plane_between_planes_of_zeros(
    kernel: int, padding: tuple[int, ...], dtype: str
) -> None:
    """Where a kernel of one plane is put on the zeros before the image, it does not see that."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((3, 4, 1, 7, 6)).astype(dtype)
    W = rng.standard_normal((4, 1, kernel, 3, 3)).astype(dtype)
    x, w = (nnscratch.tensor(one, requires_grad=True) for one in (X, W))
    wide = [torch.tensor(one, dtype=torch.float64, requires_grad=True) for one in (X, W)]
    options: Any = {"stride": (3, 1, 1), "padding": padding, "groups": 4}
    made = torch.conv3d(*wide, None, **options)
    with registry.use_kernels("require"):
        y = functional.conv3d(x, w, **options)
        y.sum().backward()
    right = (made, *torch.autograd.grad(made.sum(), wide))
    eps = np.finfo(dtype).eps
    for found, wanted in zip((y, x.grad, w.grad), right, strict=True):
        assert found is not None
        np.testing.assert_allclose(found.detach().numpy(), wanted.detach().numpy(), 0, 400 * eps)


@pytest.mark.parametrize(
    ("stride", "dilation"),
    [((2, 1), (1, 1)), ((1, 1), (2, 3)), ((3, 1), (1, 90)), ((1, 2), (1, 1))],
)
@pytest.mark.parametrize("width", [7, 20, 70])
def test_rows_and_columns_apart_by_different_steps(
    width: int, stride: tuple[int, int], dilation: tuple[int, int], dtype: str
) -> None:
    rng = np.random.default_rng(0)
    width += 2 * dilation[1]
    X = rng.standard_normal((3, 4, 16, width)).astype(dtype)
    W = rng.standard_normal((9, 4, 3, 3)).astype(dtype)
    x, w = (nnscratch.tensor(one, requires_grad=True) for one in (X, W))
    wide = [torch.tensor(one, dtype=torch.float64, requires_grad=True) for one in (X, W)]
    options: Any = {"stride": stride, "dilation": dilation, "padding": (2, 1)}
    made = torch.conv2d(*wide, None, **options)
    with registry.use_kernels("require"):
        y = functional.conv2d(x, w, **options)
        y.sum().backward()
    right = (made, *torch.autograd.grad(made.sum(), wide))
    eps = np.finfo(dtype).eps
    for found, wanted in zip((y, x.grad, w.grad), right, strict=True):
        assert found is not None
        truth = wanted.detach().numpy()
        np.testing.assert_allclose(found.detach().numpy(), truth, 0, 40 * eps * np.abs(truth).max())


@pytest.mark.parametrize(("kernel", "stride"), [(1, 2), (2, 3), (1, 3)])
def test_pixels_between_the_windows_hold_the_bias(kernel: int, stride: int, dtype: str) -> None:
    rng = np.random.default_rng(0)
    X = rng.standard_normal((2, 5, 4, 6)).astype(dtype)
    W = rng.standard_normal((5, 7, kernel, kernel)).astype(dtype)
    b = rng.standard_normal(7).astype(dtype)
    with registry.use_kernels("require"):
        y = functional.conv_transpose2d(*map(nnscratch.tensor, (X, W, b)), stride=stride)
    right = torch.conv_transpose2d(
        *(torch.tensor(one).double() for one in (X, W, b)), stride=stride
    )
    np.testing.assert_allclose(y.numpy(), right.numpy(), 0, 100 * np.finfo(dtype).eps)


@pytest.mark.parametrize("length", [50, 4000, 20000])
def test_what_the_checks_let_pass_fits(length: int, dtype: str) -> None:
    passed = set()
    for dilation in range(200, 60000, 300):
        row = Windows(
            1, 1, 2, (1, 1, length + dilation), (1, 1, length), (1, 1, 2), (1, 1, 1),
            (1, 1, dilation), (0, 0, 0),
        )  # fmt: skip
        passed.add(_fit(row, dtype) and weights_fit(row, dtype))
        if weights_fit(row, dtype):
            for lanes in (2, 4, 8, 16):
                assert _parts(row, dtype, 2 * lanes) is not None
        if _fit(row, dtype):
            assert fitting(row, dtype) is not None
            assert fitting(row, dtype, ROW_PLACES) is not None
    assert passed == {True, False}


@pytest.mark.parametrize(("kernel", "padding"), [(2, 1), (1, 1), (3, 2)])
def test_a_transposed_convolution_that_would_make_nothing_is_the_references(
    kernel: int, padding: int
) -> None:
    X = nnscratch.ones(64, 64, 1, 1)  # large enough for a kernel
    W = nnscratch.ones(64, 64, kernel, kernel)
    with pytest.raises(ShapeError, match="from 1 on"):
        functional.conv_transpose2d(X, W, padding=padding)
    options = {
        "stride": (1, 1), "padding": ((padding, padding),) * 2, "dilation": (1, 1), "groups": 1,
    }  # fmt: skip
    for device in (cpu, cuda):
        made: Any = device.IMPLEMENTATIONS["convolution_transpose"]
        if device is cuda:
            made = made.on(Emulator())
        refused = made.refuses("forward", (X.numpy(), W.numpy(), None), options)
        assert refused == "nothing would be made"


@pytest.mark.parametrize("groups", [1, 4])
def test_images_one_pixel_wide_are_rows(groups: int, dtype: str) -> None:
    """An axis of one pixel comes first: as the last it would cut rows into single numbers."""
    rng = np.random.default_rng(0)
    X, W = rng.standard_normal((2, 4, 70)), rng.standard_normal((8, 4 // groups, 5))
    x, w = (nnscratch.tensor(one.astype(dtype), requires_grad=True) for one in (X, W))
    tall, turned = x.detach()[..., None], w.detach()[..., None]
    tall.requires_grad_(True)
    turned.requires_grad_(True)
    with registry.use_kernels("require"):
        y = functional.conv1d(x, w, stride=2, padding=3, groups=groups)
        z = functional.conv2d(tall, turned, stride=(2, 3), padding=(3, 0), groups=groups)
        (y * y).sum().backward()
        (z * z).sum().backward()
    at = Geometry((2, 3), ((3, 2), (0, 0)), (1, 1))
    row = windows_of(tall.shape, z.shape[2:], turned.shape[2:], at, groups)
    assert (row.size, row.count, row.stride) == ((1, 1, 70), (1, 1, y.shape[2]), (1, 1, 2))
    for one, other in ((y, z), (x.grad, tall.grad), (w.grad, turned.grad)):
        assert one is not None
        assert other is not None
        np.testing.assert_array_equal(one.detach().numpy(), other.detach().numpy()[..., 0])
