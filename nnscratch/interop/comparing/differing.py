"""Where two logs of steps part: the first layer, step and element, in the order of computing."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from nnscratch.interop.comparing.noise import is_noise, reach, rounding
from nnscratch.interop.comparing.steps import StepLog, name_of

# How far apart two results of the same sums may be, as a share of the largest number among them.
_TOLERANCES = {"float64": 1e-9, "float32": 1e-4, "float16": 2e-2}


@dataclass
class Difference:
    """The first place where two logs part.

    Attributes:
        phase: "weights", "forward", "loss", "backward", "gradient" or "update".
        step: the number of the step, from 0.
        path: of the layer or the parameter in ours.
        other_path: in the other's.
        what: of a layer: "input" or "output".
        index: of the first element that differs; None if shapes do.
        ours: that element, or what ours has.
        theirs: that element, or what the other has.
        largest: the largest difference, as a share of the largest number in the array.
        count: how many elements differ.
        size: how many there are.
        arrays: both arrays, None for one that is missing.
    """

    phase: str
    step: int
    path: str
    other_path: str
    what: str
    index: tuple[int, ...] | None
    ours: Any
    theirs: Any
    largest: float
    count: int
    size: int
    arrays: tuple[np.ndarray | None, np.ndarray | None]

    @property
    def place(self) -> str:
        """Where it is, in words."""
        layer = self.path or "the whole model"
        if self.other_path != self.path:
            layer += f" ({self.other_path} there)"
        words = {
            "weights": f"{layer} before the first step",
            "forward": f"the {self.what} of {layer}",
            "loss": "the loss",
            "backward": f"the gradient of the {self.what} of {layer}",
            "gradient": f"the gradient of {layer}",
            "update": f"{layer} after the step",
        }[self.phase]
        return words if self.phase == "weights" else f"step {self.step}, {words}"


class Matching:
    """The paths of one log by those of another.

    They are the same where the names are; otherwise layers with weights are matched in their order.

    Attributes:
        problem: why they cannot be matched, "" if they can.
    """

    def __init__(self, ours: StepLog, theirs: StepLog) -> None:
        self._layers: dict[str, str] = {}
        self.problem = ""
        mine, others = _with_weights(ours), _with_weights(theirs)
        if not others or set(mine) <= set(others) or set(others) <= set(mine):
            return
        if len(mine) != len(others):
            self.problem = (
                f"the layers with weights are {', '.join(mine) or 'none'} here, and "
                f"{', '.join(others) or 'none'} there"
            )
            return
        self._layers = dict(zip(mine, others, strict=True))

    def layer(self, path: str) -> str:
        """Return the other's path of a layer."""
        return self._layers.get(path, path)

    def weight(self, path: str) -> str:
        """Return the other's path of a parameter or a buffer."""
        layer, dot, name = path.rpartition(".")
        found = self.layer(layer)
        return f"{found}{dot if found else ''}{name}"


def _with_weights(log: StepLog) -> list[str]:
    found: dict[str, None] = {}
    for path, _ in log.named(0, "weights"):
        found.setdefault(path.rpartition(".")[0])
    if not found:
        for path, _ in (*log.named(0, "gradient"), *log.named(0, "update")):
            found.setdefault(path.rpartition(".")[0])
    return list(found)


def differences(ours: StepLog, theirs: StepLog, match: Matching) -> Iterator[Difference]:
    """Go through all places where two logs part, in the order of the computation.

    What only one of them has is passed over, but for parameters, their gradients, and outputs of a
    layer that both have: ``uncompared`` lists it.
    """
    yield from _weights(ours, theirs, match)
    for step in range(min(ours.steps, theirs.steps)):
        yield from _forward(ours, theirs, match, step)
        yield from _outputs(ours, theirs, match, step)
        yield from _pair("loss", step, "", "", "", ours, theirs)
        yield from _backward(ours, theirs, match, step)
        for path, _ in ours.named(step, "update"):
            yield from _pair("update", step, path, match.weight(path), "", ours, theirs)


def _weights(ours: StepLog, theirs: StepLog, match: Matching) -> Iterator[Difference]:
    mine, others = dict(ours.named(0, "weights")), dict(theirs.named(0, "weights"))
    if not others:
        return
    known = {match.weight(path) for path in mine}
    for path, array in mine.items():
        other = match.weight(path)
        if other in others:
            yield from _pair("weights", 0, path, other, "", ours, theirs)
        elif not path.endswith("num_batches_tracked"):
            yield _missing("weights", 0, path, other, array, None)
    for other, array in others.items():
        if other not in known and not other.endswith("num_batches_tracked"):
            yield _missing("weights", 0, other, other, None, array)


