"""Optimizer updates as compiled loops, against PyTorch's own optimizers, ten steps long."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from nnscratch.formulas import FORMULAS
from nnscratch.formulas.live import LiveFloat, LiveInt
from nnscratch.formulas.momentum import nadam_momentum
from nnscratch.kernels import cpu
from nnscratch.kernels.bodies import NotABodyError
from nnscratch.kernels.updating import straight

SIZES = (0, 1, 2, 31, 33, 257, 1025, 5000)


class Loop:
    """An optimizer's loop with its state, run in some threads."""

    def __init__(self, name: str, start: Any, states: str, options: dict[str, Any]) -> None:
        self.name, self.options = name, options
        self.p, self.g = start.copy(), np.zeros_like(start)
        self.arrays = [np.zeros_like(start) if state == "1" else None for state in states]
        self.step, self.mu_product = 0, 1.0
        self.program: Any = None

    @property
    def buffers(self) -> list[Any]:
        return [array for array in self.arrays if array is not None]

    def take(self, g: Any, threads: int) -> None:
        self.step += 1
        self.g[...] = g
        self.mu_product *= nadam_momentum(0.9, 4e-3, self.step)
        changing = {"step": self.step, "mu_product": self.mu_product}
        if self.program is None:
            wanted = {k: v for k, v in changing.items() if k in FORMULAS[self.name].options}
            self.program = Program()
            inputs, options = (self.p, self.g, *self.arrays), {**self.options, **wanted}
            cpu.IMPLEMENTATIONS[self.name].lower(self.program, "update", inputs, options, ())
        self.program.run(threads, changing)


class Program:
    """A builder of one instruction, which runs with other numbers each time."""

    def emit(self, kernel: Any, a: Any, s: Any = (), flags: int = 0) -> None:
        table = cpu.Table()
        table.add(kernel, a, s, flags)
        self.names, self.built = kernel.layout.s, table.build()

    def loop(self, operands: Any) -> None:
        operands.emit_now(self)

    def run(self, threads: int, numbers: dict[str, float]) -> None:
        for place, name in enumerate(self.names):
            if name in numbers:
                self.built.s(0)[place] = numbers[name]
        self.built.run(threads)


