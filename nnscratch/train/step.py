"""The training step: ordinary eager code that ``nnscratch.compile`` can record."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from nnscratch.array import array_namespace
from nnscratch.errors import ConfigurationError
from nnscratch.graph.nested import mapped
from nnscratch.nn import Module
from nnscratch.nn.utils import clip_grad_norm_
from nnscratch.optim import Optimizer
from nnscratch.tensors import Tensor
from nnscratch.train.batches import parts_of

Loss = Callable[[Any, Any], Any]
Forward = Callable[[Any], tuple[Tensor, Any]]
"""The loss and the model's output for a batch."""
Step = Callable[..., Any]
OwnStep = Callable[[Module, Any], Any]
Reduce = Callable[[Tensor, Any, Any, bool], None]

IGNORED = -100
"""The default ``ignore_index`` of PyTorch's losses: targets of this class have no loss."""


class Totals:
    """Sums over the batches of an epoch, which stay on the device until they are read.

    Attributes:
        samples: how many samples there were.
        classes: whether the targets are class indices, so that there are hits to count.
        ignored: the class index of targets that are neither hit nor missed; None if there are none.
    """

    def __init__(self, ignored: int | None = IGNORED) -> None:
        self._loss: Any = 0.0
        self._right: Any = 0
        self._judged: Any = 0
        self.samples = 0
        self.classes = False
        self.ignored = ignored

    def add(self, loss: Any, output: Any, y: Any, samples: int | None = None) -> None:
        """Add the mean loss of a batch, and how many of its targets were classified rightly.

        Args:
            loss: an array without dimensions.
            output: (N, K, ...) an array, with the classes along axis 1.
            y: (N, ...) the classes.
            samples: how many samples these are; N if it is not given.
        """
        samples = int(y.shape[0]) if samples is None else samples
        self.samples += samples
        if type(loss) is np.ndarray:
            self._loss += float(loss) * samples
            if self.classes:
                hits = output.argmax(1) == y
                if self.ignored is None:
                    self._judged += y.size
                else:
                    judged = y != self.ignored
                    hits &= judged
                    self._judged += int(np.count_nonzero(judged))
                self._right += int(np.count_nonzero(hits))
            return
        # On a GPU these operations are only queued: nothing here waits for their results.
        xp = array_namespace(loss)
        self._loss = self._loss + xp.astype(loss, xp.float64) * samples
        if self.classes:
            hits = xp.argmax(output, axis=1) == y
            if self.ignored is None:
                self._judged += math.prod(y.shape)
            else:
                judged = y != self.ignored
                hits = hits & judged
                self._judged = self._judged + xp.sum(xp.astype(judged, xp.int64))
            self._right = self._right + xp.sum(xp.astype(hits, xp.int64))

    def take(self, loss: Tensor, output: Any, target: Any, samples: int) -> None:
        """Add a batch by its mean loss and number of samples, for any structure of its output."""
        if self.classes:
            self.add(loss.array, output.array, target.array, samples)
        else:
            self.add(loss.array, None, None, samples)

    def add_sums(self, loss: float, right: float, judged: float, samples: int) -> None:
        """Add the sums of batches: of the losses times samples, of hits and of judged targets."""
        self._loss = self._loss + loss
        self._right, self._judged = self._right + int(right), self._judged + int(judged)
        self.samples += samples

    def reset(self) -> None:
        """Set all sums to 0."""
        self._loss, self._right, self._judged, self.samples = 0.0, 0, 0, 0

    def is_finite(self) -> bool:
        """Say whether the sum of the losses is; this waits for the device."""
        return math.isfinite(float(self._loss))

    def read(self) -> dict[str, float]:
        """Return the mean loss and the accuracy so far; this waits for the device."""
        if not self.samples:
            return {}
        found = {"loss": float(self._loss) / self.samples}
        if self.classes:
            judged = int(self._judged)
            found["accuracy"] = int(self._right) / judged if judged else math.nan
        return found

    def state_dict(self) -> dict[str, Any]:
        """Return the sums, in JSON's types."""
        return {
            "loss": float(self._loss),
            "right": int(self._right),
            "judged": int(self._judged),
            "samples": self.samples,
            "classes": self.classes,
        }

    def add_state(self, state: dict[str, Any]) -> None:
        """Add the sums that another ``state_dict`` returned."""
        self.add_sums(state["loss"], state["right"], state["judged"], state["samples"])
        self.classes = state["classes"]

    def load(self, state: dict[str, Any]) -> None:
        """Set the sums; without a count of targets, each sample is taken to have one.

        Raises:
            ValueError: if a count is none that a run can have reached.
        """
        right, samples = int(state["right"]), int(state["samples"])
        judged = int(state.get("judged", samples))
        for name, count in (("right", right), ("samples", samples), ("judged", judged)):
            if not 0 <= count < 2**63:
                raise ValueError(f"{name} must be from 0 to 2^63 - 1, got {str(count)[:40]}")
        self._loss, self._right, self._judged = float(state["loss"]), right, judged
        self.samples, self.classes = samples, bool(state["classes"])


