"""Functions and losses are called as in PyTorch: the same arguments in the same places."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from parity import assert_same, check, ours, theirs

import nnscratch
from nnscratch import nn
from nnscratch.errors import ConfigurationError, GradientError, ShapeError
from nnscratch.nn.derived import activations

F, G = nn.functional, torch.nn.functional
RNG = np.random.default_rng(3)
X = RNG.normal(size=(4, 3)) * 2
T = RNG.normal(size=(4, 3))


@pytest.mark.parametrize("name", F.__all__)
def test_arguments_stand_in_the_order_of_pytorch(name: str) -> None:
    # Where the result may be a pair, PyTorch's function hides its arguments behind another.
    function = getattr(G, f"{name}_with_indices", getattr(G, name))
    try:
        its = list(inspect.signature(function).parameters)
    except ValueError:  # a builtin, which shows none
        return
    mine = [n for n in inspect.signature(getattr(F, name)).parameters if n != "generator"]
    if name not in ("sigmoid", "tanh"):
        assert mine == [n for n in its if n != "out"]


# The options by position, of a variant that is not the default.
IN_PLACE: dict[str, tuple[Any, ...]] = {
    public.function: tuple(next(iter(public.variants.values()), {}).values())
    for _, public in activations()
    if public.inplace
}


@pytest.mark.parametrize("name", IN_PLACE)
def test_in_place(name: str) -> None:
    options = IN_PLACE[name]

    def function(library: Any, flag: Any) -> Callable[[Any], Any]:
        function = getattr(library, name)

        def run(x: Any) -> Any:
            y = x * 1.5
            z = function(y, *options, *flag) if flag else function(y, *options, inplace=True)
            assert z is y
            return y * 2 + x

        return run

    for flag in ((), (True,)):
        check(function(F, flag), function(G, flag), [X])
    for x, library in ((ours(X), F), (theirs(X), G)):
        view = x[1:]
        getattr(library, name)(view, *options, inplace=True)
        if library is F:
            mine = x
    assert_same(mine, x, "an input without a graph, through a view")
    with pytest.raises(GradientError, match="leaf"):
        getattr(F, name)(ours(X, True), *options, inplace=True)


MODULES = {
    public.module: dict(next(iter(public.variants.values()), {}))
    for _, public in activations()
    if public.inplace
}


@pytest.mark.parametrize("kind", MODULES)
def test_modules_in_place(kind: str) -> None:
    mine = getattr(nn, kind)(**MODULES[kind], inplace=True)
    its = getattr(torch.nn, kind)(**MODULES[kind], inplace=True)
    # Two of PyTorch's do not say it.
    assert repr(mine) in (repr(its), repr(its).replace("()", "(inplace=True)"))

    def residual(layer: Any) -> Callable[[Any], Any]:
        # The sum is of the same numbers twice: what came in is overwritten.
        return lambda x: (lambda y: y + layer(y))(x * 1.0)

    check(residual(mine), residual(its), [X])
    x, y = ours(X), theirs(X)
    assert_same(mine(x), its(y))
    assert_same(x, y)


def test_the_words_of_old_of_hardtanh() -> None:
    with pytest.warns(FutureWarning, match="write min_val=-0.5"):
        mine = nn.Hardtanh(min_value=-0.5)
    assert repr(mine) == repr(torch.nn.Hardtanh(-0.5))
    assert_same(mine(ours(X)), torch.nn.Hardtanh(-0.5)(theirs(X)))
    with pytest.warns(FutureWarning, match="write max_val=0.25"):
        assert nn.Hardtanh(max_value=0.25).max_val == 0.25


def test_bounds_that_exclude_each_other() -> None:
    for low, high in ((1.0, -1.0), (1.0, 1.0)):
        with pytest.raises(ConfigurationError, match=f"above min_val={low}, got {high}"):
            nn.Hardtanh(low, high)
        with pytest.raises(AssertionError):
            torch.nn.Hardtanh(low, high)
    assert_same(F.hardtanh(ours(X), 1.0, 1.0), G.hardtanh(theirs(X), 1.0, 1.0))


@pytest.mark.parametrize("size", [3, 30000])
def test_options_that_make_no_sense(size: int) -> None:
    """They are refused by kernels too, and what they were refused for stays what it was."""
    x = RNG.normal(size=size).astype(np.float32)
    for call in (
        lambda lib, y: lib.nn.functional.hardtanh(y, 1.0, -1.0),
        lambda lib, y: lib.nn.functional.softshrink(y, -1.0),
        lambda lib, y: lib.nn.functional.softshrink(y, float("nan")),
        lambda lib, y: lib.nn.functional.celu(y, 0.0),
        lambda lib, y: lib.nn.Softshrink(-1.0)(y),
        lambda lib, y: lib.nn.CELU(0)(y),
    ):
        with pytest.raises(ConfigurationError):
            call(nnscratch, ours(x))
        with pytest.raises((ValueError, RuntimeError)):
            call(torch, theirs(x))
    assert_same(F.softshrink(ours(x), 0.0), G.softshrink(theirs(x), 0.0))


def test_a_warning_names_the_line_of_the_caller() -> None:
    x, flat = ours(X), ours(RNG.normal(size=(2, 3)))
    frames, label = nnscratch.ones(2, 3, 4), [0] * len(X)
    hooked = nn.Sequential(nn.Softmax())
    for layer in (hooked, hooked[0]):
        layer.register_forward_hook(lambda module, inputs, output: None)
        layer.register_forward_pre_hook(lambda module, inputs: None)

    calls: list[Callable[[], Any]] = [
        lambda: nn.MSELoss(size_average=True),
        lambda: nn.CrossEntropyLoss(reduce=False),
        lambda: nn.TripletMarginLoss(size_average=False),
        lambda: F.mse_loss(x, x, size_average=True),
        lambda: F.cross_entropy(x, label, reduce=True),
        lambda: F.margin_ranking_loss(x, x, x, reduce=True),
        lambda: nn.Hardtanh(min_value=-2.0),
        lambda: nn.Softmax()(x),
        lambda: nn.LogSoftmax()(x),
        lambda: nn.Softmin()(x),
        lambda: F.softmax(x),
        lambda: F.log_softmax(x),
        lambda: F.softmin(x),
        lambda: F.dropout2d(frames),
        lambda: F.dropout2d(flat),
        lambda: F.dropout3d(frames),
        lambda: nn.Dropout2d()(frames),
        lambda: nn.Dropout2d()(flat),
        lambda: nn.Dropout3d()(frames),
        lambda: nn.InstanceNorm1d(5)(frames),
        lambda: nn.LSTM(2, 3, dropout=0.5),
        lambda: nn.GRU(2, 3, dropout=0.5),
        lambda: F.affine_grid(nnscratch.ones(1, 2, 3), (1, 1, 2, 2)),
        lambda: F.upsample(frames, 2),
        lambda: F.upsample_nearest(frames, 2),
        lambda: nn.Sequential(nn.Identity(), nn.Sequential(nn.Softmax()))(x),
        lambda: nn.Sequential(nn.Dropout2d())(flat),
        lambda: nn.Sequential(nn.InstanceNorm1d(5))(frames),
        lambda: hooked(x),
        lambda: nn.init.kaiming_uniform_(nnscratch.zeros(0, 3)),
    ]
    for number, call in enumerate(calls):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            call()
        assert [one.filename for one in caught] == [__file__], (number, caught)
        assert caught[0].lineno == call.__code__.co_firstlineno


def test_dropout_in_place() -> None:
    x = nnscratch.ones(1000)
    y = F.dropout(x, 0.5, True, True)
    assert y is x
    assert set(x.tolist()) == {0.0, 2.0}
    x = nnscratch.ones(10)
    assert F.dropout(x, 0.5, False, True) is x
    assert x.tolist() == [1.0] * 10
    layer = nn.Dropout(0.5, inplace=True)
    assert repr(layer) == repr(torch.nn.Dropout(0.5, inplace=True))
    layer(x)
    assert x.tolist() != [1.0] * 10


def test_in_place_in_a_compiled_step() -> None:
    def model() -> Any:
        nnscratch.manual_seed(1)
        return nn.Sequential(nn.Linear(3, 4), nn.ReLU(inplace=True), nn.Linear(4, 2))

    eager, other = model(), model()
    compiled = nnscratch.compile(other)
    for n in range(4):
        x = ours(X.astype(np.float32)) + float(n)
        assert_same(compiled(x).detach(), eager(x).detach().numpy(), times=4.0)
        with nnscratch.no_grad():
            assert_same(compiled(x), eager(x).numpy(), times=4.0)


@pytest.mark.parametrize("shape", [(3,), (2, 3), (2, 3, 2), (2, 2, 3, 2)])
@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_softmax_without_a_dimension(name: str, shape: tuple[int, ...]) -> None:
    x = RNG.normal(size=shape)
    kind = "".join(part.title() for part in name.split("_"))
    for mine, its in (
        (getattr(F, name), getattr(G, name)),
        (getattr(nn, kind)(), getattr(torch.nn, kind)()),
    ):
        with pytest.warns(UserWarning, match="without a dimension takes dim="):
            found = mine(ours(x))
        with pytest.warns(UserWarning, match="Implicit dimension"):
            expected = its(theirs(x))
        assert_same(found, expected)


def test_softmax_with_a_dtype() -> None:
    x = X.astype(np.float32)
    for name in ("softmax", "log_softmax"):
        found = getattr(F, name)(ours(x), 1, dtype=nnscratch.float64)
        assert_same(found, getattr(G, name)(theirs(x), 1, dtype=torch.float64))
        found = getattr(F, name)(ours([1, 2]), 0, 3, nnscratch.float32)
        assert_same(found, getattr(G, name)(theirs([1, 2]), 0, 3, torch.float32), times=4.0)


LABELS = np.array([0, 2, 1, 2])
P = 1 / (1 + np.exp(-X))
SIGNS = np.sign(T)
LOSSES: dict[str, tuple[str, list[np.ndarray]]] = {
    "mse_loss": ("MSELoss", [X, T]),
    "l1_loss": ("L1Loss", [X, T]),
    "smooth_l1_loss": ("SmoothL1Loss", [X, T]),
    "binary_cross_entropy": ("BCELoss", [P, P[::-1].copy()]),
    "binary_cross_entropy_with_logits": ("BCEWithLogitsLoss", [X, P]),
    "nll_loss": ("NLLLoss", [X, LABELS]),
    "cross_entropy": ("CrossEntropyLoss", [X, LABELS]),
    "kl_div": ("KLDivLoss", [X, P]),
    "hinge_embedding_loss": ("HingeEmbeddingLoss", [X, SIGNS]),
    "cosine_embedding_loss": ("CosineEmbeddingLoss", [X, T, SIGNS[:, 0].copy()]),
}


@pytest.mark.filterwarnings("ignore:reduction")
@pytest.mark.parametrize("size_average", [None, True, False])
@pytest.mark.parametrize("reduce", [None, True, False])
@pytest.mark.parametrize("name", LOSSES)
def test_reductions_as_they_were_said_of_old(
    name: str, size_average: bool | None, reduce: bool | None
) -> None:
    kind, arrays = LOSSES[name]
    old = {"size_average": size_average, "reduce": reduce}
    given = size_average is not None or reduce is not None

    def found(library: Any, function: Any, convert: Any) -> list[Any]:
        tensors = [convert(array) for array in arrays]
        with warnings.catch_warnings(record=True) as seen:
            warnings.simplefilter("always")
            loss = getattr(library, kind)(**old)
            results = [function(*tensors, **old), loss(*tensors)]
        said = [str(w.message) for w in seen if "size_average and reduce" in str(w.message)]
        assert (len(said) > 0) is given
        return [*results, loss.reduction]

    mine = found(nn, getattr(F, name), ours)
    its = found(torch.nn, getattr(G, name), theirs)
    assert mine[2] == its[2]
    assert_same(mine[0], its[0])
    assert_same(mine[1], its[1])


def test_losses_by_position() -> None:
    weight = np.array([1.0, 2.0, 0.5])
    x, y, w = ours(X), ours(LABELS), ours(weight)
    a, b, c = theirs(X), theirs(LABELS), theirs(weight)
    assert_same(
        F.cross_entropy(x, y, w, None, 2, None, "sum", 0.1),
        G.cross_entropy(a, b, c, None, 2, None, "sum", 0.1),
    )
    assert_same(
        nn.CrossEntropyLoss(w, None, 2, None, "sum", 0.1)(x, y),
        torch.nn.CrossEntropyLoss(c, None, 2, None, "sum", 0.1)(a, b),
    )
    assert_same(
        F.mse_loss(x, ours(T), None, None, "sum"), G.mse_loss(a, theirs(T), None, None, "sum")
    )
    assert_same(
        F.cosine_embedding_loss(x, ours(T), ours(SIGNS[:, 0]), 0.3),
        G.cosine_embedding_loss(a, theirs(T), theirs(SIGNS[:, 0].copy()), 0.3),
    )
    # PyTorch takes the word for a true size_average, and the mean, in silence.
    for wrong in (lambda: F.mse_loss(x, x, "sum"), lambda: nn.MSELoss("none")):
        with pytest.raises(ConfigurationError, match="write reduction="):
            wrong()


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("name", ["mse_loss", "l1_loss", "huber_loss"])
def test_a_weight_for_each_element(name: str, reduction: str) -> None:
    weight = RNG.uniform(size=X.shape)

    def call(library: Any) -> Callable[..., Any]:
        return lambda x, t, w: getattr(library, name)(x, t, reduction=reduction, weight=w)

    check(call(F), call(G), [X, T, weight], [True, False, False])
    with pytest.raises(ShapeError, match="a weight for each element"):
        getattr(F, name)(ours(X), ours(T), weight=ours(weight[0]))
    with pytest.raises(ConfigurationError, match="reduction"):
        getattr(F, name)(ours(X), ours(T), weight=ours(weight), reduction="median")
