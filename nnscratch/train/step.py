"""The training step: ordinary eager code that ``nnscratch.compile`` can record."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from nnscratch import formulas as f
from nnscratch.formulas import registry
from nnscratch.nn import Module
from nnscratch.nn.utils import clip_grad_norm_
from nnscratch.optim import Optimizer
from nnscratch.tape import no_grad
from nnscratch.tensor import Tensor

Step = Callable[..., Tensor]


class Totals:
    """Sums over the batches of an epoch, on the device until somebody reads them.

    Attributes:
        loss: Σ loss · samples, a 0-d float64 tensor.
        right: how many samples were classified rightly, a 0-d int64 tensor.
        samples: how many samples there were.
        classes: whether the targets are class indices, so that ``right`` means something.
    """

    def __init__(self, like: Any) -> None:
        xp, device = like.__array_namespace__(), like.device
        self.loss = Tensor(xp.zeros((), dtype=xp.float64, device=device))
        self.right = Tensor(xp.zeros((), dtype=xp.int64, device=device))
        self.samples = 0
        self.classes = False

    def reset(self) -> None:
        """Set all sums to 0, in place."""
        self.load({"loss": 0.0, "right": 0, "samples": 0, "classes": self.classes})

    def read(self) -> dict[str, float]:
        """Return the mean loss and the accuracy so far; this waits for the device."""
        if not self.samples:
            return {}
        found = {"loss": self.loss.item() / self.samples}
        if self.classes:
            found["accuracy"] = self.right.item() / self.samples
        return found

    def state_dict(self) -> dict[str, Any]:
        """Return the sums, in JSON's types."""
        return {
            "loss": self.loss.item(),
            "right": self.right.item(),
            "samples": self.samples,
            "classes": self.classes,
        }

    def load(self, state: dict[str, Any]) -> None:
        """Set the sums, in place."""
        self.loss.array[...] = float(state["loss"])
        self.right.array[...] = int(state["right"])
        self.samples, self.classes = int(state["samples"]), bool(state["classes"])


def make_step(
    model: Module,
    loss: Callable[[Any, Any], Any],
    optimizer: Optimizer,
    totals: Totals,
    clip_norm: float | None = None,
    guard: Callable[[Tensor, Tensor, Tensor], None] | None = None,
) -> Step:
    """Return ``step(x, y, weight=1.0, first=True, last=True)``, which returns the loss.

    With ``first`` the gradients start anew, and with ``last`` the optimizer takes its step: between
    the two they add up, each batch with its ``weight``. Everything in it is done by tensors and
    formulas, so a compiled step does the same.

    Args:
        totals: what the loss and the hits are added to.
        clip_norm: the largest norm that all gradients together may have.
        guard: called with x, y and the loss before the backward; not for a compiled step.
    """
    parameters: Sequence[Any] = list(model.parameters())

    def step(
        x: Tensor, y: Tensor, weight: float = 1.0, first: bool = True, last: bool = True
    ) -> Tensor:
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
        with no_grad():
            _count(totals, output.detach(), y, value.detach())
        return value.detach()

    return step


def _count(totals: Totals, output: Tensor, y: Tensor, value: Tensor) -> None:
    registry.update(f.ACCUMULATE, totals.loss.array, (value.double() * y.shape[0]).array)
    if totals.classes:
        hits = (output.argmax(-1) == y).sum()
        registry.update(f.ACCUMULATE, totals.right.array, hits.array)


def counts_hits(output: Tensor, y: Tensor) -> bool:
    """Say whether outputs and targets are those of a classification, (N, K) and indices (N,)."""
    return np.dtype(y.dtype).kind in "iu" and y.ndim == 1 and output.ndim == 2
