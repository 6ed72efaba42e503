"""The input of the gradient checker: a function of arrays and its gradient, for every target.

Each kind of target becomes a ``Problem``. The checker asks it two things only: the value in float64
on the CPU (the numeric side), and the gradient as the code under test computes it, in its own dtype
and on its own device (the analytic side).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import numpy as np

from nnscratch.errors import GradientError
from nnscratch.verify.gradients.faults import Fault

Array = np.ndarray[Any, Any]
Rng = np.random.Generator


class FindingKind(StrEnum):
    """The kinds of findings that are not about the values of a gradient."""

    FORWARD = "forward"
    ANOTHER_FUNCTION = "another function"
    NOT_DETERMINISTIC = "not deterministic"
    NO_COMPLEX_STEP = "no complex step"
    NO_GRADIENT = "no gradient"
    GRADIENT_COUNT = "gradient count"
    WRONG_SHAPE = "wrong shape"
    WRONG_DTYPE = "wrong dtype"
    WRONG_DEVICE = "wrong device"
    NEEDS = "needs"
    NOT_LINEAR = "not linear in dY"
    CHANGED = "changed in place"
    OUTPUTS = "outputs together"
    ALIASED_OUTPUT = "aliased output"
    ALIASED_GRADIENT = "aliased gradient"


@dataclass(frozen=True)
class Finding:
    """A finding that is not about the values of a gradient.

    Attributes:
        kind: the kind of the finding.
        where: which input, output or gradient.
        severity: "fault", "warning" or "note".
        text: one sentence.
    """

    kind: FindingKind
    where: str
    severity: str
    text: str


@dataclass
class Slot:
    """One input or parameter of a problem.

    Attributes:
        name: as the report calls it.
        value: the array as it was given, brought to the CPU; or None or a Python number.
        checked: whether its gradient is checked.
        device: where the array lives on the analytic side.
    """

    name: str
    value: Any
    checked: bool
    device: str = "cpu"


@dataclass
class AnalyticRun:
    """The result of running the code under test once, forward and backward.

    Attributes:
        outputs: the outputs as NumPy arrays.
        gradients: for each slot the gradient that the backward returned, on the CPU, or None.
        devices: for each slot the device of its gradient.
        findings: findings about memory: inputs that were changed, arrays that share memory.
    """

    outputs: list[Array]
    gradients: list[Any]
    devices: list[str] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)


class Problem:
    """A function of arrays with a gradient; a subclass for each kind of target.

    Attributes:
        name: what the report calls the target.
        slots: its inputs and parameters.
        analytic: whether the complex step may be used.
        kinks: values of an input at which the target says it has no derivative.
        remark: the target's own description of its kinks.
        mode: "train" or "eval" for a module, else "".
        views: whether outputs may share memory with inputs.
        reference: whether ``evaluate`` is known to be right, so that forwards are compared.
        together: whether the backward starts from all outputs at once; False where it starts from
            each by itself and the gradients are added, None where there is no choice.
    """

    name: str = ""
    slots: list[Slot]
    analytic: bool = False
    kinks: tuple[float, ...] = ()
    remark: str = ""
    mode: str = ""
    views: bool = True
    reference: bool = False
    together: bool | None = None

    def evaluate(self, values: Sequence[Any]) -> list[Array]:
        """Return the outputs for these values of the slots, all in float64 or complex128."""
        raise NotImplementedError

    def run(
        self, values: Sequence[Any], cotangents: Sequence[Any], nudge: Rng | None = None
    ) -> AnalyticRun:
        """Run the code under test forward and backward on these values of the slots.

        Args:
            values: one for each slot.
            cotangents: ∂L/∂Y for each output.
            nudge: a generator by which intermediate results are perturbed by random rounding
                errors, to measure their effect; ignored by targets that cannot do it.
        """
        raise NotImplementedError

    def run64(self, values: Sequence[Any], cotangents: Sequence[Any]) -> AnalyticRun:
        """Run the code under test forward and backward in float64, if it supports float64."""
        return self.run(values, cotangents)

    def substitutes(
        self, values: Sequence[Any], cotangents: Sequence[Any]
    ) -> list[tuple[Fault, list[Any]]]:
        """Return what the backward gives when its saved arrays are exchanged, and that fault.

        Used to find the likely fault; targets whose saved arrays cannot be reached give none.
        """
        return []

    def transforms(
        self, values: Sequence[Any], cotangents: Sequence[Any]
    ) -> list[tuple[Fault, list[Any]]]:
        """Return what the backward gives with a function of one of its arrays, and that fault."""
        return []

    def relatives(self, slot: int, cotangents: Sequence[Any]) -> list[tuple[Fault, Any]]:
        """Return wrong gradients of an input that are often given for the right one."""
        return []

    def masks(self, slot: int) -> list[tuple[Fault, Array]]:
        """Return where an input's gradient is wrong if a mask is forgotten, True there.

        Masks, labels and indices are among the inputs.
        """
        from nnscratch.verify.gradients.relatives import masks_among

        others = [one for index, one in enumerate(self.slots) if index != slot]
        named = [(one.name, on_cpu(one.value)) for one in others]
        return list(masks_among(named, np.shape(self.slots[slot].value)))

    def arrays(self, slot: int) -> list[tuple[str, Array]]:
        """Return named arrays, in the shape of an input, that its gradient may have as factors."""
        return []

    def values(self) -> list[Any]:
        """Return the slots' values as they were given."""
        return [slot.value for slot in self.slots]

    def values64(self) -> list[Any]:
        """Return the slots' values with every floating array in float64, each a copy."""
        return [in_float64(slot.value) for slot in self.slots]


