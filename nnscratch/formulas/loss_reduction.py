"""What all losses share: the reduction of losses to one number, and its derivative."""

from __future__ import annotations

import math
from typing import Any

from nnscratch.errors import ConfigurationError, ShapeError

REDUCTIONS = ("mean", "sum", "none")


def reduce_losses(where: str, xp: Any, L: Any, reduction: str) -> Any:
    """Return the mean (NaN of nothing), the sum or the losses themselves.

    Raises:
        ConfigurationError: if the reduction is none of these.
    """
    if reduction == "none":
        return L
    if reduction not in REDUCTIONS:
        raise ConfigurationError(
            f"{where}: reduction is one of {', '.join(REDUCTIONS)}, got {reduction!r}"
        )
    total = xp.sum(L)
    return total / math.prod(L.shape) if reduction == "mean" else total


# What errors call the inputs of a loss.
PAIR = {"Y": "the input", "T": "the target"}


def spread(dY: Any, reduction: str, count: int) -> Any:
    """Return the gradient of each of ``count`` losses, given that of what they were reduced to."""
    return dY / count if reduction == "mean" else dY


def need_same_shape(where: str, Y: Any, T: Any, what: str = "target") -> None:
    """Check that the prediction and the target have one shape.

    Raises:
        ShapeError: saying what to do, also where the two would broadcast by accident.
    """
    y, t = tuple(Y.shape), tuple(T.shape)
    if y != t:
        mend = f"give both the shape {y}"
        if math.prod(y) == math.prod(t):
            mend = f"they would broadcast by accident; reshape the {what}: {what}.reshape{y}"
        raise ShapeError(f"{where}: expected a {what} of shape {y} like the input, got {t}; {mend}")