O = torch.optim
LR = {"lr": 0.01}
DECAY = {**LR, "weight_decay": 0.1}
CASES: dict[str, tuple[Any, dict[str, Any], str, str, dict[str, Any]]] = {
    "sgd": (O.SGD, {"lr": 0.1}, "sgd", "0", {"lr": 0.1}),
    "sgd momentum": (
        O.SGD,
        given := {"lr": 0.1, "momentum": 0.9, "dampening": 0.3, "weight_decay": 0.1},
        "sgd",
        "1",
        given,
    ),
    "sgd nesterov": (
        O.SGD,
        given := {"lr": 0.1, "momentum": 0.9, "nesterov": True, "maximize": True},
        "sgd",
        "1",
        given,
    ),
    "adam": (O.Adam, LR, "adam", "110", LR),
    "adam l2": (O.Adam, DECAY, "adam", "110", DECAY),
    "amsgrad": (
        O.Adam,
        {**LR, "amsgrad": True, "maximize": True},
        "adam",
        "111",
        {**LR, "maximize": True},
    ),
    "adamw": (O.AdamW, DECAY, "adam", "110", {**DECAY, "decoupled": True}),
    "rmsprop": (O.RMSprop, LR, "rmsprop", "100", LR),
    "rmsprop all": (
        O.RMSprop,
        given := {**DECAY, "centered": True, "momentum": 0.9},
        "rmsprop",
        "111",
        given,
    ),
    "adagrad": (
        O.Adagrad,
        given := {"lr": 0.1, "lr_decay": 0.1, "weight_decay": 0.1},
        "adagrad",
        "1",
        given,
    ),
    "adadelta": (
        O.Adadelta,
        given := {"lr": 1.0, "weight_decay": 0.1},
        "adadelta",
        "11",
        given,
    ),
    "nadam": (O.NAdam, DECAY, "nadam", "11", DECAY),
    "nadamw": (
        O.NAdam,
        {**DECAY, "decoupled_weight_decay": True},
        "nadam",
        "11",
        {**DECAY, "decoupled": True},
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_ten_steps_as_pytorch(case: str, dtype: str, rng: np.random.Generator) -> None:
    torch_class, options, name, states, own = CASES[case]
    rtol, atol = {"float32": (2e-6, 1e-6), "float64": (1e-13, 1e-14)}[dtype]
    if "centered" in options:  # v - mean² cancels, and its error is divided by its root
        rtol, atol = 50 * rtol, 50 * atol
    if name == "nadam" and dtype == "float64":  # PyTorch keeps the product of mu in float32
        rtol = atol = 1e-7
    for size in SIZES:
        start = rng.standard_normal(size).astype(dtype)
        ours = [Loop(name, start, states, own) for _ in range(3)]
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
    size, eps = f(0.01 / (1 - 0.9**3) * root), f(1e-8 * root)
    expected = p - size * mean / (np.sqrt(square) + eps)
    options = {"lr": 0.01, "step": 3}
    program = Program()
    cpu.IMPLEMENTATIONS["adam"].lower(program, "update", (p, g, m, v), options, ())
    program.run(1, {})
    np.testing.assert_array_equal(m, mean)
    np.testing.assert_array_equal(v, square)
    np.testing.assert_array_equal(p, expected)


@pytest.mark.parametrize(
    ("name", "states", "options"), [("adam", "111", LR), ("sgd", "1", {**LR, "momentum": 0.9})]
)
def test_nan_reaches_the_parameters(
    name: str, states: str, options: dict[str, Any], dtype: str
) -> None:
    loop = Loop(name, np.ones(40, dtype), states, options)
    g = np.ones(40, dtype)
    g[7] = np.nan
    loop.take(g, 1)
    loop.take(np.ones(40, dtype), 1)
    assert list(np.flatnonzero(np.isnan(loop.p))) == [7]


# Adagrad's sum never falls, and weight decay always leaves a gradient.
FADING = [
    name
    for name, row in CASES.items()
    if "1" in row[3]
    and name != "adagrad"
    and ("decoupled" in row[4] or "weight_decay" not in row[4])
]


@pytest.mark.parametrize("case", FADING)
def test_averages_that_fade_away_end_at_zero(case: str, dtype: str) -> None:
    """Denormal numbers, on which arithmetic is slow, never stay behind."""
    _, _, name, states, own = CASES[case]
    least = np.finfo(dtype).tiny
    loop = Loop(name, np.zeros(64, dtype), states, own)
    for buffer in loop.buffers:
        buffer[...] = 3 * least
    zeros = set()
    for _ in range(1500):
        loop.take(np.zeros(64, dtype), 1)
        for place, buffer in enumerate(loop.buffers):
            assert not ((buffer != 0) & (np.abs(buffer) < least)).any()
            if not buffer.any():
                zeros.add(place)
    assert zeros


def test_what_is_not_chosen_leaves_no_trace() -> None:
    adam = FORMULAS["adam"]
    assert adam.update_body is not None
    switches = (("decoupled", False), ("maximize", False))
    plain = straight(
        adam.update_body, ("P", "G", "M", "V"), (*switches, ("weight_decay", 0.0)), adam.updates
    )
    assert plain.outputs == ("P", "M", "V")
    assert "weight_decay" not in plain.options
    decayed = straight(adam.update_body, ("P", "G", "M", "V", "Vmax"), switches, adam.updates)
    assert decayed.outputs == ("P", "M", "V", "Vmax")
    assert "weight_decay" in decayed.options


def test_a_number_that_may_change_is_in_the_loop_even_if_it_is_zero_now() -> None:
    names = []
    for decay in (0.0, LiveFloat(0.0, 0, "weight_decay")):
        (kernel,) = cpu.optimizers.kernels_of(
            "adam", "float32", 4, lr=0.1, weight_decay=decay, step=LiveInt(1, 0, "step")
        )
        names.append(kernel.layout.s)
    assert "weight_decay" not in names[0]
    assert "weight_decay" in names[1]


def bad_update(P: Any, G: Any, *, lr: float) -> Any:
    return (P - lr * G if P is G else P - G.sum(),)


def test_what_no_loop_can_do_is_refused_with_its_line() -> None:
    with pytest.raises(NotABodyError, match=r"bad_update \(line \d+ of its file\)"):
        straight(bad_update, ("P", "G"), (), ("P",))
