"""Means of a model's weights over the steps of a training, and the rate for them.

Stochastic weight averaging (Izmailov and others 2018) takes the mean of all, an exponential moving
average forgets the early ones.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from copy import deepcopy
from itertools import chain
from typing import Any

from nnscratch.absent import refuse_absent_names
from nnscratch.errors import ConfigurationError
from nnscratch.nn.batch_norm import _BatchNorm
from nnscratch.nn.module import Module
from nnscratch.optim.cyclic import each_group
from nnscratch.optim.optimizer import Optimizer
from nnscratch.optim.schedule import LRScheduler, need, rate_of
from nnscratch.tensors import Tensor
from nnscratch.tensors.creation import tensor
from nnscratch.tensors.grad_mode import no_grad

__all__ = [
    "SWALR",
    "AveragedModel",
    "get_ema_avg_fn",
    "get_ema_multi_avg_fn",
    "get_swa_avg_fn",
    "get_swa_multi_avg_fn",
    "update_bn",
]

Average = Callable[[Tensor, Tensor, Any], Tensor]
AverageAll = Callable[[Sequence[Tensor], Sequence[Tensor], Any], None]


def get_ema_avg_fn(decay: float = 0.999) -> Average:
    """Return a function that computes decay · mean + (1 - decay) · parameter.

    Raises:
        ConfigurationError: if the decay is not from 0 to 1.
    """
    need(0.0 <= decay <= 1.0, f"a decay is from 0 to 1, got {decay}")

    def average(mean: Tensor, parameter: Tensor, count: Any) -> Tensor:
        return mean * decay + parameter * (1.0 - decay)

    return average


def get_swa_avg_fn() -> Average:
    """Return a function that computes mean + (parameter - mean) / (count + 1)."""

    def average(mean: Tensor, parameter: Tensor, count: Any) -> Tensor:
        return mean + (parameter - mean) / (int(count) + 1)

    return average


def _of_all(average: Average) -> AverageAll:
    def averages(means: Sequence[Tensor], parameters: Sequence[Tensor], count: Any) -> None:
        with no_grad():
            for mean, parameter in zip(means, parameters, strict=True):
                mean.copy_(average(mean, parameter, count))

    return averages


def get_ema_multi_avg_fn(decay: float = 0.999) -> AverageAll:
    """Return the function of ``get_ema_avg_fn`` for lists of parameters, which writes the means.

    Raises:
        ConfigurationError: if the decay is not from 0 to 1.
    """
    return _of_all(get_ema_avg_fn(decay))


def get_swa_multi_avg_fn() -> AverageAll:
    """Return the function of ``get_swa_avg_fn`` for lists of parameters, which writes the means."""
    return _of_all(get_swa_avg_fn())


class AveragedModel(Module):
    """A copy of a model whose parameters are means of the model's over time.

    Args:
        model: the model.
        device: of the copy, that of the model unless given.
        avg_fn: returns the new mean of a mean, a parameter, and the number of those in the mean.
        multi_avg_fn: writes the new means, of lists of both. Without either all weigh the same.
        use_buffers: whether buffers are averaged too; else they are copied.

    Raises:
        ConfigurationError: if both functions are given.

    >>> from nnscratch import nn
    >>> model = nn.Linear(1, 1, bias=False)
    >>> mean = AveragedModel(model)
    >>> for weight in (1.0, 2.0, 6.0):
    ...     _ = nn.init.constant_(model.weight, weight)
    ...     mean.update_parameters(model)
    >>> mean.module.weight.item(), mean.n_averaged.item()
    (3.0, 3)
    """

    def __init__(
        self,
        model: Module,
        device: Any = None,
        avg_fn: Average | None = None,
        multi_avg_fn: AverageAll | None = None,
        use_buffers: bool = False,
    ) -> None:
        """Copy the model."""
        super().__init__()
        if avg_fn is not None and multi_avg_fn is not None:
            raise ConfigurationError("AveragedModel: give avg_fn or multi_avg_fn, not both")
        self.module = deepcopy(model)
        if device is not None:
            self.module = self.module.to(device)
        self.register_buffer("n_averaged", tensor(0, dtype="int64", device=device))
        self.avg_fn: Any = avg_fn
        self.multi_avg_fn: Any = multi_avg_fn
        self.use_buffers = use_buffers

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Return what the copy returns."""
        return self.module(*args, **kwargs)

    @no_grad()
    def update_parameters(self, model: Module) -> None:
        """Take the parameters as they are now into their means; the first time they are copied."""
        own: list[Tensor] = list(self.module.parameters())
        its: list[Tensor] = list(model.parameters())
        buffers = list(zip(self.module.buffers(), model.buffers(), strict=True))
        if self.use_buffers:
            own = list(chain(own, (mine for mine, _ in buffers)))
            its = list(chain(its, (other for _, other in buffers)))
        means = [one.detach() for one in own]
        given = [one.detach().to(mean.device) for one, mean in zip(its, means, strict=True)]
        count = int(self.n_averaged.item())
        if count == 0:
            for mean, one in zip(means, given, strict=True):
                mean.copy_(one)
        elif self.multi_avg_fn is not None:
            self.multi_avg_fn(means, given, count)
        else:
            average = get_swa_avg_fn() if self.avg_fn is None else self.avg_fn
            for mean, one in zip(means, given, strict=True):
                mean.copy_(average(mean, one, count))
        if not self.use_buffers:
            for mine, other in buffers:
                mine.copy_(other.detach().to(mine.device))
        self.n_averaged.add_(1)


