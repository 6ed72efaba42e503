"""Normalisation layers against PyTorch: values, gradients, state, corners, compiled steps."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from parity import assert_same, check, ours, theirs

import nnscratch
from nnscratch import nn
from nnscratch.errors import ConfigurationError, DTypeError, ShapeError
from nnscratch.nn import functional

RNG = np.random.default_rng(0)

# The class, its arguments, and the shape of an input.
LAYERS: dict[str, tuple[str, tuple[Any, ...], dict[str, Any], tuple[int, ...]]] = {
    "batch 1d": ("BatchNorm1d", (3,), {}, (5, 3)),
    "batch 1d, sequences": ("BatchNorm1d", (3,), {"momentum": 0.3}, (4, 3, 5)),
    "batch 2d": ("BatchNorm2d", (3,), {"eps": 1e-3}, (2, 3, 4, 5)),
    "batch 2d, averages": ("BatchNorm2d", (3,), {"momentum": None}, (2, 3, 4, 5)),
    "batch 2d, not affine": ("BatchNorm2d", (3,), {"affine": False}, (2, 3, 4, 5)),
    "batch 2d, no bias": ("BatchNorm2d", (3,), {"bias": False}, (2, 3, 4, 5)),
    "batch 2d, untracked": ("BatchNorm2d", (3,), {"track_running_stats": False}, (2, 3, 4, 5)),
    "batch 3d": ("BatchNorm3d", (2,), {}, (2, 2, 3, 2, 2)),
    "batch, one picture": ("BatchNorm2d", (2,), {}, (1, 2, 2, 2)),
    "instance 1d": ("InstanceNorm1d", (3,), {}, (2, 3, 5)),
    "instance 1d, tracked": (
        "InstanceNorm1d", (3,), {"track_running_stats": True, "affine": True}, (2, 3, 5)),
    "instance 1d, no batch": ("InstanceNorm1d", (3,), {"affine": True}, (3, 5)),
    "instance 2d": ("InstanceNorm2d", (3,), {"affine": True, "bias": False}, (2, 3, 4, 5)),
    "instance 3d": ("InstanceNorm3d", (2,), {"momentum": None, "track_running_stats": True},
                    (2, 2, 3, 2, 2)),
    "layer": ("LayerNorm", (5,), {}, (4, 5)),
    "layer, two axes": ("LayerNorm", ([2, 3],), {"eps": 1e-2}, (4, 5, 2, 3)),
    "layer, no bias": ("LayerNorm", ((5,),), {"bias": False}, (4, 5)),
    "layer, not affine": ("LayerNorm", (5,), {"elementwise_affine": False}, (5,)),
    "rms": ("RMSNorm", (5,), {}, (4, 5)),
    "rms, two axes": ("RMSNorm", ((2, 3),), {"eps": 1e-2}, (4, 2, 3)),
    "rms, not affine": ("RMSNorm", (5,), {"elementwise_affine": False}, (2, 3, 5)),
    "group": ("GroupNorm", (2, 4), {}, (3, 4, 5)),
    "group, rows": ("GroupNorm", (2, 6), {"bias": False}, (3, 6)),
    "group, pictures": ("GroupNorm", (1, 4), {"affine": False}, (3, 4, 2, 3)),
    "local response": ("LocalResponseNorm", (3,), {}, (2, 5, 4)),
    "local response, all": (
        "LocalResponseNorm", (4, 0.5), {"beta": 0.6, "k": 2.0}, (2, 5, 2, 2)),
}  # fmt: skip


def pair(name: str, dtype: str = "float64") -> tuple[Any, Any]:
    """Return a layer of ours and PyTorch's, with the same parameters, none of them 0 or 1."""
    kind, args, options, _ = LAYERS[name]
    mine, its = getattr(nn, kind)(*args, **options), getattr(torch.nn, kind)(*args, **options)
    mine.to(dtype)
    its.to(getattr(torch, dtype))
    for p, q in zip(mine.parameters(), its.parameters(), strict=True):
        values = RNG.normal(size=p.shape).astype(dtype)
        p.detach().copy_(values)
        q.data.copy_(torch.from_numpy(values))
    return mine, its


def same_state(mine: Any, its: Any, times: float = 1.0) -> None:
    assert list(mine.state_dict()) == list(its.state_dict())
    for key, value in its.state_dict().items():
        assert_same(mine.state_dict()[key], value, key, times)


