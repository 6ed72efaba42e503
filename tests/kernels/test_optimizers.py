"""Optimizer updates against PyTorch's own optimizers, ten steps long."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from nnscratch.kernels import cpu

SIZES = (0, 1, 2, 31, 33, 257, 1025, 5000)


class Kernel:
    """One optimizer's kernel with its state."""

    def __init__(self, name: str, start: Any, states: str, s: Any, **flags: bool) -> None:
        self.p, self.g = start.copy(), np.zeros_like(start)
        buffers = [np.zeros_like(start) if state == "1" else None for state in states]
        self.buffers = [buffer for buffer in buffers if buffer is not None]
        self.step = 0
        table = cpu.Table()
        kernel = cpu.kernel(name, str(start.dtype), cpu.optimizer_flags(**flags))
        self.index = table.add(kernel, (self.p, self.g, *buffers, start.size), s)
        self.names = kernel.layout.s
        self.program = table.build()

    def take(self, g: Any, threads: int) -> None:
        self.step += 1
        self.g[...] = g
        if "step" in self.names:
            self.program.s(self.index)[self.names.index("step")] = self.step
        if "mu_product" in self.names:
            mu = 0.9 * (1 - 0.5 * 0.96 ** (self.step * 4e-3))
            self.program.s(self.index)[-1] *= mu
        self.program.run(threads)