def make_forward(model: Module, loss: Loss | None, step: OwnStep | None = None) -> Forward:
    """Return a function of a batch that returns its loss and the model's output.

    Args:
        loss: a function of the output and the batch's target.
        step: computes the loss of a batch instead: ``step(model, batch)`` returns it, or the loss
            and the output; without an output there is None.
    """
    if step is None:
        assert loss is not None
        judge = loss

        def forward(batch: Any) -> tuple[Tensor, Any]:
            inputs, keywords, target = parts_of(batch)
            output = model(*inputs, **keywords)
            return judge(output, target), output

        return forward
    own = step

    def given(batch: Any) -> tuple[Tensor, Any]:
        made = own(model, batch)
        value, output = made if isinstance(made, tuple) and len(made) == 2 else (made, None)
        if not isinstance(value, Tensor):
            raise ConfigurationError(
                "step(model, batch) must return the loss, a tensor, or the loss and the output; "
                f"got {type(value).__name__}"
            )
        return value, output

    return given


def make_step(
    forward: Forward,
    optimizer: Optimizer,
    clip_norm: float | None = None,
    guard: Callable[[Any, Tensor], None] | None = None,
    reduce: Reduce | None = None,
) -> Step:
    """Return ``step(batch, weight=1.0, first=True, last=True)``: it returns loss and output.

    With ``reduce``, which is given both, it returns nothing.

    With ``first`` the gradients start anew, and with ``last`` the optimizer takes its step: between
    the two they add up, each batch with its ``weight``. Everything in it is done by tensors and
    formulas, so a compiled step does the same.

    Args:
        clip_norm: the largest norm that the gradients of the optimizer's parameters may have
            together; those of others add up from step to step, as nobody sets them to 0.
        guard: called with the batch and the loss before the backward; not for a compiled step.
        reduce: called after each backward and before the clipping, with the loss times its weight,
            the output, the batch, and whether the optimizer steps now: it adds up the gradients of
            several processes.
    """

    def parameters_of() -> list[Tensor]:
        # Looked up now, for a group may have been added since the step was made.
        return [one for group in optimizer.param_groups for one in group["params"]]

    def step(batch: Any, weight: Any = 1.0, first: bool = True, last: bool = True) -> Any:
        if first:
            optimizer.zero_grad()
        value, output = forward(batch)
        if guard is not None:
            guard(batch, value)
        scaled = value if isinstance(weight, float) and weight == 1.0 else value * weight
        scaled.backward()
        if reduce is not None:
            reduce(scaled, output, batch, last)
        if last:
            if clip_norm is not None:
                clip_grad_norm_(parameters_of(), clip_norm)
            optimizer.step()
        if reduce is not None:
            return None
        return value.detach(), mapped(_detached, output)

    return step


def _detached(item: Any) -> Any:
    return item.detach() if isinstance(item, Tensor) else item


def counts_hits(output: Any, target: Any) -> bool:
    """Say whether outputs and targets are of a classification, (N, K, ...) and indices (N, ...).

    One output, K = 1, is a number or a logit of two classes: nothing for argmax.

    >>> counts_hits(Tensor(np.ones((2, 3, 4, 4))), Tensor(np.ones((2, 4, 4), int)))
    True
    """
    if not (isinstance(output, Tensor) and isinstance(target, Tensor)):
        return False
    if np.dtype(target.dtype).kind not in "iu" or output.ndim < 2 or output.shape[1] < 2:
        return False
    return target.shape == (output.shape[0], *output.shape[2:])