@pytest.mark.parametrize("name", LAYERS)
def test_layers_are_pytorchs(name: str) -> None:
    shape = LAYERS[name][3]
    for dtype in ("float64", "float32"):
        mine, its = pair(name, dtype)
        assert repr(mine) == repr(its)
        for mode in (True, True, False):
            mine.train(mode)
            its.train(mode)
            mine.zero_grad()
            its.zero_grad()
            X = (RNG.normal(size=shape) * 2 + 1).astype(dtype)
            check(mine, its, [X], times=8.0)
            same_state(mine, its, times=4.0)
            for p, q in zip(mine.parameters(), its.parameters(), strict=True):
                assert_same(p.grad, q.grad, "gradient of a parameter", times=8.0)


@pytest.mark.parametrize("name", ["batch 2d", "layer", "rms", "group", "local response"])
def test_second_derivatives_are_pytorchs(name: str) -> None:
    mine, its = pair(name)
    X, V = RNG.normal(size=(2, *LAYERS[name][3]))
    results = []
    for lib, model, make in ((nnscratch, mine, ours), (torch, its, theirs)):
        x = make(X, True)
        (first,) = lib.autograd.grad((model(x) ** 3).sum(), x, create_graph=True)
        (first * make(V)).sum().backward()
        results.append([x.grad, *(p.grad for p in model.parameters())])
    for got, wanted in zip(*results, strict=True):
        assert_same(got, wanted, "second derivative", times=10.0)


@pytest.mark.parametrize("order", ["F", "sliced"])
def test_inputs_lie_anyhow(order: str) -> None:
    for name in ("batch 2d", "layer, two axes", "group, pictures"):
        mine, its = pair(name)
        X = RNG.normal(size=LAYERS[name][3])
        laid = np.asfortranarray(X) if order == "F" else np.repeat(X, 2, axis=-1)[..., ::2]
        got = mine(nnscratch.from_numpy(laid))
        assert_same(got, its(theirs(X)), name)


def test_float16_is_computed_in_float32() -> None:
    X = (RNG.normal(size=(6, 40)) * 300 + 100).astype("float16")
    for kind in ("LayerNorm", "RMSNorm", "BatchNorm1d"):
        half, single = getattr(nn, kind)(40, dtype="float16"), getattr(nn, kind)(40)
        with nnscratch.no_grad():
            assert_same(half(ours(X)), np.asarray(single(ours(X).float())).astype("float16"), kind)


def test_a_large_mean_costs_no_digits() -> None:
    X = RNG.normal(size=(64, 1)) + 1e4
    mine = nn.BatchNorm1d(1)
    y = np.asarray(mine(ours(X.astype("float32"))).detach()).astype("float64")
    truth = X.astype("float32").astype("float64")
    truth = (truth - truth.mean()) / np.sqrt(truth.var() + 1e-5)
    assert np.abs(y - truth).max() < 1e-5
    assert abs(mine.running_var.item() - (0.9 + 0.1 * X.var(ddof=1))) < 1e-4


def test_running_statistics() -> None:
    norm = nn.BatchNorm1d(1)
    norm(ours([[0.0], [2.0]]).float())
    assert abs(norm.running_mean.item() - 0.1) < 1e-7
    assert abs(norm.running_var.item() - 1.1) < 1e-6
    assert norm.num_batches_tracked.item() == 1
    assert norm.num_batches_tracked.dtype == nnscratch.int64
    averages = nn.BatchNorm1d(1, momentum=None)
    with nnscratch.no_grad():  # which does not freeze them
        for value in (1.0, 3.0, 8.0):
            averages(ours([[value - 1], [value + 1]]).float())
    assert abs(averages.running_mean.item() - 4.0) < 1e-6
    assert abs(averages.running_var.item() - 2.0) < 1e-6
    averages.reset_running_stats()
    assert averages.state_dict()["num_batches_tracked"].item() == 0
    assert averages.running_var.item() == 1.0


def test_evaluation_leaves_the_running_statistics() -> None:
    mine, its = pair("batch 2d")
    for model, make in ((mine, ours), (its, theirs)):
        model.eval()
        model(make(RNG.normal(size=(2, 3, 4, 5))))
    same_state(mine, its)
    x = ours([[0.0], [2.0]], True)
    norm = nn.BatchNorm1d(1, eps=0.0).double().eval()
    norm(x).sum().backward()
    assert np.asarray(x.grad).tolist() == [[1.0], [1.0]]


