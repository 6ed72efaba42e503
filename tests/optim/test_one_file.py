"""An optimizer is one file: its update as a text, and a class with its hyper-parameters."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nnscratch
from nnscratch import nn
from nnscratch.formulas import FORMULAS, choosing, registry

LION = r'''
from nnscratch.array.maths import flushed, sign
from nnscratch.formulas import formula
from nnscratch.optim import Optimizer


def lion_update(P, G, M, *, lr, beta1=0.9, beta2=0.99, weight_decay=0.0):
    """Return P and M after a step of Lion."""
    if weight_decay:
        P = P * (1.0 - lr * weight_decay)
    D = sign(beta1 * M + (1.0 - beta1) * G)
    return P - lr * D, flushed(beta2 * M + (1.0 - beta2) * G)


LION = formula(
    lion_update,
    equation=r"P \leftarrow P - \eta\, \mathrm{sign}(\beta_1 M + (1 - \beta_1) G)",
    shapes="P, G and M (any, the same) -> P, M",
    source="Chen and others 2023, arXiv:2302.06675",
    updates=("P", "M"),
    elementwise=True,
)


class Lion(Optimizer):
    """Steps by the sign of a running mean."""

    formula = LION

    def __init__(self, params, lr=1e-4, betas=(0.9, 0.99), weight_decay=0.0):
        super().__init__(params, {"lr": lr, "betas": betas, "weight_decay": weight_decay})

    def state_names(self, group):
        return ("exp_avg",)

    def options(self, group):
        beta1, beta2 = group["betas"]
        rest = {name: group[name] for name in ("lr", "weight_decay")}
        return {"beta1": beta1, "beta2": beta2, **rest}
'''


@pytest.fixture
def lion(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    (tmp_path / "lion_in_one_file.py").write_text(LION, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "lion_in_one_file", raising=False)
    before = dict(FORMULAS), dict(registry.entered())
    yield importlib.import_module("lion_in_one_file").Lion
    FORMULAS.clear()
    FORMULAS.update(before[0])
    choosing._implementations.clear()
    choosing._implementations.update(before[1])


def reference(weights: Any, gradients: Any, lr: float, decay: float) -> Any:
    P, M = weights.astype(np.float64), np.zeros(weights.shape)
    for G in gradients.astype(np.float64):
        P = P * (1 - lr * decay) - lr * np.sign(0.9 * M + 0.1 * G)
        M = 0.99 * M + 0.01 * G
    return P


@pytest.mark.parametrize("decay", [0.0, 0.1])
@pytest.mark.parametrize("kernels", ["off", "auto", "require"])
def test_it_steps(lion: Any, decay: float, kernels: str) -> None:
    rng = np.random.default_rng(1)
    start, gradients = rng.standard_normal(300), rng.standard_normal((6, 300))
    w = nn.Parameter(nnscratch.tensor(start, dtype="float32"))
    optimizer = lion([w], lr=0.01, weight_decay=decay)
    with registry.use_kernels(kernels):
        for G in gradients:
            w.grad = nnscratch.tensor(G, dtype="float32")
            optimizer.step()
    wanted = reference(start, gradients, 0.01, decay)
    np.testing.assert_allclose(w.detach().numpy(), wanted, rtol=1e-5, atol=1e-6)
    again = lion([w], lr=0.5)
    again.load_state_dict(optimizer.state_dict())
    assert again.param_groups[0]["lr"] == 0.01
    assert "exp_avg" in again.state[w]


def test_a_compiled_step_leaves_nothing_to_python(lion: Any) -> None:
    def build() -> Any:
        nnscratch.manual_seed(0)
        model = nn.Linear(8, 4)
        optimizer = lion(model.parameters(), lr=0.01, weight_decay=0.01)

        def step(x: Any) -> Any:
            optimizer.zero_grad()
            loss = (model(x) ** 2).mean()
            loss.backward()
            optimizer.step()
            return loss

        return step

    eager, compiled = build(), nnscratch.compile(build())
    for seed in range(5):
        x = nnscratch.tensor(np.random.default_rng(seed).standard_normal((6, 8)), dtype="float32")
        np.testing.assert_allclose(compiled(x).item(), eager(x).item(), rtol=1e-5)
    assert compiled.plans[0].python == 0
