"""Faults that are factors: sign, 2, N or 1/N, the cotangent left out or taken twice."""

from __future__ import annotations

import numpy as np

from nnscratch.verify.gradients.evidence import Evidence
from nnscratch.verify.gradients.faults import Fault, Kind


def constant(e: Evidence) -> Fault | None:
    """See whether every wrong element is the right one times one number."""
    if len(e.known) > len(e.wrong) and len(e.wrong) < 3:
        return None
    # What is right beside what is wrong must be 0, where no factor shows.
    bystanders = [x for x in e.known if x not in e.wrong]
    if any(abs(x.numeric) > 100 * x.allowance for x in bystanders):
        return None
    factor = ratio(e)
    if factor is None or len(e.a) < 1 or not e.close(e.a, factor * e.n):
        return None
    found = of_factor(factor, e)
    # A single element is some number times another one in any case.
    return None if len(e.a) == 1 and found.kind is Kind.FACTOR else found


def ratio(e: Evidence) -> float | None:
    """Return the factor that fits all wrong elements best, None if there is none."""
    if not np.any(e.n):
        return None
    with np.errstate(all="ignore"):
        factor = float(np.dot(e.a, e.n) / np.dot(e.n, e.n))
    return factor if np.isfinite(factor) else None


def of_factor(factor: float, e: Evidence) -> Fault:
    """Return what a constant factor means."""
    if _is(factor, -1):
        return Fault(Kind.SIGN, factor)
    size = abs(factor)
    if _is(size, 2):
        return Fault(Kind.DOUBLE, factor)
    if _is(size, 0.5):
        return Fault(Kind.HALF, factor)
    for number, name in lengths(e):
        if _is(size, number):
            return Fault(Kind.TIMES_LENGTH, factor, number, name)
        if _is(size, 1 / number):
            return Fault(Kind.OVER_LENGTH, factor, number, name)
    return Fault(Kind.FACTOR, factor)


def lengths(e: Evidence) -> list[tuple[int, str]]:
    """Return the sizes in the problem by which a mean might divide, with their names."""
    found: dict[int, str] = {}
    outputs = e.measured.run.outputs
    arrays = [
        *((slot.name, slot.value) for slot in e.measured.problem.slots),
        *(
            (("the output" if len(outputs) == 1 else f"output {i}"), y)
            for i, y in enumerate(outputs)
        ),
    ]
    for name, array in arrays:
        if not isinstance(array, np.ndarray):
            continue
        for axis, size in enumerate(array.shape):
            what = "the batch size" if axis == 0 and array.ndim > 1 else f"axis {axis} of {name}"
            if size > 1:
                found.setdefault(size, what)
        if array.ndim > 2 and array.size > array.shape[-1] > 0:
            rows = array.size // array.shape[-1]
            found.setdefault(rows, f"the number of rows of {name}")
        if array.ndim > 1 and array.size > 1:
            found.setdefault(array.size, f"the number of elements of {name}")
    return list(found.items())


def _is(factor: float, number: float) -> bool:
    return abs(factor - number) <= 1e-3 * abs(number)


def rounded(e: Evidence) -> Fault | None:
    """See whether every wrong element is right to the digits of float32."""
    size = np.maximum(np.abs(e.a), np.abs(e.n))
    if np.all(np.abs(e.a - e.n) <= 16 * np.finfo(np.float32).eps * size):
        return Fault(Kind.ROUNDED)
    return None


def magnitude(e: Evidence) -> Fault | None:
    """See whether only the signs are wrong."""
    if len(e.wrong) > 1 and e.close(np.abs(e.a), np.abs(e.n)):
        return Fault(Kind.MAGNITUDE if np.all(e.a >= 0) else Kind.SIGNS)
    return None


def sign_of_term(e: Evidence) -> Fault | None:
    """See whether right and wrong add up to the incoming gradient times one number."""
    outputs, cotangents = e.measured.run.outputs, e.measured.cotangents
    upstream = cotangents[0] if cotangents else None
    if upstream is None or outputs[0].shape != e.shape or len(e.known) < 4:
        return None
    known = [(x.analytic + x.numeric, float(upstream[x.index])) for x in e.known]
    sums = np.array([total / C for total, C in known])
    same = np.ptp(sums) <= 1e-3 * np.max(np.abs(sums))
    return Fault(Kind.SIGN_OF_TERM) if same and abs(sums[0]) > 1e-3 else None


def cotangent(e: Evidence) -> Fault | None:
    """See whether the incoming gradient is missing, or multiplied in twice."""
    outputs, cotangents = e.measured.run.outputs, e.measured.cotangents
    upstream = cotangents[0] if cotangents else None
    few = len(e.wrong) < min(2, e.promised.size)
    if upstream is None or outputs[0].shape != e.shape or few:
        return None
    C = np.array([float(upstream[x.index]) for x in e.wrong])
    if e.close(e.a * C, e.n):
        return Fault(Kind.NO_COTANGENT)
    if e.close(e.a, e.n * C):
        return Fault(Kind.COTANGENT_TWICE)
    return None
