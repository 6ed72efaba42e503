"""The training step: ordinary eager code that ``nnscratch.compile`` can record."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from nnscratch.array import array_namespace
from nnscratch.nn import Module
from nnscratch.nn.utils import clip_grad_norm_
from nnscratch.optim import Optimizer
from nnscratch.tensors import Tensor

Step = Callable[..., tuple[Tensor, Tensor]]


class Totals:
    """Sums over the batches of an epoch, on the device until somebody reads them.

    Attributes:
        samples: how many samples there were.
        classes: whether the targets are class indices, so that there are hits to count.
    """

    def __init__(self) -> None:
        self._loss: Any = 0.0
        self._right: Any = 0
        self.samples = 0
        self.classes = False

    def add(self, loss: Any, output: Any, y: Any) -> None:
        """Add the mean loss of a batch, and how many of its samples were classified rightly."""
        self.samples += y.shape[0]
        if type(loss) is np.ndarray:
            self._loss += float(loss) * y.shape[0]
            if self.classes:
                self._right += int(np.count_nonzero(output.argmax(-1) == y))
            return
        # On a GPU all of this is only asked for here, and nothing waits for it.
        xp = array_namespace(loss)
        self._loss = self._loss + xp.astype(loss, xp.float64) * y.shape[0]
        if self.classes:
            hits = xp.argmax(output, axis=-1) == y
            self._right = self._right + xp.sum(xp.astype(hits, xp.int64))

    def reset(self) -> None:
        """Set all sums to 0."""
        self._loss, self._right, self.samples = 0.0, 0, 0

    def is_finite(self) -> bool:
        """Say whether the sum of the losses is; this waits for the device."""
        return math.isfinite(float(self._loss))

    def read(self) -> dict[str, float]:
        """Return the mean loss and the accuracy so far; this waits for the device."""
        if not self.samples:
            return {}
        found = {"loss": float(self._loss) / self.samples}
        if self.classes:
            found["accuracy"] = int(self._right) / self.samples
        return found

    def state_dict(self) -> dict[str, Any]:
        """Return the sums, in JSON's types."""
        return {
            "loss": float(self._loss),
            "right": int(self._right),
            "samples": self.samples,
            "classes": self.classes,
        }

    def load(self, state: dict[str, Any]) -> None:
        """Set the sums."""
        self._loss, self._right = float(state["loss"]), int(state["right"])
        self.samples, self.classes = int(state["samples"]), bool(state["classes"])


def make_step(
    model: Module,
    loss: Callable[[Any, Any], Any],
    optimizer: Optimizer,
    clip_norm: float | None = None,
    guard: Callable[[Tensor, Tensor, Tensor], None] | None = None,
) -> Step:
    """Return ``step(x, y, weight=1.0, first=True, last=True)``: it returns loss and output.

    With ``first`` the gradients start anew, and with ``last`` the optimizer takes its step: between
    the two they add up, each batch with its ``weight``. Everything in it is done by tensors and
    formulas, so a compiled step does the same.

    Args:
        clip_norm: the largest norm that the gradients of the optimizer's parameters may have
            together; those of others add up from step to step, as nobody sets them to 0.
        guard: called with x, y and the loss before the backward; not for a compiled step.
    """
    parameters = [one for group in optimizer.param_groups for one in group["params"]]

    def step(
        x: Tensor, y: Tensor, weight: float = 1.0, first: bool = True, last: bool = True
    ) -> tuple[Tensor, Tensor]:
        if first:
            optimizer.zero_grad()
        output = model(x)
        value: Tensor = loss(output, y)
        if guard is not None:
            guard(x, y, value)
        (value if weight == 1.0 else value * weight).backward()
        if last:
            if clip_norm is not None:
                clip_grad_norm_(parameters, clip_norm)
            optimizer.step()
        return value.detach(), output.detach()

    return step


def counts_hits(output: Tensor, y: Tensor) -> bool:
    """Say whether outputs and targets are those of a classification, (N, K) and indices (N,).

    One output, K = 1, is a number or a logit of two classes: nothing for argmax.
    """
    classes = np.dtype(y.dtype).kind in "iu" and y.ndim == 1
    return classes and output.ndim == 2 and output.shape[1] > 1
