"""Whole networks: ten steps of training have the losses, gradients and weights of PyTorch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from parity import ours, theirs, values

import nnscratch

NETWORKS: dict[str, Any] = {
    "two layers": lambda nn: nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3)),
    "smooth": lambda nn: nn.Sequential(
        nn.Linear(6, 9), nn.Tanh(), nn.Linear(9, 7), nn.GELU(), nn.Linear(7, 5), nn.SiLU(),
        nn.Linear(5, 3),
    ),
    "kinked": lambda nn: nn.Sequential(
        nn.Linear(6, 8), nn.LeakyReLU(0.1), nn.Linear(8, 8), nn.PReLU(8), nn.Linear(8, 8),
        nn.Hardtanh(), nn.Linear(8, 3),
    ),
    "the others": lambda nn: nn.Sequential(
        nn.Linear(6, 8, bias=False), nn.ELU(), nn.Linear(8, 8), nn.SELU(), nn.Linear(8, 8),
        nn.Softplus(), nn.Linear(8, 8), nn.Softsign(), nn.Linear(8, 8), nn.Sigmoid(),
        nn.Linear(8, 3),
    ),
    "softmax inside": lambda nn: nn.Sequential(
        nn.Linear(6, 8), nn.Softmax(dim=1), nn.Linear(8, 3), nn.LogSoftmax(dim=1)
    ),
}  # fmt: skip
RNG = np.random.default_rng(0)
X = RNG.normal(size=(10, 16, 6))
LABELS = RNG.integers(0, 3, size=(10, 16))
SOFT = RNG.dirichlet(np.ones(3), size=(10, 16))
REAL = RNG.normal(size=(10, 16, 3))
LOSSES: dict[str, tuple[Any, np.ndarray]] = {
    "cross-entropy": (lambda nn: nn.CrossEntropyLoss(), LABELS),
    "smoothed": (lambda nn: nn.CrossEntropyLoss(label_smoothing=0.1), LABELS),
    "soft": (lambda nn: nn.CrossEntropyLoss(), SOFT),
    "mse": (lambda nn: nn.MSELoss(), REAL),
    "l1": (lambda nn: nn.L1Loss(), REAL),
    "huber": (lambda nn: nn.HuberLoss(delta=0.5), REAL),
    "smooth l1": (lambda nn: nn.SmoothL1Loss(reduction="sum"), REAL),
    "bce": (lambda nn: nn.BCEWithLogitsLoss(), SOFT),
    "kl": (lambda nn: nn.KLDivLoss(reduction="batchmean"), SOFT),
}
OPTIMIZERS: dict[str, Any] = {
    "sgd": lambda o, p: o.SGD(p, lr=0.05, momentum=0.9, nesterov=True, weight_decay=1e-3),
    "adam": lambda o, p: o.Adam(p, lr=0.01),
    "adamw": lambda o, p: o.AdamW(p, lr=0.01, amsgrad=True),
    "rmsprop": lambda o, p: o.RMSprop(p, lr=0.003, momentum=0.5, centered=True),
    "adagrad": lambda o, p: o.Adagrad(p, lr=0.05),
    "adadelta": lambda o, p: o.Adadelta(p),
    "nadam": lambda o, p: o.NAdam(p, lr=0.01),
}


def train(lib: Any, make: Any, net: Any, loss: str, optimizer: str, dtype: str) -> dict[str, Any]:
    criterion, targets = LOSSES[loss]
    criterion = criterion(lib.nn)
    stepping = OPTIMIZERS[optimizer](lib.optim, net.parameters())
    schedule = lib.optim.lr_scheduler.CosineAnnealingLR(stepping, 10)
    trace = []
    for x, t in zip(X, targets, strict=True):
        stepping.zero_grad()
        t = t if t.dtype.kind == "i" else t.astype(dtype)
        value = criterion(net(make(x.astype(dtype))), make(t))
        value.backward()
        lib.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        stepping.step()
        schedule.step()
        trace.append(value.item())
    return {
        "losses": np.array(trace),
        **{f"gradient of {name}": values(p.grad) for name, p in net.named_parameters()},
        **{name: values(p) for name, p in net.state_dict().items()},
    }


def both(network: str, loss: str, optimizer: str, dtype: str) -> None:
    nnscratch.manual_seed(1)
    mine = NETWORKS[network](nnscratch.nn).to(dtype)
    its = NETWORKS[network](torch.nn).to(getattr(torch, dtype))
    its.load_state_dict({k: torch.tensor(v.numpy()) for k, v in mine.state_dict().items()})
    try:
        torch.set_default_dtype(getattr(torch, dtype))
        expected = train(torch, theirs, its, loss, optimizer, dtype)
    finally:
        torch.set_default_dtype(torch.float32)
    got = train(nnscratch, ours, mine, loss, optimizer, dtype)
    assert list(got) == list(expected)
    # Ten steps of one network: the roundings of one step are in the weights of the next.
    rtol, atol = (1e-7, 1e-9) if dtype == "float64" else (2e-4, 2e-4)
    for name, value in expected.items():
        np.testing.assert_allclose(got[name], value, rtol, atol, err_msg=name)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("network", NETWORKS)
def test_ten_steps_of_each_network_by_each_optimizer(network: str, optimizer: str) -> None:
    both(network, "cross-entropy", optimizer, "float64")


@pytest.mark.filterwarnings("ignore:reduction")
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("loss", LOSSES)
def test_ten_steps_of_each_loss(loss: str, dtype: str) -> None:
    both("softmax inside" if loss == "kl" else "smooth", loss, "sgd", dtype)


def test_a_network_in_plain_tensors() -> None:
    """Section 4.3 of the document: squared error and gradient descent, without any module."""

    def run(lib: Any, make: Any) -> list[float]:
        rng = np.random.default_rng(4)
        x, t = make(rng.normal(size=(100, 10))), make(np.eye(2)[rng.integers(0, 2, size=100)])
        shapes = [(10, 10), (10,), (2, 10), (2,)]
        W1, b1, W2, b2 = (make(rng.normal(size=shape) * 0.5, True) for shape in shapes)
        trace = []
        for _ in range(10):
            h = (x @ W1.T + b1).sigmoid()
            y = (h @ W2.T + b2).sigmoid()
            loss = ((y - t) ** 2).mean()
            loss.backward()
            with lib.no_grad():
                for p in (W1, b1, W2, b2):
                    p -= 2.0 * p.grad
                    p.grad.zero_()
            trace.append(loss.item())
        return trace

    got = run(nnscratch, ours)
    np.testing.assert_allclose(got, run(torch, theirs), 1e-10)
    assert got[-1] < got[0]


def test_recurrence_with_shared_weights_and_branches() -> None:
    def run(lib: Any, make: Any) -> Any:
        rng = np.random.default_rng(5)
        W, U = make(rng.normal(size=(4, 4)) * 0.5, True), make(rng.normal(size=(3, 4)), True)
        sequence = make(rng.normal(size=(6, 2, 3)))
        h, outputs = make(np.zeros((2, 4))), []
        for x in sequence:
            gate = (x @ U).sigmoid()
            h = gate * (h @ W + x @ U).tanh() + (1.0 - gate) * h
            outputs.append(h)
        loss = lib.stack(outputs).mean() + lib.cat(outputs, 1).max() + h[0].norm()
        loss.backward()
        return loss.item(), values(W.grad), values(U.grad)

    for got, expected in zip(run(nnscratch, ours), run(torch, theirs), strict=True):
        np.testing.assert_allclose(got, expected, 1e-9, 1e-12)
