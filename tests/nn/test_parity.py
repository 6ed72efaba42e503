"""Every activation and loss, as a module and as a function, against PyTorch."""

from __future__ import annotations

import inspect
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from parity import assert_same, check, of_torch, ours, theirs

import nnscratch
from nnscratch import nn
from nnscratch.nn.derived import activations
from nnscratch.nn.derived_losses import losses

RNG = np.random.default_rng(0)
DTYPES = ["float64", "float32"]

ACTIVATIONS: dict[str, tuple[str, dict[str, Any]]] = {
    **{
        f"{made.name}, {label}": (public.module, dict(options))
        for made, public in activations()
        if public.module
        for label, options in {"as it is": {}, **public.variants}.items()
        if options or inspect.Parameter.empty not in made.pointwise.options.values()
    },
    "relu in place": ("ReLU", {"inplace": False}),
    "prelu": ("PReLU", {}),
    "prelu, a slope a channel": ("PReLU", {"num_parameters": 5, "init": 0.1}),
    "gelu, tanh": ("GELU", {"approximate": "tanh"}),
    "softmax": ("Softmax", {"dim": 1}),
    "softmax over rows": ("Softmax", {"dim": 0}),
    "log softmax": ("LogSoftmax", {"dim": -1}),
    "identity": ("Identity", {}),
    "flatten": ("Flatten", {}),
    "flatten all": ("Flatten", {"start_dim": 0}),
    "unflatten": ("Unflatten", {"dim": 1, "unflattened_size": (5, 1)}),
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations(name: str, dtype: str) -> None:
    kind, options = ACTIVATIONS[name]
    mine = getattr(nn, kind)(**options)
    its = getattr(torch.nn, kind)(**options)
    assert repr(mine) == repr(its).replace(", inplace=True", "")
    mine.to(dtype)
    its.to(getattr(torch, dtype))
    X = np.concatenate([RNG.normal(size=(6, 5)) * 3, RNG.normal(size=(1, 5)) * 30]).astype(dtype)
    check(mine, its, [X])
    for p, q in zip(mine.parameters(), its.parameters(), strict=True):
        assert_same(p.grad, q.grad, "gradient of the parameter", times=4.0)


def index(*shape: int, classes: int = 4) -> np.ndarray:
    return RNG.integers(0, classes, size=shape)


N, K = 6, 4
SCORES = RNG.normal(size=(N, K)) * 3
PICTURE = RNG.normal(size=(2, K, 3, 2))
WEIGHT = np.array([0.5, 1.0, 2.0, 0.25])
LABELS = index(N)
IGNORED = np.array([0, -100, 3, -100, 1, 2])
SOFT = RNG.dirichlet(np.ones(K), size=N)
Y, T = RNG.normal(size=(N, 3)), RNG.normal(size=(N, 3))
P, Q = RNG.uniform(0.02, 0.98, size=(N, 3)), RNG.uniform(size=(N, 3))
SIGNS = np.sign(RNG.normal(size=N))

LOSSES: dict[str, tuple[str, dict[str, Any], list[np.ndarray]]] = {
    "mse": ("MSELoss", {}, [Y, T]),
    "l1": ("L1Loss", {}, [Y, T]),
    "l1 of equal": ("L1Loss", {}, [Y, np.where(T > 0, Y, T)]),
    "smooth l1": ("SmoothL1Loss", {}, [Y, T]),
    "smooth l1, narrow": ("SmoothL1Loss", {"beta": 0.3}, [Y, T]),
    "smooth l1, no bend": ("SmoothL1Loss", {"beta": 0.0}, [Y, T]),
    "huber": ("HuberLoss", {}, [Y, T]),
    "huber, wide": ("HuberLoss", {"delta": 2.0}, [Y, T]),
    "bce": ("BCELoss", {}, [P, Q]),
    "bce of certain": ("BCELoss", {}, [np.array([0.0, 1.0, 1.0]), np.array([0.0, 1.0, 0.0])]),
    "bce, weights": ("BCELoss", {"weight": np.array([1.0, 2.0, 0.5])}, [P, Q]),
    "bce with logits": ("BCEWithLogitsLoss", {}, [Y * 5, Q]),
    "bce with logits, large": ("BCEWithLogitsLoss", {}, [Y * 1e3, Q]),
    "bce with logits, weights": (
        "BCEWithLogitsLoss",
        {"weight": np.array([1.0, 2.0, 0.5]), "pos_weight": np.array([3.0, 1.0, 0.1])},
        [Y, Q],
    ),
    "nll": ("NLLLoss", {}, [np.log(SOFT), LABELS]),
    "nll, weights": ("NLLLoss", {"weight": WEIGHT, "ignore_index": 2}, [np.log(SOFT), LABELS]),
    "cross-entropy": ("CrossEntropyLoss", {}, [SCORES, LABELS]),
    "cross-entropy, large": ("CrossEntropyLoss", {}, [SCORES * 1e3, LABELS]),
    "cross-entropy of one": ("CrossEntropyLoss", {}, [SCORES[0], np.array(2)]),
    "cross-entropy of pixels": ("CrossEntropyLoss", {}, [PICTURE, index(2, 3, 2)]),
    "cross-entropy, weights": ("CrossEntropyLoss", {"weight": WEIGHT}, [SCORES, LABELS]),
    "cross-entropy, ignored": ("CrossEntropyLoss", {}, [SCORES, IGNORED]),
    "cross-entropy, another ignored": ("CrossEntropyLoss", {"ignore_index": 1}, [SCORES, LABELS]),
    "cross-entropy, all ignored": ("CrossEntropyLoss", {}, [SCORES, np.full(N, -100)]),
    "cross-entropy, smoothed": ("CrossEntropyLoss", {"label_smoothing": 0.1}, [SCORES, LABELS]),
    "cross-entropy, everything": (
        "CrossEntropyLoss", {"weight": WEIGHT, "label_smoothing": 0.2}, [SCORES, IGNORED]
    ),
    "cross-entropy of probabilities": ("CrossEntropyLoss", {}, [SCORES, SOFT]),
    "cross-entropy of probabilities, everything": (
        "CrossEntropyLoss", {"weight": WEIGHT, "label_smoothing": 0.2}, [SCORES, SOFT]
    ),
    "kl": ("KLDivLoss", {}, [np.log(SOFT), SOFT[::-1].copy()]),
    "kl of logs": ("KLDivLoss", {"log_target": True}, [np.log(SOFT), np.log(SOFT[::-1])]),
    "kl of zeros": ("KLDivLoss", {}, [np.log(SOFT), np.eye(K)[LABELS]]),
    "hinge": ("HingeEmbeddingLoss", {}, [Y[:, 0], SIGNS]),
    "hinge, wide": ("HingeEmbeddingLoss", {"margin": 2.0}, [Y[:, 0], SIGNS]),
    "cosine": ("CosineEmbeddingLoss", {}, [Y, T, SIGNS]),
    "cosine, margin": ("CosineEmbeddingLoss", {"margin": 0.3}, [Y, T, SIGNS]),
}  # fmt: skip
FUNCTIONS = {public.module: public.function for _, public in losses()}
# Labels and signs; and where PyTorch's gradient of the target is not that of its own loss: it has
# infinities where the logarithm is held at -100, and NaN for 0 · log 0.
NO_TARGET_GRADIENT = ("hinge", "hinge, wide", "cosine", "cosine, margin", "bce of certain",
                      "kl of zeros")  # fmt: skip


def loss_of(lib: Any, make: Any, kind: str, options: dict[str, Any], dtype: str) -> Any:
    given = {
        name: make(value.astype(dtype)) if isinstance(value, np.ndarray) else value
        for name, value in options.items()
    }
    return getattr(lib.nn, kind)(**given), given


@pytest.mark.filterwarnings("ignore:reduction")
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("name", LOSSES)
def test_losses(name: str, reduction: str, dtype: str) -> None:
    kind, options, arrays = LOSSES[name]
    arrays = [a.astype(dtype) if a.dtype.kind == "f" else a for a in arrays]
    needs = [a.dtype.kind == "f" for a in arrays]
    if name in NO_TARGET_GRADIENT:
        needs[-1] = False
    options = {**options, "reduction": reduction}
    mine, given = loss_of(nnscratch, ours, kind, options, dtype)
    its, _ = loss_of(torch, theirs, kind, options, dtype)
    large = 4.0 if dtype == "float32" else 1.0
    check(mine, its, arrays, needs, times=large)
    function = getattr(nn.functional, FUNCTIONS[kind])
    tensors = [ours(array) for array in arrays]
    assert_same(function(*tensors, **given), mine(*tensors).numpy())


def test_batchmean() -> None:
    X, T = np.log(SOFT), SOFT[::-1].copy()
    check(nn.KLDivLoss(reduction="batchmean"), torch.nn.KLDivLoss(reduction="batchmean"), [X, T])
    logs = {"reduction": "batchmean", "log_target": True}
    check(nn.KLDivLoss(**logs), torch.nn.KLDivLoss(**logs), [X, X[::-1].copy()])


def test_options_stand_in_the_order_of_pytorch() -> None:
    for kind in [*(kind for kind, _ in ACTIVATIONS.values()), *FUNCTIONS]:
        mine = list(inspect.signature(getattr(nn, kind)).parameters)
        if not mine or kind in ("Identity", "PReLU"):
            continue
        assert mine == list(inspect.signature(getattr(torch.nn, kind)).parameters), kind


def test_functions_beside_the_modules() -> None:
    X, W, b = RNG.normal(size=(2, 3, 4)), RNG.normal(size=(5, 4)), RNG.normal(size=5)
    F, G = nn.functional, torch.nn.functional
    check(F.linear, G.linear, [X, W, b], times=4.0)
    check(F.linear, G.linear, [X[0, 0], W])
    check(lambda x: F.normalize(x, dim=2), lambda x: G.normalize(x, dim=2), [X])
    check(lambda x: F.dropout(x, 0.5, training=False) * 1.0, lambda x: x * 1.0, [X])
    assert_same(F.one_hot(ours([1, 0]), 3), G.one_hot(theirs([1, 0]), 3))
    for _, public in activations():
        if public.module:
            options = next(iter(public.variants.values()), {})
            mine, its = getattr(F, public.function), of_torch(public.torch)
            check(partial(mine, **options), partial(its, **options), [X])
    check(lambda x: F.softmax(x, dim=1), lambda x: G.softmax(x, dim=1), [X])
    check(lambda x: F.log_softmax(x, -1), lambda x: G.log_softmax(x, -1), [X])
    check(lambda x, w: F.prelu(x, w), lambda x, w: G.prelu(x, w), [X, np.array([0.1, 0.2, 0.3])])


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(5, 3), (2, 5, 3), (3,), (0, 3)])
@pytest.mark.parametrize("dtype", DTYPES)
def test_linear(shape: tuple[int, ...], bias: bool, dtype: str) -> None:
    mine = nn.Linear(3, 4, bias=bias, dtype=dtype)
    its = torch.nn.Linear(3, 4, bias=bias, dtype=getattr(torch, dtype))
    its.load_state_dict({k: torch.tensor(v.numpy()) for k, v in mine.state_dict().items()})
    assert repr(mine) == repr(its)
    check(mine, its, [RNG.normal(size=shape).astype(dtype)])
    for (name, p), q in zip(mine.named_parameters(), its.parameters(), strict=True):
        assert_same(p.grad, q.grad, name)