@no_grad()
def update_bn(loader: Iterable[Any], model: Module, device: Any = None) -> None:
    """Compute the running statistics of batch normalisation anew, for averaged weights.

    Args:
        loader: batches, tensors or tuples whose first is the input.
        model: the model; one without batch normalisation is left alone.
        device: where the batches go first.
    """
    norms: list[Any] = [one for one in model.modules() if isinstance(one, _BatchNorm)]
    if not norms:
        return
    momenta, training = [one.momentum for one in norms], model.training
    model.train()
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the mean of all batches
    try:
        for batch in loader:
            x = batch[0] if isinstance(batch, (list, tuple)) else batch
            model(x if device is None else x.to(device))
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
        model.train(training)


class SWALR(LRScheduler):
    """From the rate as it is to one that stays, for averaging weights.

    Args:
        optimizer: whose rates it sets.
        swa_lr: the rate in the end, for all groups or for each.
        anneal_epochs: steps till then.
        anneal_strategy: "cos" or "linear".
        last_epoch: the step to go on from.

    Raises:
        ConfigurationError: if a value makes no sense.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        swa_lr: float | Sequence[float],
        anneal_epochs: int = 10,
        anneal_strategy: str = "cos",
        last_epoch: int = -1,
    ) -> None:
        """Choose the rate, and the way to it."""
        need(
            anneal_strategy in ("cos", "linear"),
            f"SWALR: anneal_strategy is 'cos' or 'linear', got {anneal_strategy!r}",
        )
        epochs: Any = anneal_epochs
        need(
            isinstance(epochs, int) and epochs >= 0,
            f"SWALR: anneal_epochs is an integer from 0 on, got {anneal_epochs!r}",
        )
        rates = each_group("swa_lr", optimizer, swa_lr)
        for group, rate in zip(optimizer.param_groups, rates, strict=True):
            group["swa_lr"] = rate
        self.anneal_epochs, self.anneal_strategy = anneal_epochs, anneal_strategy
        self._steps = -1
        super().__init__(optimizer, last_epoch)

    def _share(self, step: int) -> float:
        t = max(0.0, min(1.0, step / max(1, self.anneal_epochs)))
        return t if self.anneal_strategy == "linear" else (1.0 - math.cos(math.pi * t)) / 2.0

    def get_lr(self) -> list[float]:
        """Return the rates on the way, which go on from what they are now."""
        self._steps += 1
        step = max(1, self._steps) if self.anneal_epochs == 0 else self._steps
        before, now = self._share(step - 1), self._share(step)
        found = []
        for group in self.optimizer.param_groups:
            rate, end = rate_of(group), float(group["swa_lr"])
            first = end if before == 1.0 else (rate - before * end) / (1.0 - before)
            found.append(end * now + first * (1.0 - now))
        return found


refuse_absent_names(__name__)