def test_running_statistics_that_change_are_noticed() -> None:
    norm = nn.BatchNorm1d(3)
    x = nnscratch.randn(4, 3, requires_grad=True)
    y = norm.eval()(x)
    norm.train()(x)
    with pytest.raises(RuntimeError, match="changed"):
        y.sum().backward()


def test_functions_take_what_pytorchs_take() -> None:
    X = RNG.normal(size=(3, 4, 5))
    W, b = RNG.normal(size=(2, 4))
    R, S = RNG.normal(size=4), RNG.uniform(1.0, 2.0, size=4)
    for training in (True, False):
        for weight, bias in ((W, b), (W, None), (None, None)):
            results = []
            for lib, make in ((functional, ours), (F, theirs)):
                mean, var = make(R), make(S)
                given = [None if one is None else make(one, True) for one in (weight, bias)]
                x = make(X, True)
                y = lib.batch_norm(x, mean, var, *given, training, 0.2, 1e-3)
                others = make(R), make(S)
                z = lib.instance_norm(x, *others, *given, training, 0.2, 1e-3)
                w = lib.group_norm(x, 2, *given, 1e-3)
                (y * y * w + z * z * z).sum().backward()
                grads = [None if one is None else one.grad for one in given]
                results.append([y, z, w, mean, var, *others, x.grad, *grads])
            for got, wanted in zip(*results, strict=True):
                assert_same(got, wanted, times=4.0)
    shift = RNG.normal(size=(4, 5))
    check(lambda x, c: functional.layer_norm(x, (4, 5), None, c),
          lambda x, c: F.layer_norm(x, (4, 5), None, c), [X, shift])  # fmt: skip
    check(lambda x: functional.rms_norm(x, [5]), lambda x: F.rms_norm(x, [5]), [X])
    whole = np.arange(24).reshape(2, 6, 2)
    assert_same(functional.local_response_norm(ours(whole), 3),
                F.local_response_norm(theirs(whole), 3))  # fmt: skip


def test_corners() -> None:
    empty = nn.BatchNorm2d(3)
    assert empty(nnscratch.zeros(0, 3, 4, 4)).shape == (0, 3, 4, 4)
    assert empty.running_var.tolist() == [1.0, 1.0, 1.0]
    assert empty.num_batches_tracked.item() == 1
    assert nn.LayerNorm(4)(nnscratch.zeros(0, 4)).shape == (0, 4)
    assert nn.GroupNorm(2, 4)(nnscratch.zeros(0, 4, 3)).shape == (0, 4, 3)
    assert functional.group_norm(nnscratch.zeros(2, 4, 0), 2).shape == (2, 4, 0)
    assert np.asarray(nn.LayerNorm(1)(ours([[7.0]]).float()).detach()).tolist() == [[0.0]]
    constant = nn.BatchNorm1d(1)(nnscratch.full((3, 1), 2.5)).detach()
    assert np.asarray(constant).tolist() == [[0.0], [0.0], [0.0]]
    no_variance = functional.batch_norm(
        ours([[1.0]]), nnscratch.zeros(1).double(), nnscratch.zeros(1).double()
    )
    assert abs(no_variance.item() - 316.2278) < 1e-3
    tracked = nn.InstanceNorm1d(2, track_running_stats=True).eval()
    assert tracked(nnscratch.ones(1, 2, 1)).shape == (1, 2, 1)
    with pytest.warns(UserWarning, match="num_features"):
        nn.InstanceNorm1d(2)(nnscratch.randn(3, 5))