def _missing(
    phase: str,
    step: int,
    path: str,
    other: str,
    ours: np.ndarray | None,
    theirs: np.ndarray | None,
    what: str = "",
) -> Difference:
    mine, its = ("none" if one is None else f"an array {one.shape}" for one in (ours, theirs))
    return Difference(
        phase, step, path, other, what, None, mine, its, math.inf, 1, 1, (ours, theirs)
    )  # fmt: skip


def _forward(ours: StepLog, theirs: StepLog, match: Matching, step: int) -> Iterator[Difference]:
    prefix = f"{step}/forward/"
    for name in ours.arrays:
        if name.startswith(prefix):
            path, _, what = name.removeprefix(prefix).rpartition("/")
            yield from _pair("forward", step, path, match.layer(path), what, ours, theirs)


def _outputs(ours: StepLog, theirs: StepLog, match: Matching, step: int) -> Iterator[Difference]:
    """Go through outputs that only one side has, of layers that both have."""
    prefix = f"{step}/forward/"
    mine, others = (_by_layer(log, prefix) for log in (ours, theirs))
    for path, own in mine.items():
        its = others.get(match.layer(path), {})
        for what in [*own, *(what for what in its if what not in own)] if its else ():
            # A log by hand may leave out what it likes.
            if (what not in own) or (what not in its and theirs.modules):
                a, b = own.get(what), its.get(what)
                yield _missing("forward", step, path, match.layer(path), a, b, what)


def _by_layer(log: StepLog, prefix: str) -> dict[str, dict[str, np.ndarray]]:
    """Return the outputs in a log by layer and name."""
    found: dict[str, dict[str, np.ndarray]] = {}
    for name, array in log.arrays.items():
        path, _, what = name.removeprefix(prefix).rpartition("/")
        if name.startswith(prefix) and what.startswith("output"):
            found.setdefault(path, {})[what] = array
    return found


def uncompared(ours: StepLog, theirs: StepLog, match: Matching) -> list[str]:
    """Return the names of arrays that only one of two logs has, with whose they are."""
    known: set[str] = set()
    found: list[str] = []
    for name in ours.arrays:
        step, phase, path = (*name.split("/", 2), "")[:3]
        layer, slash, what = path.rpartition("/") if phase in ("forward", "backward") else ("",) * 3
        other = match.layer(layer) if slash else match.weight(path)
        known.add(name_of(int(step), phase, other, what))
        if name_of(int(step), phase, other, what) not in theirs.arrays:
            found.append(f"{name} here")
    return [*found, *(f"{name} there" for name in theirs.arrays if name not in known)]


def _backward(ours: StepLog, theirs: StepLog, match: Matching, step: int) -> Iterator[Difference]:
    """Gradients from the last layer to the first: of what a layer returned, then its parameters."""
    yield from _without_gradient(ours, theirs, match, step)
    prefix = f"{step}/backward/"
    weights = [path for path, _ in ours.named(step, "gradient")]
    seen: set[str] = set()
    for name in [name for name in ours.arrays if name.startswith(prefix)]:
        path, _, what = name.removeprefix(prefix).rpartition("/")
        yield from _pair("backward", step, path, match.layer(path), what, ours, theirs)
        for weight in weights:
            if weight.rpartition(".")[0] == path and weight not in seen:
                seen.add(weight)
                yield from _pair("gradient", step, weight, match.weight(weight), "", ours, theirs)
    for weight in reversed(weights):
        if weight not in seen:
            yield from _pair("gradient", step, weight, match.weight(weight), "", ours, theirs)


def _without_gradient(
    ours: StepLog, theirs: StepLog, match: Matching, step: int
) -> Iterator[Difference]:
    """Go through the parameters that have a gradient on one side only.

    A log by hand may leave out what it likes; that of a model at hand is whole.
    """
    known = {path for path, _ in theirs.named(0, "weights")} if theirs.modules else set()
    for path, _ in reversed(list(ours.named(0, "weights"))):  # as gradients come about
        other = match.weight(path)
        a, b = ours.get(step, "gradient", path), theirs.get(step, "gradient", other)
        if (a is None) is not (b is None) and (a is None or other in known):
            yield _missing("gradient", step, path, other, a, b)


