"""How an estimator trains its network: the steps of an epoch, compiled where that pays off."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from nnscratch import nn, optim
from nnscratch.plan import Compiled, compile
from nnscratch.tensors import Tensor, enable_grad, no_grad
from nnscratch.tensors.creation import tensor
from nnscratch.train.choices import SCHEDULES, make_optimizer, make_schedule
from nnscratch.train.cost import epoch_seconds, threads_for

ROWS = 4096
"""How many rows are predicted at once, so that memory does not grow with their number."""
WORTH_COMPILING = 0.05
"""The estimated seconds of a whole fit from which its step is compiled.

Kernels are compiled once on a machine and kept, so only their loading has to pay off here.
"""
TOGETHER = 1 << 20
"""Bytes of inputs whose rows are put in order at once: they stay in a cache until their step.

In half the L2 cache only one step's 32 images of float64 would find room, and every step would pay
for what is looked at once for all of them.
"""
Losses = Callable[[Tensor, Tensor], Tensor]


@dataclass
class Fitted:
    """A network in training, with what ``partial_fit`` and ``warm_start`` go on with.

    Attributes:
        module: the network.
        optimizer: its optimizer.
        losses: the loss of each sample, of outputs and targets.
        step: the step, compiled or not; None before it is made.
    """

    module: nn.Module
    optimizer: Any
    losses: Losses
    step: Callable[..., Any] | None

    def __getstate__(self) -> dict[str, Any]:
        # A compiled step holds addresses of this process.
        return {**self.__dict__, "step": None}


def make_step(module: nn.Module, optimizer: Any, losses: Losses) -> Callable[..., Any]:
    """Return a step: a function of inputs, targets and weights that trains and returns the loss."""

    def step(x: Tensor, t: Tensor, weights: Tensor | None) -> Tensor:
        optimizer.zero_grad()
        each = losses(module(x), t)
        loss = each.mean() if weights is None else (each * weights).sum() / weights.sum()
        loss.backward()
        optimizer.step()
        return loss.detach()

    return step


def optimizer_of(module: nn.Module, name: Any, decay: float, options: dict[str, Any]) -> Any:
    """Return the optimizer of a network; the decay is for weights, not for biases.

    Weights are parameters of two axes and more.
    """
    made = make_optimizer(name, module, **options)
    if not decay or not isinstance(name, str):
        return made
    parameters = list(module.parameters())
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return type(made)([group for group in groups if group["params"]], **options)


def epochs_of(
    fitted: Fitted,
    X: Any,
    T: np.ndarray,
    weights: np.ndarray | None,
    *,
    epochs: int,
    seen: int,
    batch_size: int,
    rate: str,
    power: float,
    shuffle: bool,
    rng: np.random.RandomState,
    compiled: bool | None,
) -> Iterator[float]:
    """Train an epoch at a time, and yield the mean loss of each.

    Args:
        fitted: what is trained.
        X: the inputs, an array or a sparse matrix of rows.
        T: the targets.
        weights: of the samples, None if they are all equal.
        epochs: how many epochs at most; schedules span them.
        seen: how many samples the network was trained with before, for "invscaling".
        batch_size: how many rows a step takes.
        rate: "constant", "invscaling", "adaptive" (by whoever counts the epochs) or a schedule.
        power: of "invscaling".
        shuffle: whether each epoch is in another order.
        rng: what shuffles.
        compiled: whether the step is compiled; None to compile it if the run is long enough.
    """
    count = X.shape[0]
    batches = math.ceil(count / batch_size)
    module, optimizer = fitted.module, fitted.optimizer
    if fitted.step is None:
        fitted.step = make_step(module, optimizer, fitted.losses)
        if compiled is None:
            compiled = epoch_seconds(module, batches * epochs, count * epochs) >= WORTH_COMPILING
        if compiled:
            fitted.step = compile(fitted.step, on_unsupported="eager")
    step = fitted.step
    made = make_schedule(rate, optimizer, epochs, batches) if rate in SCHEDULES else None
    schedule: Any
    schedule, every = made or (None, "")
    for group in optimizer.param_groups if rate == "invscaling" else ():
        group.setdefault("initial_lr", group["lr"])  # a later call goes on from the first rate
    order = np.arange(count)
    together = batch_size
    if every != "batch":
        together *= max(1, TOGETHER * count // (nbytes_of(X) * batch_size))
    module.train()
    with threads_for(module, batch_size), enable_grad():
        for _ in range(epochs):
            if shuffle:
                order = rng.permutation(count)
            total = 0.0
            for start in range(0, count, together):
                rows = order[start : start + together]
                # They are copies already, which ``tensor`` would make once more.
                x, t = Tensor(taken(X, rows)), Tensor(taken(T, rows))
                w = None if weights is None else Tensor(taken(weights, rows))
                for number, loss in enumerate(losses_of(step, batch_size, x, t, w)):
                    size = min(batch_size, len(rows) - number * batch_size)
                    total += float(loss.item()) * size
                if every == "batch":
                    schedule.step()
            seen += count
            if rate == "invscaling":
                for group in optimizer.param_groups:
                    group["lr"] = group["initial_lr"] / (seen + 1) ** power
            elif every == "epoch":
                schedule.step(*([total / count] if rate == "plateau" else []))
            yield total / count


def minimize(
    fitted: Fitted, X: Any, T: np.ndarray, weights: np.ndarray | None, options: dict[str, Any]
) -> tuple[list[float], int]:
    """Train by L-BFGS on all samples at once; returns the losses and the number of iterations."""
    module, losses = fitted.module, fitted.losses
    decay = options.pop("decay")
    optimizer: Any = optim.LBFGS(module.parameters(), line_search_fn="strong_wolfe", **options)
    x, t = tensor(dense(X)), tensor(T)
    w = None if weights is None else tensor(weights)
    curve: list[float] = []
    large = [parameter for parameter in module.parameters() if parameter.ndim > 1]

    def closure() -> Tensor:
        optimizer.zero_grad()
        each = losses(module(x), t)
        loss = each.mean() if w is None else (each * w).sum() / w.sum()
        for parameter in large if decay else ():
            loss = loss + 0.5 * decay * (parameter * parameter).sum()
        loss.backward()
        curve.append(float(loss.item()))
        return loss

    module.train()
    with enable_grad():
        optimizer.step(closure)
    state = optimizer.state[next(iter(module.parameters()))]
    return curve, int(state.get("n_iter", len(curve)))


def outputs_of(module: nn.Module, X: Any) -> np.ndarray:
    """Return what the network gives for all rows, without dropout."""
    module.eval()
    with no_grad():
        parts = [
            module(tensor(dense(X[start : start + ROWS]))).numpy()
            for start in range(0, X.shape[0], ROWS)
        ]
    return np.concatenate(parts)


def losses_of(step: Callable[..., Any], size: int, *args: Tensor | None) -> list[Tensor]:
    """Return what a step returns for ``size`` rows of its arguments after the other."""
    if isinstance(step, Compiled):
        return step.over(size, *args)
    count = next(one for one in args if one is not None).shape[0]
    return [
        step(*[None if one is None else Tensor(one.array[first : first + size]) for one in args])
        for first in range(0, count, size)
    ]


def taken(items: Any, rows: np.ndarray) -> np.ndarray:
    """Return some rows of an array or a sparse matrix, copied in this order."""
    # ``take`` takes less than half the time of an index.
    return items.take(rows, axis=0) if isinstance(items, np.ndarray) else dense(items[rows])


def nbytes_of(items: Any) -> int:
    """Return the bytes that all rows have as an array, at least 1."""
    return max(1, int(math.prod(items.shape) * items.dtype.itemsize))


def dense(rows: Any) -> np.ndarray:
    """Return rows as an array, sparse ones too."""
    return np.ascontiguousarray(rows.toarray() if hasattr(rows, "toarray") else rows)