def test_what_does_not_fit_is_refused() -> None:
    x = nnscratch.randn
    refused: list[tuple[type[Exception], str, Any]] = [
        (ShapeError, "more than 1 value per channel", lambda: nn.BatchNorm1d(2)(x(1, 2))),
        (ShapeError, "2D or 3D", lambda: nn.BatchNorm1d(2)(x(1, 2, 3, 4))),
        (ShapeError, "4D", lambda: nn.BatchNorm2d(2)(x(3, 2))),
        (
            ShapeError,
            r"has 4 channels .*running_mean is of shape \(3,\)",
            lambda: nn.BatchNorm1d(3)(x(4, 4)),
        ),
        (DTypeError, "float64 but running_mean", lambda: nn.BatchNorm1d(3)(x(4, 3).double())),
        (DTypeError, "floating-point", lambda: nn.BatchNorm1d(3)(x(4, 3).long())),
        (ConfigurationError, "training=True", lambda: functional.batch_norm(x(4, 3), None, None)),
        (ConfigurationError, "both",
         lambda: functional.batch_norm(x(4, 3), x(3), None, training=True)),
        (ConfigurationError, "at least 0", lambda: nn.BatchNorm1d(-1)),
        (ShapeError, "more than 1 spatial", lambda: nn.InstanceNorm1d(2)(x(1, 2, 1))),
        (ShapeError, "2 channels", lambda: nn.InstanceNorm1d(2, affine=True)(x(3, 5))),
        (ShapeError, "3D or 4D", lambda: nn.InstanceNorm2d(2)(x(3, 5))),
        (ConfigurationError, "use_input_stats",
         lambda: functional.instance_norm(x(2, 3, 4), use_input_stats=False)),
        (ShapeError, r"normalized_shape=\[3\]", lambda: nn.LayerNorm((3,))(x(2, 4))),
        (ShapeError, "expected weight",
         lambda: functional.layer_norm(x(2, 4), (4,), weight=x(3))),
        (DTypeError, "weight is float64",
         lambda: functional.layer_norm(x(2, 4), (4,), weight=x(4).double())),
        (DTypeError, "floating-point", lambda: functional.layer_norm(x(2, 4).long(), (4,))),
        (ConfigurationError, "at least one", lambda: nn.LayerNorm(())),
        (ShapeError, r"normalized_shape=\[4\]", lambda: nn.RMSNorm(4)(x(2, 3))),
        (ConfigurationError, "divisible", lambda: nn.GroupNorm(3, 4)),
        (ConfigurationError, "divisible", lambda: nn.GroupNorm(0, 4)),
        (ShapeError, "3 groups", lambda: functional.group_norm(x(2, 4), 3)),
        (ShapeError, "expected weight", lambda: nn.GroupNorm(2, 4)(x(2, 6, 3))),
        (ShapeError, "more than 1 value per group", lambda: functional.group_norm(x(1, 2), 2)),
        (ShapeError, "3D or higher", lambda: functional.local_response_norm(x(2, 3), 2)),
        (ConfigurationError, "at least 1",
         lambda: functional.local_response_norm(x(2, 3, 4), 0)),
    ]  # fmt: skip
    for kind, words, call in refused:
        with pytest.raises(kind, match=words):
            call()
    with pytest.raises(ShapeError, match=r"in 0 \(BatchNorm1d"):
        nn.Sequential(nn.BatchNorm1d(2))(x(1, 2))


def test_states_load() -> None:
    mine, its = pair("batch 2d")
    old = {key: value.numpy() for key, value in its.state_dict().items()}
    del old["num_batches_tracked"]
    missing = mine.load_state_dict(old, strict=False)
    assert missing.missing_keys == ["num_batches_tracked"]


@pytest.mark.parametrize("momentum", [0.2, None])
def test_compiled_steps_are_the_eager_ones(momentum: float | None) -> None:
    nnscratch.manual_seed(0)
    eager = nn.Sequential(
        nn.Linear(6, 8), nn.BatchNorm1d(8, momentum=momentum), nn.ReLU(), nn.Unflatten(1, (4, 2)),
        nn.GroupNorm(2, 4), nn.InstanceNorm1d(4, track_running_stats=True, affine=True),
        nn.LayerNorm((4, 2)), nn.LocalResponseNorm(3), nn.Flatten(), nn.RMSNorm(8), nn.Linear(8, 2),
    ).double()  # fmt: skip
    compiled = copy.deepcopy(eager)

    def step_of(model: Any) -> Any:
        optimizer = nnscratch.optim.Adam(model.parameters(), lr=1e-2)

        def step(x: Any, y: Any) -> Any:
            optimizer.zero_grad()
            loss = functional.mse_loss(model(x), y)
            loss.backward()
            optimizer.step()
            return loss

        return step

    plain, planned = step_of(eager), nnscratch.compile(step_of(compiled))
    for _ in range(5):
        x, y = nnscratch.randn(7, 6).double(), nnscratch.randn(7, 2).double()
        assert_same(np.asarray(planned(x, y).detach()), np.asarray(plain(x, y).detach()), "loss")
    for key, value in eager.state_dict().items():
        assert_same(compiled.state_dict()[key], np.asarray(value), key, times=4.0)
    assert eager[1].num_batches_tracked.item() == 5
    x = nnscratch.randn(3, 6).double()
    eager.eval()
    compiled.eval()
    forward = nnscratch.compile(compiled)
    for _ in range(2):
        assert_same(np.asarray(forward(x).detach()), np.asarray(eager(x).detach()), "evaluation",
                    times=4.0)  # fmt: skip