def first_outputs(problem: Problem) -> list[Array]:
    """Return the outputs in float64, from which numeric slopes are computed.

    Raises:
        GradientError: if only float64 does not run, or no output is an array of floats.
    """
    try:
        outputs = problem.evaluate(problem.values64())
    except Exception as error:
        try:
            problem.run(problem.values(), [])
        except Exception as other:
            if type(other) is type(error) and str(other) == str(error):
                raise error from None
        raise GradientError(
            f"{problem.name} does not run in float64 on the CPU, where the numeric side runs "
            f"({type(error).__name__}: {error}); a module has to be given itself, as the target or "
            "in (model, loss), and a tensor that a function reaches by itself in parameters="
        ) from error
    if not any(y.dtype.kind == "f" for y in outputs):
        kinds = ", ".join(str(y.dtype) for y in outputs) or "nothing"
        raise GradientError(
            f"{problem.name}: no output is an array of floats, so there is nothing to check; the "
            f"outputs are {kinds}"
        )
    return outputs


def in_float64(value: Any) -> Any:
    """Return a copy of a floating array in float64; anything else as it is."""
    if isinstance(value, np.ndarray) and value.dtype.kind == "f":
        return np.array(value, dtype=np.float64)
    return value


def as_float64(gradient: Any) -> Array:
    """Return a gradient in float64; of complex numbers the real part."""
    return np.asarray(np.real(gradient)).astype(np.float64)


def paired(array: Any) -> Any:
    """Return complex numbers as real ones, with a last axis for the two parts; others as they are.

    A gradient of complex numbers is ∂L/∂Re + i ∂L/∂Im, as in PyTorch, so its two parts are the
    gradients of these real numbers, and a complex function is checked as one of real numbers.
    """
    if not isinstance(array, np.ndarray) or array.dtype.kind != "c":
        return array
    real = np.array(array, order="C", ndmin=1).view(array.real.dtype)
    return real.reshape(*array.shape, 2)


def joined(pairs: Array) -> Array:
    """Return the complex numbers that ``paired`` took apart."""
    kind = np.result_type(pairs.dtype, np.complex64)
    return np.array(pairs, order="C").view(kind).reshape(pairs.shape[:-1])


def is_checkable(value: Any) -> bool:
    """Say whether a value is an array of floats, so that it can have a gradient."""
    return isinstance(value, np.ndarray) and value.dtype.kind == "f"


def on_cpu(value: Any) -> Any:
    """Return an array of any library as a NumPy array; anything else as it is."""
    from nnscratch.array import is_array, to_numpy

    if isinstance(value, np.ndarray) or not is_array(value):
        return value
    return to_numpy(value)


def device_name(value: Any) -> str:
    """Return the device of an array as text, "cpu" for anything that is no array."""
    from nnscratch.array import device_of, is_array

    return str(device_of(value)) if is_array(value) else "cpu"


def nudged(value: Any, rng: Rng) -> Any:
    """Return an array of floats moved by -1, 0 or 1 rounding errors; anything else as it is."""
    if not isinstance(value, np.ndarray) or value.dtype.kind not in "fc":
        return value
    with np.errstate(all="ignore"):
        factor = 1 + rng.integers(-1, 2, value.shape) * np.finfo(value.dtype).eps
        moved = np.empty_like(value)  # in the same order: code may depend on it
        np.multiply(value, factor, out=moved, casting="same_kind")
        return moved


def bits(value: Any) -> bytes | None:
    """Return an array's memory, dtype and shape as bytes, to compare it with itself later."""
    value = on_cpu(value)
    if not isinstance(value, np.ndarray):
        return None
    if value.dtype == np.longdouble and value.dtype.itemsize > 8:
        # Some of its bytes belong to no bit of the number: two doubles hold it all.
        high = value.astype(np.float64)
        return bits(high) + (bits((value - high).astype(np.float64)) or b"")  # type: ignore[operator]
    return repr((value.dtype, value.shape)).encode() + np.ascontiguousarray(value).tobytes()


def output_name(index: int, count: int) -> str:
    """Return the name of one of several outputs in reports."""
    return "the output" if count == 1 else f"output {index}"


def shares(a: Any, b: Any) -> bool:
    """Say whether two arrays share memory."""
    if not (isinstance(a, np.ndarray) and isinstance(b, np.ndarray)) or not (a.size and b.size):
        return False
    return bool(np.shares_memory(a, b))


def memory_findings(
    before: Sequence[tuple[str, Any, bytes | None]],
    outputs: Sequence[tuple[str, Any]],
    gradients: Sequence[tuple[str, Any]],
    views: bool,
) -> list[Finding]:
    """Compare arrays with their bytes from before, and look for memory that is shared.

    Args:
        before: name, array and bytes of everything that must not change.
        outputs: name and array of each output.
        gradients: name and array of each gradient.
        views: whether sharing is allowed.
    """
    found = []
    for name, array, was in before:
        if bits(array) != was:
            found.append(
                Finding(FindingKind.CHANGED, name, "fault", f"{name} was changed by the call.")
            )
    kept = [(name, array) for name, array, _ in before]
    severity = "note" if views else "fault"
    for kind, made in (
        (FindingKind.ALIASED_OUTPUT, outputs),
        (FindingKind.ALIASED_GRADIENT, gradients),
    ):
        for position, (name, array) in enumerate(made):
            others = [*kept, *made[:position]]
            twin = next((other for other, held in others if shares(array, held)), None)
            if twin is not None:
                found.append(
                    Finding(
                        kind,
                        name,
                        severity,
                        f"{name} shares memory with {twin}: whoever writes into one of them "
                        "changes the other.",
                    )
                )
    return found
