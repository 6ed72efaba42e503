"""``compare``: two implementations of one training step, side by side, and where they part."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from nnscratch import nn
from nnscratch.errors import ConfigurationError
from nnscratch.interop.comparing.causes import cause_of
from nnscratch.interop.comparing.differing import (
    Difference,
    Matching,
    differences,
    uncompared,
)
from nnscratch.interop.comparing.guesses import Cause
from nnscratch.interop.comparing.recording import StoppedError, record_steps
from nnscratch.interop.comparing.steps import StepLog

_PHASES = {
    "weights": "weights at first",
    "forward": "forward",
    "loss": "loss",
    "backward": "gradients of layers",
    "gradient": "gradients of weights",
    "update": "after the step",
}


@dataclass
class Comparison:
    """What a comparison found; ``print`` shows it.

    Attributes:
        source: what was compared with.
        first: the first difference, None if there is none.
        cause: its likely cause, None if there is none.
        by_phase: for each phase how many arrays were compared, and which differ.
        steps: how many steps were compared.
        uncompared: the names of arrays that only one side has, and which.
    """

    source: str
    first: Difference | None
    cause: Cause | None
    by_phase: dict[str, tuple[int, list[Difference]]] = field(default_factory=dict)
    steps: int = 0
    uncompared: list[str] = field(default_factory=list)

    @property
    def same(self) -> bool:
        """Whether nothing differs of what was compared."""
        return self.first is None

    def __str__(self) -> str:
        compared = sum(count for count, _ in self.by_phase.values())
        if self.first is None:
            lines = [f"equal to {self.source} in {compared} arrays and {self.steps} steps"]
        else:
            lines = [f"parts from {self.source} at {self.first.place}"]
            at = "" if self.first.index is None else f"element {list(self.first.index)}: "
            lines.append(f"  {at}{self.first.ours} here, {self.first.theirs} there")
            if self.first.index is not None:
                lines.append(
                    f"  {self.first.count:,} of {self.first.size:,} elements differ, by up to "
                    f"{self.first.largest:.2g} of the largest"
                )
            if self.cause is not None:
                sure = "" if self.cause.certain else "probably: " * (self.cause.kind != "unknown")
                lines.append(f"  cause: {sure}{self.cause.kind}: {self.cause.said}")
        for phase, (count, found) in self.by_phase.items():
            said = f"{len(found)} differ" if found else "equal"
            lines.append(f"  {_PHASES[phase]}: {count} arrays, {said}")
        if self.uncompared:
            count = len(self.uncompared)
            names = ", ".join(self.uncompared[:3]) + (", ..." if count > 3 else "")
            lines.append(f"  not compared: {count} arrays that one side lacks: {names}")
        return "\n".join(lines)

    __repr__ = __str__


def compare(
    model: Any,
    other: Any,
    batch: Any,
    *,
    loss: Any = None,
    other_loss: Any = None,
    optimizer: Any = None,
    other_optimizer: Any = None,
    other_batch: Any = None,
    steps: int = 3,
    rates: Sequence[float] | None = None,
) -> Comparison:
    """Take the same training steps with two implementations, and say where they first part.

    Forward, backward and the optimizer's step are compared layer by layer; both sides stay as they
    are. Computed is in float64 where that is possible, so that a difference is no rounding. Layers
    are matched by their names, or where these differ by the order of those with weights.

    Args:
        model: a module of ours.
        other: a ``torch.nn.Module``, a Keras model, another module of ours, a ``StepLog``, or the
            path of one that another process wrote.
        batch: ``(x, y)``, or ``(x,)`` without a loss; arrays or tensors.
        loss: our loss, called with the output and the target; None for a fixed weighted sum.
        other_loss: the other's.
        optimizer: our optimizer of the model's parameters; None to compare no step.
        other_optimizer: the other's.
        other_batch: the other's batch, where it has another layout.
        steps: how many steps.
        rates: the learning rate of each step, for both; None to leave it. A log is of steps with
            the same rates.

    Raises:
        ConfigurationError: if ``other`` is of no known kind, one side alone has a loss or an
            optimizer, a model or a loss raises, the batch or an output has no numbers, or no array
            of the one has the name of one of the other.
        CheckpointError: if the log cannot be read.

    >>> import numpy as np
    >>> from nnscratch import nn
    >>> ours = nn.Sequential(nn.Linear(3, 2), nn.LayerNorm(2, eps=1e-5))
    >>> theirs = nn.Sequential(nn.Linear(3, 2), nn.LayerNorm(2, eps=1e-3))
    >>> _ = theirs.load_state_dict(ours.state_dict())
    >>> compare(ours, theirs, (np.arange(12.0).reshape(4, 3),)).cause.kind
    'epsilon'
    """
    if not isinstance(model, nn.Module):
        raise ConfigurationError(
            f"compare: expected a module of ours first, got {type(model).__name__}; "
            "nnscratch.interop.torch.from_torch makes one of a torch.nn.Module"
        )
    stopped = None
    is_log = isinstance(other, (StepLog, str)) or hasattr(other, "__fspath__")
    for name, mine, its in (
        ("loss", loss, other_loss),
        ("optimizer", optimizer, other_optimizer),
    ):
        if not is_log and (mine is None) is not (its is None):
            raise ConfigurationError(
                f"compare: give {name}= and other_{name}=, one for each side, or neither"
            )
    if is_log:
        theirs = other if isinstance(other, StepLog) else StepLog.load(other)
        steps = max(theirs.steps, 1)
        exact = any(str(array.dtype) == "float64" for array in theirs.arrays.values())
    else:
        given = batch if other_batch is None else other_batch
        theirs, stopped = _recorded(other, given, other_loss, other_optimizer, steps, rates=rates)
        exact = theirs.source != "Keras"
    ours, stopped_here = _recorded(model, batch, loss, optimizer, steps, exact=exact, rates=rates)
    match = Matching(ours, theirs)
    if stopped_here or stopped:
        raise _stopped(stopped_here or stopped, ours, theirs, match)
    if match.problem:
        other_layers = Difference(
            "weights", 0, "", "", "", None, "others", "others", 0.0, 1, 1, (None, None)
        )
        return Comparison(theirs.source, other_layers, Cause("other layers", match.problem))
    found = list(differences(ours, theirs, match))
    by_phase = {
        phase: (_counted(ours, theirs, match, phase), [d for d in found if d.phase == phase])
        for phase in _PHASES
    }
    by_phase = {phase: pair for phase, pair in by_phase.items() if pair[0] or pair[1]}
    if not by_phase:
        mine, its = (", ".join(list(log.arrays)[:3]) or "none" for log in (ours, theirs))
        raise ConfigurationError(
            f"compare: nothing here has the name of anything there: {mine}, ... here, and "
            f"{its[:200]}, ... there"
        )
    first = found[0] if found else None
    cause = None if first is None else cause_of(first, ours, theirs, match)
    count = min(ours.steps, theirs.steps)
    return Comparison(theirs.source, first, cause, by_phase, count, uncompared(ours, theirs, match))


def _recorded(*given: Any, **options: Any) -> tuple[StepLog, StoppedError | None]:
    """Return a log, and why it stops before the end."""
    try:
        return record_steps(*given, **options), None
    except StoppedError as error:
        return error.log, error


def _stopped(why: Any, ours: StepLog, theirs: StepLog, match: Matching) -> ConfigurationError:
    """Return what to raise where a model raised: also where the two parted before."""
    if match.problem or not ours.arrays or not theirs.arrays:
        return ConfigurationError(str(why))
    first = next((one for one in differences(ours, theirs, match) if one.phase != "gradient"), None)
    if first is None:
        return ConfigurationError(f"{why}; nothing differs before")
    cause = cause_of(first, ours, theirs, match)
    return ConfigurationError(
        f"{why}; before, they part at {first.place}: {first.ours} here, {first.theirs} there "
        f"({cause.kind}: {cause.said})"
    )


def _counted(ours: StepLog, theirs: StepLog, match: Matching, phase: str) -> int:
    """Return how many arrays of a phase both sides have."""
    count = 0
    for step in range(min(ours.steps, theirs.steps)):
        if phase == "loss":
            count += ours.get(step, phase) is not None and theirs.get(step, phase) is not None
            continue
        for path, _ in ours.named(step, phase):
            if phase in ("forward", "backward"):
                layer, _, what = path.rpartition("/")
                count += theirs.get(step, phase, match.layer(layer), what) is not None
            else:
                count += theirs.get(step, phase, match.weight(path)) is not None
    return count