def _pair(
    phase: str, step: int, path: str, other: str, what: str, ours: StepLog, theirs: StepLog
) -> Iterator[Difference]:
    a, b = ours.get(step, phase, path, what), theirs.get(step, phase, other, what)
    if a is None or b is None:
        return
    if phase == "weights":
        mine, its = (
            log.dtypes.get(name_of(0, phase, name), str(array.dtype))
            for log, name, array in ((ours, path, a), (theirs, other, b))
        )
        if mine != its and a.shape == b.shape:
            yield Difference(
                phase, step, path, other, what, None, mine, its, 0.0, a.size, a.size, (a, b)
            )
            return
    before: tuple[Any, Any] = (None, None)
    if phase == "update":
        place = ("weights", 0) if step == 0 else ("update", step - 1)
        before = (ours.get(place[1], place[0], path), theirs.get(place[1], place[0], other))
    noise: Any = 0.0
    if phase == "gradient":
        noise = max(rounding(ours, step, path, one) for one in (a, b))
    elif phase == "update":
        # What an optimizer makes of rounding errors, as long as it is small.
        where = is_noise(ours, theirs, step, path, other, a.shape)
        noise = 0.0 if where is None else tolerance(a, b) * reach(a, b) * where
    found = _compared(a, b, phase if what != "target" else "target", before, noise)
    if found is not None:
        index, mine, its, largest, count = found
        yield Difference(
            phase, step, path, other, what, index, mine, its, largest, count, a.size, (a, b)
        )


def _compared(
    a: np.ndarray, b: np.ndarray, phase: str, before: tuple[Any, Any], noise: Any
) -> tuple[Any, Any, Any, float, int] | None:
    if a.shape != b.shape:
        return None, f"the shape {a.shape}", f"the shape {b.shape}", math.inf, a.size
    if _kind(a) != _kind(b) and phase != "target":
        return None, str(a.dtype), str(b.dtype), 0.0, a.size
    if a.dtype.kind not in "fc" and b.dtype.kind not in "fc":
        apart = a != b
        scale = 1.0
    else:
        scale = reach(a, b)
        limit: Any = _limit(a, b, scale) if phase != "weights" else 0.0
        if phase == "update" and all(one is not None and one.shape == a.shape for one in before):
            # What a step changes is small beside what it changes.
            moved = reach(a - before[0], b - before[1])
            steps = np.finfo(np.result_type(before[0], before[1], a, b)).eps * 8 * scale
            limit = 10 * tolerance(a, b) * moved + steps
        limit = np.maximum(limit, noise)
        with np.errstate(invalid="ignore"):
            apart = ~((np.abs(a - b) <= limit) | (np.isnan(a) & np.isnan(b)) | (a == b))
    count = int(apart.sum())
    if not count:
        return None
    index = tuple(int(n) for n in np.unravel_index(int(apart.argmax()), a.shape)) if a.ndim else ()
    with np.errstate(invalid="ignore"):
        wide = np.result_type(a, b, np.float64)
        gaps = np.abs(a[apart].astype(wide) - b[apart].astype(wide))
    return index, a[index].item(), b[index].item(), float(gaps.max()) / (scale or 1.0), count


def _limit(a: np.ndarray, b: np.ndarray, scale: float) -> Any:
    """Return how far apart elements may be: by the largest of their row, and a few roundings.

    A row is an example, or a unit's weights: a large one hides nothing of another.
    """
    if a.ndim < 2 or not a.size:
        return tolerance(a, b) * scale
    axes = tuple(range(1, a.ndim))
    finite = [np.where(np.isfinite(one), np.abs(one), 0.0) for one in (a, b)]
    rows = np.maximum(*(one.max(axis=axes, keepdims=True) for one in finite))
    few = 64 * max(float(np.finfo(one.dtype).eps) for one in (a, b) if one.dtype.kind in "fc")
    return tolerance(a, b) * rows + min(few, tolerance(a, b)) * scale


def _kind(array: np.ndarray) -> str:
    """Return whether an array is of truths, whole, real or complex numbers."""
    return "i" if array.dtype.kind == "u" else array.dtype.kind


def tolerance(a: np.ndarray, b: np.ndarray) -> float:
    """Return how far apart two arrays may be, as a share of the largest number in them."""
    return max(_TOLERANCES.get(str(one.dtype), 1e-4) for one in (a, b))


def agree(a: Any, b: Any, times: float = 1.0) -> bool:
    """Say whether two arrays are equal up to rounding."""
    a, b = np.asarray(a), np.asarray(b)
    if a.shape != b.shape:
        return False
    if a.dtype.kind not in "fc" or b.dtype.kind not in "fc":
        return bool((a == b).all())
    limit = times * tolerance(a, b) * reach(a, b)
    with np.errstate(invalid="ignore"):
        return bool(((np.abs(a - b) <= limit) | (a == b)).all())