O = torch.optim
CASES: dict[str, tuple[Any, dict[str, Any], str, str, tuple[float, ...], dict[str, bool]]] = {
    "sgd": (O.SGD, {"lr": 0.1}, "sgd", "0", (0.1, 0, 0, 0, 0), {}),
    "sgd momentum": (
        O.SGD,
        {"lr": 0.1, "momentum": 0.9, "dampening": 0.3, "weight_decay": 0.1},
        "sgd",
        "1",
        (0.1, 0.9, 0.3, 0.1, 0),
        {"momentum": True, "l2": True},
    ),
    "sgd nesterov": (
        O.SGD,
        {"lr": 0.1, "momentum": 0.9, "nesterov": True, "maximize": True},
        "sgd",
        "1",
        (0.1, 0.9, 0, 0, 0),
        {"momentum": True, "extra": True, "maximize": True},
    ),
    "adam": (O.Adam, {"lr": 0.01}, "adam", "110", (0.01, 0.9, 0.999, 1e-8, 0, 0), {}),
    "adam l2": (
        O.Adam,
        {"lr": 0.01, "weight_decay": 0.1},
        "adam",
        "110",
        (0.01, 0.9, 0.999, 1e-8, 0.1, 0),
        {"l2": True},
    ),
    "amsgrad": (
        O.Adam,
        {"lr": 0.01, "amsgrad": True, "maximize": True},
        "adam",
        "111",
        (0.01, 0.9, 0.999, 1e-8, 0, 0),
        {"extra": True, "maximize": True},
    ),
    "adamw": (
        O.AdamW,
        {"lr": 0.01, "weight_decay": 0.1},
        "adam",
        "110",
        (0.01, 0.9, 0.999, 1e-8, 0.1, 0),
        {"decoupled": True},
    ),
    "rmsprop": (O.RMSprop, {"lr": 0.01}, "rmsprop", "100", (0.01, 0.99, 1e-8, 0, 0), {}),
    "rmsprop all": (
        O.RMSprop,
        {"lr": 0.01, "centered": True, "momentum": 0.9, "weight_decay": 0.1},
        "rmsprop",
        "111",
        (0.01, 0.99, 1e-8, 0.1, 0.9),
        {"extra": True, "momentum": True, "l2": True},
    ),
    "adagrad": (
        O.Adagrad,
        {"lr": 0.1, "lr_decay": 0.1, "weight_decay": 0.1},
        "adagrad",
        "1",
        (0.1, 1e-10, 0.1, 0.1, 0),
        {"l2": True},
    ),
    "adadelta": (
        O.Adadelta,
        {"lr": 1.0, "weight_decay": 0.1},
        "adadelta",
        "11",
        (1.0, 0.9, 1e-6, 0.1),
        {"l2": True},
    ),
    "nadam": (
        O.NAdam,
        {"lr": 0.01, "weight_decay": 0.1},
        "nadam",
        "11",
        (0.01, 0.9, 0.999, 1e-8, 0.1, 0, 4e-3, 1.0),
        {"l2": True},
    ),
    "nadamw": (
        O.NAdam,
        {"lr": 0.01, "weight_decay": 0.1, "decoupled_weight_decay": True},
        "nadam",
        "11",
        (0.01, 0.9, 0.999, 1e-8, 0.1, 0, 4e-3, 1.0),
        {"decoupled": True},
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_ten_steps_as_pytorch(case: str, dtype: str, rng: np.random.Generator) -> None:
    torch_class, options, name, states, s, flags = CASES[case]
    rtol, atol = {"float32": (2e-6, 1e-6), "float64": (1e-13, 1e-14)}[dtype]
    if "centered" in options:  # v - mean² cancels, and its error is divided by its root
        rtol, atol = 50 * rtol, 50 * atol
    if name == "nadam" and dtype == "float64":  # PyTorch keeps the product of mu in float32
        rtol = atol = 1e-7
    for size in SIZES:
        start = rng.standard_normal(size).astype(dtype)
        ours = [Kernel(name, start, states, s, **flags) for _ in range(3)]
        theirs = torch.from_numpy(start.copy())
        optimizer = torch_class([theirs], foreach=False, **options)
        for _ in range(10):
            g = rng.standard_normal(size).astype(dtype)
            theirs.grad = torch.from_numpy(g.copy())
            optimizer.step()
            for threads, kernel in enumerate(ours, 1):
                kernel.take(g, threads)
            np.testing.assert_allclose(ours[0].p, theirs.numpy(), rtol=rtol, atol=atol)
        for other in ours[1:]:
            np.testing.assert_array_equal(other.p, ours[0].p)


def test_adam_is_as_exact_as_its_elementwise_reference(rng: np.random.Generator) -> None:
    p, g, m, v = (rng.standard_normal(1025).astype(np.float32) for _ in range(4))
    v = np.abs(v)
    f = np.float32
    mean = m + f(1 - 0.9) * (g - m)
    square = v * f(0.999) + f(1 - 0.999) * g * g
    root = (1 - 0.999**3) ** 0.5
    size, eps = f(-(0.01 / (1 - 0.9**3)) * root), f(1e-8 * root)
    expected = p + size * mean / (np.sqrt(square) + eps)
    table = cpu.Table()
    a = (p, g, m, v, None, p.size)
    table.add(cpu.kernel("adam", "float32", 0), a, (0.01, 0.9, 0.999, 1e-8, 0.0, 3))
    table.build().run(1)
    np.testing.assert_array_equal(m, mean)
    np.testing.assert_array_equal(v, square)
    np.testing.assert_array_equal(p, expected)


@pytest.mark.parametrize("name", ["adam", "sgd"])
def test_nan_reaches_the_parameters(name: str, dtype: str) -> None:
    start = np.ones(40, dtype)
    kernel = (
        Kernel("adam", start, "111", (0.01, 0.9, 0.999, 1e-8, 0, 0), extra=True)
        if name == "adam"
        else Kernel("sgd", start, "1", (0.1, 0.9, 0, 0, 0), momentum=True)
    )
    g = np.ones(40, dtype)
    g[7] = np.nan
    kernel.take(g, 1)
    kernel.take(np.ones(40, dtype), 1)
    assert list(np.flatnonzero(np.isnan(kernel.p))) == [7]


# Adagrad's sum never falls, and weight decay always leaves a gradient.
FADING = [
    name
    for name, row in CASES.items()
    if "1" in row[3] and name != "adagrad" and not row[5].get("l2")
]


@pytest.mark.parametrize("case", FADING)
def test_averages_that_fade_away_end_at_zero(case: str, dtype: str) -> None:
    """Denormal numbers, on which arithmetic is slow, never stay behind."""
    _, _, name, states, s, flags = CASES[case]
    least = np.finfo(dtype).tiny
    kernel = Kernel(name, np.zeros(64, dtype), states, s, **flags)
    for buffer in kernel.buffers:
        buffer[...] = 3 * least
    zeros = set()
    for _ in range(1500):
        kernel.take(np.zeros(64, dtype), 1)
        for place, buffer in enumerate(kernel.buffers):
            assert not ((buffer != 0) & (np.abs(buffer) < least)).any()
            if not buffer.any():
                zeros.add(place)
    assert zeros
