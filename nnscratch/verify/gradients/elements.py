"""The results of a check: for single elements of a gradient, and for whole gradients."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from nnscratch.verify.gradients.faults import Fault
from nnscratch.verify.gradients.problem import Array
from nnscratch.verify.gradients.sentences import sentence


class Verdict(StrEnum):
    """The three answers of a check."""

    RIGHT = "right"
    WRONG = "wrong"
    CANNOT_TELL = "cannot tell"


@dataclass(frozen=True)
class Element:
    """One element of a gradient, with its analytic and numeric value.

    Attributes:
        index: its position in the tensor.
        value: the input there.
        analytic: the gradient of the code under test.
        numeric: the numeric derivative.
        allowance: by how much the two may differ for errors of measurement and rounding.
        step: the step of the numeric derivative.
        verdict: right, wrong or cannot tell.
        sides: the one-sided slopes if the function has a kink there, else None.
    """

    index: tuple[int, ...]
    value: float
    analytic: float
    numeric: float
    allowance: float
    step: float
    verdict: Verdict
    sides: tuple[float, float] | None = None

    @property
    def error(self) -> float:
        """The absolute difference of the two."""
        return abs(self.analytic - self.numeric)

    @property
    def relative(self) -> float:
        """The difference as a share of the larger of the two."""
        size = max(abs(self.analytic), abs(self.numeric))
        return self.error / size if size else self.error


@dataclass
class TensorReport:
    """The result of the check for the gradient of one input or parameter.

    Attributes:
        name: of the input or parameter.
        mode: "train" or "eval" for a module, else "".
        shape: of the input.
        dtype: of the input.
        verdict: over all its elements.
        method: the numeric method.
        probes: 0 if every element was checked by itself, else the number of random directions.
        elements: the elements that were checked by themselves, worst first.
        kinks: elements at which the function has no derivative.
        block: for a fault found by bisection, the range of flat positions and its size.
        diagnosis: the likely fault, or None.
        noise: the typical allowance as a share of the gradient's size.
        curve: (step, error) of the worst element for several steps.
        analytic: the whole gradient of the code under test, or None.
    """

    name: str
    mode: str
    shape: tuple[int, ...]
    dtype: str
    verdict: Verdict
    method: str
    probes: int
    elements: list[Element]
    kinks: list[Element] = field(default_factory=list)
    block: tuple[int, int] | None = None
    diagnosis: Fault | None = None
    noise: float = 0.0
    curve: list[tuple[float, float]] = field(default_factory=list)
    analytic: Array | None = None

    @property
    def size(self) -> int:
        """The number of elements of the tensor."""
        return math.prod(self.shape)

    @property
    def wrong(self) -> list[Element]:
        """The elements that are wrong."""
        return [e for e in self.elements if e.verdict is Verdict.WRONG]

    @property
    def fault(self) -> str | None:
        """The likely fault in one sentence, or None."""
        return None if self.diagnosis is None else sentence(self.diagnosis)

    def summary(self) -> str:
        """Return one line about the tensor."""
        mode = f" ({self.mode})" if self.mode else ""
        how = f"{len(self.elements)} of {self.size} elements"
        if self.probes:
            how = f"{self.probes} random directions and {how}"
        line = (
            f"{self.name}{mode} {self.shape} {self.dtype}: {self.verdict} · {how} · {self.method}"
        )
        if self.kinks:
            line += f" · {len(self.kinks)} at kinks"
        return line


HEADLINES = {
    Verdict.RIGHT: "the gradients are right",
    Verdict.WRONG: "a gradient is wrong",
    Verdict.CANNOT_TELL: "cannot tell at this precision",
}


def combined(verdicts: Sequence[Verdict]) -> Verdict:
    """Return one verdict for several: wrong outweighs cannot tell, which outweighs right."""
    for verdict in (Verdict.WRONG, Verdict.CANNOT_TELL):
        if verdict in verdicts:
            return verdict
    return Verdict.RIGHT
