"""The compile-time option of the optimizers' kernels: a sum of flags. Needs no Numba."""

from __future__ import annotations

L2 = 1
"""Weight decay is added to the gradient."""
DECOUPLED = 2
"""Weight decay is taken off the parameter."""
MAXIMIZE = 4
"""Climb instead of descending."""
EXTRA = 8
"""amsgrad of Adam, nesterov of SGD, centered of RMSprop."""
MOMENTUM = 16
"""SGD and RMSprop keep a momentum buffer."""


def optimizer_flags(
    *,
    l2: bool = False,
    decoupled: bool = False,
    maximize: bool = False,
    extra: bool = False,
    momentum: bool = False,
) -> int:
    """Return the option of an optimizer's kernel.

    Args:
        l2: weight decay is added to the gradient.
        decoupled: weight decay is taken off the parameter instead.
        maximize: climb instead of descending.
        extra: amsgrad of Adam, nesterov of SGD, centered of RMSprop.
        momentum: SGD and RMSprop keep a momentum buffer.
    """
    chosen = (
        (l2, L2),
        (decoupled, DECOUPLED),
        (maximize, MAXIMIZE),
        (extra, EXTRA),
        (momentum, MOMENTUM),
    )
    return sum(flag for wanted, flag in chosen if wanted)
