"""The effect of rounding on a gradient computed in float32, and how a check allows for it.

The derivative of a confident softmax is $p - 1$ with $p$ near 1: in float32 most of its digits are
gone, and no difference of the function, which is measured in float64, will agree with it. That is
no fault of the formula. So the code under test runs in float64 as well. Where its two gradients
differ by no more than float32's rounding of *intermediate* results can explain, the exact one is
judged, as strictly as float64 allows; where they differ by more, the float32 one is.

How large intermediate results are cannot be seen from outside. What can be seen is how large each
element of the gradient is elsewhere: where the same inputs are nearer to 0, the large terms do not
cancel.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from nnscratch.verify.gradients.problem import Array, Problem, as_float64

EPS64 = float(np.finfo(np.float64).eps)
ROUNDINGS = 64
"""How many rounding errors of the largest intermediate result a gradient may have."""
SHARES = (0.01, 0.1, 0.3, 0.7)
"""The factors by which inputs are scaled to learn the gradient's magnitude around the point."""


class Exact:
    """The gradients of a problem in float64, and how large they are around the point.

    Attributes:
        gradients: for each slot the gradient in float64; None where there is none to be had, since
            the code under test does not run in float64.
    """

    def __init__(self, problem: Problem, cotangents: Sequence[Any]) -> None:
        """Run the backward in float64, at the point and around it."""
        self.gradients: list[Array | None] = [None] * len(problem.slots)
        self._reach: list[Any] = [0.0] * len(problem.slots)
        values = problem.values64()
        found = _gradients(problem, values, cotangents)
        if found is None:
            return
        self.gradients = found
        self._look(found)
        for share in SHARES:
            moved = [
                np.asarray(share * v) if _moves(problem, i, v) else v for i, v in enumerate(values)
            ]
            self._look(_gradients(problem, moved, cotangents))

        self._reach = [_at_least_usual(reach) for reach in self._reach]

    def _look(self, gradients: list[Array | None] | None) -> None:
        for slot, gradient in enumerate(gradients or ()):
            if gradient is not None and gradient.size:
                sizes = np.where(np.isfinite(gradient), np.abs(gradient), 0.0)
                self._reach[slot] = np.maximum(self._reach[slot], sizes)

    def instead(self, slot: int, gradient: Array, slack: Array, eps: float) -> tuple[Array, Array]:
        """Return the gradient to judge and the slack of each element.

        Args:
            slot: whose gradient.
            gradient: as the code under test gave it, in its own dtype.
            slack: how far its rounding may take it, by element.
            eps: of that dtype.
        """
        exact = self.gradients[slot]
        if exact is None or exact.shape != gradient.shape:
            return gradient, slack
        with np.errstate(all="ignore"):
            apart = np.abs(gradient - exact)
            floor = ROUNDINGS * eps * self._reach[slot]
            explained = apart <= np.maximum(floor, slack.reshape(gradient.shape))
        # The gradient's own rounding, and that of terms that cancel even in float64.
        fine = slack * (EPS64 / eps) + ROUNDINGS * EPS64 * np.ravel(self._reach[slot])
        return np.where(explained, exact, gradient), np.where(explained.reshape(-1), fine, slack)


def _at_least_usual(reach: Any) -> Any:
    """Return sizes by element, none of them below a few times the usual one of their tensor.

    Terms that cancel in one element are as large as those that do not in its neighbours.
    """
    sizes = np.asarray(reach)
    some = sizes[sizes > 0]
    return np.maximum(sizes, 8 * float(np.median(some))) if some.size else reach


def _moves(problem: Problem, slot: int, value: Any) -> bool:
    return problem.slots[slot].checked and isinstance(value, np.ndarray) and value.dtype.kind == "f"


def _gradients(
    problem: Problem, values: Sequence[Any], cotangents: Sequence[Any]
) -> list[Array | None] | None:
    """Return the gradients in float64, None if the code under test cannot compute them."""
    try:
        with np.errstate(all="ignore"):
            run = problem.run64(
                [np.array(v) if isinstance(v, np.ndarray) else v for v in values], cotangents
            )
    except Exception:  # whatever code for float32 does with float64, or far from its domain
        return None
    if any(y.dtype.kind == "f" and y.dtype != np.float64 for y in run.outputs):
        return None
    found: list[Array | None] = []
    for slot, gradient in zip(problem.slots, run.gradients, strict=True):
        if gradient is None or not slot.checked or np.shape(gradient) != np.shape(slot.value):
            found.append(None)
        elif np.asarray(gradient).dtype != np.float64:
            return None
        else:
            found.append(as_float64(gradient))
    return found
