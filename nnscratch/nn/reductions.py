"""What losses as functions and as modules have in common: how they are reduced to one number.

The reduction is "mean", "sum" or "none". ``size_average`` and ``reduce`` are how it was said before
PyTorch 0.4: they are taken in their places, with PyTorch's meaning and a warning.
"""

from __future__ import annotations

from typing import Any

from nnscratch.array import is_floating
from nnscratch.errors import ConfigurationError, ShapeError, warn
from nnscratch.formulas import Formula
from nnscratch.formulas.checks import refuse_complex
from nnscratch.nn.options import FunctionModule
from nnscratch.tensors import Tensor, apply, as_tensor


def reduction_of(size_average: Any, reduce: Any, reduction: str = "mean") -> str:
    """Return the reduction that is meant by PyTorch's arguments of old, with a warning if given.

    Raises:
        ConfigurationError: if one of them is no boolean.
    """
    if size_average is None and reduce is None:
        return reduction
    for name, value in (("size_average", size_average), ("reduce", reduce)):
        if value is not None and not isinstance(value, (bool, int)):
            raise ConfigurationError(
                f"{name} must be True or False, got {value!r}; write reduction='mean', 'sum' or "
                "'none' by name"
            )
    meant = "none" if reduce is not None and not reduce else "mean"
    if meant == "mean" and size_average is not None and not size_average:
        meant = "sum"
    warn(f"size_average and reduce are PyTorch's words of old; write reduction={meant!r}")
    return meant


def loss_of(formula: Formula, *inputs: Any, **options: Any) -> Tensor:
    """Return a loss of tensors, or of what becomes tensors; an input may be None.

    Whole numbers beside floating-point ones stand for the same numbers in their dtype, as in
    PyTorch, where the formula wants numbers and not class indices.

    Raises:
        DTypeError: if one of them is complex.
    """
    arrays: list[Any] = [item if item is None else as_tensor(item) for item in inputs]
    first = arrays[0]
    if not is_floating(first.array):
        refuse_complex(formula.name, first.array)  # the formula of most takes them, a loss is real
    for place, name in enumerate(formula.inputs[1 : len(arrays)], 1):
        one = arrays[place]
        if one is None or name not in formula.floats or is_floating(one.array):
            continue
        refuse_complex(formula.name, one.array)
        if is_floating(first.array):
            arrays[place] = one.to(first.dtype)
    return apply(formula, *arrays, **options)


def weighted(
    formula: Formula, input: Any, target: Any, weight: Any, reduction: str, **options: Any
) -> Tensor:
    """Return a loss whose elements have weights; its formula says what the mean is over."""
    if weight is None:
        return loss_of(formula, input, target, reduction=reduction, **options)
    x, w = as_tensor(input), as_tensor(weight)
    if w.shape != x.shape:
        raise ShapeError(
            f"{formula.name}: a weight for each element is expected, shape {x.shape}; got {w.shape}"
        )
    losses: Tensor = loss_of(formula, x, target, reduction="none", **options) * w
    assert formula.public is not None
    if reduction != "mean" or formula.public.weighted_mean == "elements":
        return reduced(losses, reduction)
    found: Tensor = losses.sum() / w.sum()
    return found


def reduced(losses: Tensor, reduction: str) -> Tensor:
    """Return the mean of losses, their sum, or the losses themselves.

    Raises:
        ConfigurationError: if the reduction is none of the three.
    """
    if reduction not in ("mean", "sum", "none"):
        raise ConfigurationError(f"reduction is 'mean', 'sum' or 'none', got {reduction!r}")
    if reduction == "none":
        return losses
    found: Tensor = losses.mean() if reduction == "mean" else losses.sum()
    return found


class Loss(FunctionModule):
    """The base of the losses: shows only the options that are not the usual ones."""

    unkept = ("size_average", "reduce")

    def _read(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        found = super()._read(args, kwargs)
        size_average, reduce = (found.pop(name, None) for name in self.unkept)
        meant = reduction_of(size_average, reduce, found["reduction"])
        return {**found, "reduction": meant}

    def extra_repr(self) -> str:
        """Return the options that differ from their defaults."""
        shown = {name: getattr(self, name) for name in self.passed if name not in self.tensors}
        return ", ".join(f"{k}={v!r}" for k, v in shown.items() if v != self.options[k])
