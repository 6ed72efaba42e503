"""Compiled steps of whole networks on a GPU: all of a step is launches, and they are one graph."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from emulator.driver import Emulator

import nnscratch
from nnscratch import nn, optim
from nnscratch.formulas import choosing
from nnscratch.kernels.cuda import IMPLEMENTATIONS
from nnscratch.kernels.cuda.segment import BEFORE_CAPTURE


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> Emulator:
    """Return a driver, to which all formulas with CUDA kernels go."""
    made = Emulator("plain")
    kernels = {name: [one.on(made)] for name, one in IMPLEMENTATIONS.items()}
    monkeypatch.setattr(choosing, "_implementations", kernels)
    monkeypatch.setattr(choosing, "_later", {})
    return made


class Attention(nn.Module):
    """Tokens, two heads of causal attention, and a mean over the steps."""

    def __init__(self) -> None:
        super().__init__()
        self.tokens, self.norm = nn.Embedding(11, 8), nn.LayerNorm(8)
        self.qkv, self.out = nn.Linear(8, 24), nn.Linear(8, 3)

    def forward(self, x: Any) -> Any:
        n, t = x.shape
        h = self.norm(self.tokens(x))
        parts = [one.reshape(n, t, 2, 4).transpose(1, 2) for one in self.qkv(h).split(8, dim=-1)]
        y = nn.functional.scaled_dot_product_attention(*parts, is_causal=True)
        return self.out((h + y.transpose(1, 2).reshape(n, t, 8)).mean(1))


class Recurrent(nn.Module):
    """Two layers of one kind over rows of steps, and the last state."""

    def __init__(self, kind: Any) -> None:
        super().__init__()
        self.layers, self.out = kind(5, 4, num_layers=2, bidirectional=True), nn.Linear(8, 3)

    def forward(self, x: Any) -> Any:
        return self.out(self.layers(x.transpose(0, 1))[0][-1])


def steps(rng: np.random.Generator) -> Any:
    return rng.standard_normal((4, 3, 5)).astype(np.float32)


def images(rng: np.random.Generator) -> Any:
    return rng.standard_normal((4, 3, 9, 9)).astype(np.float32)


def tokens(rng: np.random.Generator) -> Any:
    return rng.integers(0, 11, (4, 7))


def rows(rng: np.random.Generator) -> Any:
    return rng.standard_normal((6, 5)).astype(np.float32)


NETWORKS: dict[str, tuple[Callable[[], Any], Callable[[np.random.Generator], Any]]] = {
    "convolutions": (
        lambda: nn.Sequential(
            nn.Conv2d(3, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU(), nn.MaxPool2d(3, 2, 1),
            nn.Conv2d(6, 6, 3, groups=6), nn.GroupNorm(2, 6), nn.GELU(), nn.AdaptiveAvgPool2d(1),
            nn.Flatten(), nn.Linear(6, 3),
        ),
        images,
    ),
    "attention": (Attention, tokens),
    "columns": (
        lambda: nn.Sequential(nn.Linear(5, 8), nn.BatchNorm1d(8), nn.RMSNorm(8), nn.Linear(8, 3)),
        rows,
    ),
    **{
        kind.__name__: (lambda kind=kind: Recurrent(kind), steps)
        for kind in (nn.RNN, nn.LSTM, nn.GRU)
    },
}  # fmt: skip


def train(name: str, compiled: bool) -> Any:
    """Return the losses and the weights in the end, and the step."""
    nnscratch.manual_seed(0)
    build, draw = NETWORKS[name]
    model, rng = build(), np.random.default_rng(1)
    optimizer, criterion = optim.SGD(model.parameters(), lr=0.05), nn.CrossEntropyLoss()

    def step(x: Any, y: Any) -> Any:
        optimizer.zero_grad()
        loss = criterion(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    made = nnscratch.compile(step) if compiled else step
    losses = []
    for _ in range(6):
        x = draw(rng)
        y = rng.integers(0, 3, len(x))
        losses.append(made(nnscratch.Tensor(x), nnscratch.Tensor(y)).array.tobytes())
    kept = [one.array.copy() for one in (*model.parameters(), *model.buffers())]
    return losses, kept, made


@pytest.mark.parametrize("name", NETWORKS)
def test_a_step_is_one_graph_and_equals_eager_code(name: str, driver: Emulator) -> None:
    losses, kept, _ = train(name, False)
    again, copies, step = train(name, True)
    assert again == losses
    for a, b in zip(kept, copies, strict=True):
        np.testing.assert_array_equal(a, b)
    (plan,) = step.plans
    assert plan.python == 0
    assert driver.graphs == 6 - 1 - BEFORE_CAPTURE


def test_a_mask_that_repeats_in_several_axes_is_taken_as_its_copy_lies(driver: Emulator) -> None:
    kernel = IMPLEMENTATIONS["scaled_dot_product_attention"].on(driver)
    Q = np.random.default_rng(0).standard_normal((2, 3, 2, 3, 2, 4, 8)).astype(np.float32)
    M = np.broadcast_to(np.float32(0), (1, 3, 1, 3, 1, 4, 4))
    plain = kernel.forward(Q, Q, Q, None)[0]
    if kernel.refuses("forward", (Q, Q, Q, M), {}) is None:
        np.testing.assert_allclose(kernel.forward(Q, Q, Q, M)[0], plain, rtol=1e-6)
    else:
        Y = np.ascontiguousarray(M)
        assert kernel.refuses("forward", (Q, Q, Q, Y), {}) is not None
