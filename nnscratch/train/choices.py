"""Losses, optimizers and schedules by name, for the command line and ``fit``."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from nnscratch import nn, optim
from nnscratch.array.integers import intp
from nnscratch.errors import ConfigurationError
from nnscratch.nn.derived_losses import losses
from nnscratch.optim import lr_scheduler, stateful
from nnscratch.tensors import Tensor
from nnscratch.tensors.functions import one_hot


class _Losses(Mapping[str, str]):
    """The names of the losses that can be chosen, and of their modules.

    They are the formulas of losses that have a task; one that somebody makes later is in it.
    """

    def __iter__(self) -> Iterator[str]:
        return (made.name for made, public in losses() if public.task)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __getitem__(self, name: str) -> str:
        return {made.name: public.module for made, public in losses() if public.task}[name]


def losses_for(*tasks: str) -> tuple[str, ...]:
    """Return the names of the losses that are for one of some tasks.

    >>> losses_for("binary")
    ('bce', 'bce_with_logits')
    """
    return tuple(made.name for made, public in losses() if public.task in tasks)


LOSSES: Mapping[str, str] = _Losses()
OPTIMIZERS = optim.Optimizer.kinds
SCHEDULES = ("constant", "step", "exponential", "cosine", "one_cycle", "plateau", "warmup")


def choose(name: str, choices: Iterable[str], what: str) -> str:
    """Return a name after checking that it is one of the choices.

    Raises:
        ConfigurationError: if not, naming the closest and all of them.
    """
    known = list(choices)
    if name in known:
        return name
    close = difflib.get_close_matches(str(name), known, n=1)
    hint = f"; did you mean {close[0]!r}? Choose" if close else "; choose"
    raise ConfigurationError(f"there is no {what} {name!r}{hint} from {', '.join(known)}")


def make_loss(
    loss: Any,
    targets: np.dtype[Any] | None = None,
    class_weight: Any = None,
    label_smoothing: float = 0.0,
) -> Callable[[Any, Any], Any]:
    """Return a loss, a function of output and target.

    Args:
        loss: a function, a module, a name of ``LOSSES``, or None for cross-entropy with integer
            targets and mean squared error with others.
        targets: the dtype of the targets.
        class_weight: a weight for each class, for cross-entropy and nll by name.
        label_smoothing: for cross-entropy by name.

    Raises:
        ConfigurationError: if there is no such loss, or it takes no class weights.
    """
    if loss is None:
        loss = "cross_entropy" if targets is None or targets.kind in "iu" else "mse"
    options: dict[str, Any] = {}
    if class_weight is not None:
        if loss not in ("cross_entropy", "nll"):
            raise ConfigurationError(
                "class_weight needs loss='cross_entropy', 'nll', 'bce' or 'bce_with_logits'; give "
                "weights to a loss of your own when you make it"
            )
        options["weight"] = Tensor(np.asarray(class_weight, np.float32))
    if label_smoothing:
        if loss != "cross_entropy":
            raise ConfigurationError("label_smoothing needs loss='cross_entropy'")
        options["label_smoothing"] = label_smoothing
    if not isinstance(loss, str):
        return loss  # type: ignore[no-any-return]
    made = getattr(nn, LOSSES[choose(loss, LOSSES, "loss")])(**options)
    if loss == "mse" and targets is not None and targets.kind in "iu":
        return _AgainstOneHot(made)
    return made  # type: ignore[no-any-return]


class _AgainstOneHot(nn.Module):
    """A loss of class probabilities against class indices, as in the document's section 4.3."""

    def __init__(self, loss: nn.Module) -> None:
        super().__init__()
        self.loss = loss

    def forward(self, output: Tensor, target: Tensor) -> Any:
        return self.loss(output.softmax(-1), one_hot(target, output.shape[-1]).to(output.dtype))


def balanced_weights(labels: Any, classes: int) -> list[float]:
    """Return N / (K · count) for each class, so that rare classes weigh as much as common ones.

    >>> balanced_weights(np.array([0, 0, 0, 1]), 2)
    [0.666..., 2.0]
    """
    counts = np.bincount(intp(np.asarray(labels)), minlength=classes)
    return [float(len(labels) / (classes * max(int(count), 1))) for count in counts]


def make_optimizer(
    optimizer: Any, model: nn.Module, lr: float | None = None, **options: Any
) -> optim.Optimizer:
    """Return an optimizer of a model's parameters.

    Args:
        optimizer: one that is made already, a function of the parameters, or a name.
        lr: its learning rate, if it is given by name; None for its default.
        options: its other options, if it is given by name.

    Raises:
        ConfigurationError: if there is no such optimizer or option.
    """
    if not isinstance(optimizer, str):
        if isinstance(optimizer, optim.Optimizer):
            if lr is not None:
                raise ConfigurationError(
                    "lr is for an optimizer given by name; this one has its own"
                )
            return optimizer
        return optimizer(model.parameters())  # type: ignore[no-any-return]
    kind: Any = OPTIMIZERS[choose(optimizer, OPTIMIZERS, "optimizer")]
    if lr is None:
        lr = 1e-2 if optimizer == "sgd" else None
    if lr is not None:
        options["lr"] = lr
    try:
        return kind(model.parameters(), **options)  # type: ignore[no-any-return]
    except TypeError as error:
        raise ConfigurationError(f"{optimizer}: {error}") from None


def make_schedule(
    name: str, optimizer: optim.Optimizer, epochs: int, batches: int
) -> tuple[Any, str] | None:
    """Return a scheduler over a whole run, and whether it steps each "epoch" or "batch".

    Raises:
        ConfigurationError: if there is no such schedule.
    """
    choose(name, SCHEDULES, "schedule")
    total, lr = max(1, epochs * batches), optimizer.param_groups[0]["lr"]
    if name == "constant":
        return None
    if name == "cosine":
        return lr_scheduler.CosineAnnealingLR(optimizer, T_max=total), "batch"
    if name == "one_cycle":
        # The momentum goes along where there is any: who names the schedule cannot say otherwise.
        cycles = all("betas" in group or group.get("momentum") for group in optimizer.param_groups)
        made = lr_scheduler.OneCycleLR(
            optimizer, max_lr=lr, total_steps=total + 1, cycle_momentum=cycles
        )
        return made, "batch"
    if name == "step":
        return lr_scheduler.StepLR(optimizer, step_size=max(1, epochs // 3), gamma=0.1), "epoch"
    if name == "exponential":
        return lr_scheduler.ExponentialLR(optimizer, gamma=0.01 ** (1 / max(1, epochs))), "epoch"
    if name == "plateau":
        return lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.3, patience=3), "epoch"
    warm = max(1, min(total // 10, 5 * batches))
    return lr_scheduler.LinearLR(optimizer, start_factor=0.01, total_iters=warm), "batch"


def state_of(item: Any) -> dict[str, Any]:
    """Return the state of a scheduler: its ``state_dict()``, or its attributes without one."""
    if item is None:
        return {}
    return dict(item.state_dict() if hasattr(item, "state_dict") else stateful.state_of(item))


def restore(item: Any, state: Mapping[str, Any]) -> None:
    """Restore the state of a scheduler that ``state_of`` returned."""
    if hasattr(item, "load_state_dict"):
        item.load_state_dict(state)
    else:
        stateful.restore(item, state)
