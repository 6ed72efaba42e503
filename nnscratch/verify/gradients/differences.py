r"""Numeric derivatives with an error estimate: complex step, central and five-point differences.

For outputs $Y_k(x)$ and fixed cotangents $C_k$ the checker differentiates
$\varphi(x) = \sum_k \langle C_k, Y_k(x) \rangle$ along a direction $v$. With
$D(t) = (\varphi(x + tv) - \varphi(x - tv)) / 2t$:

- central: $D(h/2)$, truncation $O(h^2)$, estimated by $|D(h) - D(h/2)|$;
- five-point: $(4 D(h/2) - D(h)) / 3$, truncation $O(h^4)$, estimated likewise one step coarser;
- complex step: $\operatorname{Im} \varphi(x + ihv) / h$ with $h = 10^{-30}$: no difference is
  taken, so nothing cancels and nothing is truncated.

Second differences give the jump of the slope at $x$: with $R(t) = (\varphi(x + tv) - 2\varphi(x) +
\varphi(x - tv)) / t = J + a t + b t^3 + \ldots$ three steps give $J$, which is 0 where $\varphi$ is
smooth and the difference of the one-sided slopes at a kink.

Outputs are subtracted before they are weighted and summed, so an output that a direction does not
touch adds no rounding error. How much a value of $\varphi$ is rounded is measured once (Moré and
Wild 2011, "Estimating computational noise").
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from nnscratch.verify.gradients.noise import noise_of
from nnscratch.verify.gradients.problem import Array, Problem

EPS = float(np.finfo(np.float64).eps)
COMPLEX_STEP = 1e-30
RUNGS = 9
"""How many step sizes of a difference are tried, each a 16th of the one before."""
SMALL_STEP = 2.0**-20
"""A step, as a share of what it changes, that float32 would still notice."""
METHODS = ("auto", "complex", "five-point", "central")


@dataclass(frozen=True)
class Slope:
    """A directional derivative and how far it can be trusted.

    Attributes:
        value: the derivative.
        error: an estimate of its error, rounding and truncation together.
        rounding: the part of ``error`` that is rounding.
        jump: by how much the slope to the right exceeds the slope to the left.
        step: the step it was taken with.
        discontinuous: whether the function itself seems to jump at the point.
    """

    value: float
    error: float
    rounding: float
    jump: float
    step: float
    discontinuous: bool = False

    @property
    def kinked(self) -> bool:
        """Whether the one-sided slopes differ by more than the errors explain."""
        size = max(abs(self.value), abs(self.jump))
        return self.discontinuous or abs(self.jump) > max(30 * self.rounding, 1e-4 * size, 1e-300)

    @property
    def sides(self) -> tuple[float, float]:
        """The smaller and the larger of the one-sided slopes."""
        half = abs(self.jump) / 2
        return self.value - half, self.value + half


class Direction:
    """A direction in one slot: some of its elements, with the weight of each."""

    def __init__(self, slot: int, flat: Array, weights: Array) -> None:
        self.slot = slot
        self.flat = flat
        self.weights = weights
        self.touched: dict[int, Array] = {}

    def dot(self, gradient: Array) -> float:
        """Return the slope along the direction according to a gradient of the slot."""
        return float(np.dot(gradient.reshape(-1)[self.flat].astype(np.float64), self.weights))

    def part(self, keep: Array) -> Direction:
        """Return the direction restricted to some of its elements."""
        return Direction(self.slot, self.flat[keep], self.weights[keep])


def step_scales(value: Array) -> Array:
    """Return for each element the power of two by which its steps are scaled.

    It follows the element's own magnitude, and the tensor's where the element is much smaller: a
    power of two keeps x + h and x - h exactly representable.
    """
    flat = np.abs(value.reshape(-1).astype(np.float64))
    flat = np.where(np.isfinite(flat), flat, 1.0)
    typical = float(np.sqrt(np.mean(flat**2))) if flat.size else 1.0
    if typical == 0.0:
        typical = 1.0
    return np.asarray(2.0 ** np.round(np.log2(np.maximum(flat, min(0.1 * typical, 1.0)))))


class Differences:
    """Takes numeric derivatives of one problem at one point with one set of cotangents."""

    def __init__(self, problem: Problem, cotangents: Sequence[Any]) -> None:
        self.problem = problem
        self.cotangents = [
            None if c is None else np.asarray(c, dtype=np.float64) for c in cotangents
        ]
        self.x = problem.values64()
        self.evaluations = 0
        self.outputs = self._outputs(self.x)
        # Through what is not finite nothing can be measured, and it would hide all the rest.
        self.finite = [np.isfinite(y) for y in self.outputs]
        self.centre = self._measurable(self.outputs)
        self.coarseness = 1.0
        self.roughness: list[Any] = [1.0] * len(self.cotangents)
        weighted = self._stack(self.centre)
        self.size = norm(weighted[np.isfinite(weighted)])
        self.largest = float(np.max(np.abs(weighted[np.isfinite(weighted)]), initial=0.0))
        self.typical = self.size / float(np.sqrt(max(weighted.size, 1)))

    # Values.

    def _outputs(self, values: Sequence[Any]) -> list[Array]:
        self.evaluations += 1
        try:
            outputs = self.problem.evaluate(values)
        except Exception:
            if not hasattr(self, "centre"):
                raise
            # The step left the function's domain: NaN makes the caller try a smaller step.
            outputs = [np.full(y.shape, np.nan) for y in self.centre]
        return self._measurable(outputs) if hasattr(self, "finite") else outputs

    def _measurable(self, outputs: list[Array]) -> list[Array]:
        """Return outputs with 0 for the entries that are not finite at the point itself."""
        return [
            y if keep.all() or keep.shape != y.shape else np.where(keep, y, 0.0)
            for y, keep in zip(outputs, self.finite, strict=True)
        ]

    def at(self, direction: Direction, step: float | complex) -> list[Array]:
        """Return the outputs at x + step · direction."""
        values = list(self.x)
        base = values[direction.slot]
        moved = base.astype(np.complex128) if isinstance(step, complex) else base.copy()
        moved.reshape(-1)[direction.flat] += step * direction.weights
        values[direction.slot] = moved
        if isinstance(step, complex):
            values = [
                v.astype(np.complex128)
                if isinstance(v, np.ndarray) and v.dtype == np.float64
                else v
                for v in values
            ]
        return self._outputs(values)

    def weighted(self, outputs: Sequence[Any]) -> float:
        """Return the sum of the outputs, each times its cotangent."""
        total = 0.0
        for output, cotangent in zip(outputs, self.cotangents, strict=True):
            if cotangent is not None:
                total += float(np.sum(cotangent * output))
        return total

    def _floor(self, direction: Direction, high: list[Array], low: list[Array]) -> float:
        """Return the rounding error in the weighted difference of two sets of outputs."""
        sizes = []
        for i, (a, b, cotangent) in enumerate(zip(high, low, self.cotangents, strict=True)):
            if cotangent is None:
                continue
            # What a coarser step has changed depends on the input, even if this step is lost in
            # rounding.
            touched = (a != b) | direction.touched.get(i, False)
            direction.touched[i] = touched
            # An output near 0 may be the difference of large numbers: no output is taken to be
            # more exact than the typical one.
            size = np.abs(cotangent) * np.maximum(np.abs(a), np.abs(b)) + self.typical
            sizes.append(norm(np.where(touched, size * self.roughness[i], 0.0)))
        if not any(sizes):
            # No output changed: either none depends on the input, or all that changed was rounded
            # away, which may be as much as the last digit of the largest, or of a probability.
            sizes = [np.max(np.abs(c), initial=0.0) for c in self.cotangents if c is not None]
            return EPS * max(self.largest, *map(float, sizes))
        return EPS * self.coarseness * norm(np.array(sizes))

    # Noise.

    @np.errstate(all="ignore")
    def measure_noise(self, rng: np.random.Generator, slots: Sequence[int]) -> float:
        """Measure by how much more than one ulp the values are rounded, and return that factor."""
        moved = [slot for slot in slots if self.x[slot].size]
        if not moved or not self.size:
            return self.coarseness
        directions = [
            rng.choice([-1.0, 1.0], self.x[slot].shape)
            * step_scales(self.x[slot]).reshape(self.x[slot].shape)
            for slot in moved
        ]

        def along(spacing: float) -> Array:
            table = []
            for k in range(-3, 4):
                values = list(self.x)
                for slot, direction in zip(moved, directions, strict=True):
                    values[slot] = np.asarray(values[slot] + spacing * k * direction)
                table.append(self._stack(self._outputs(values) if k else self.centre))
            return np.array(table)

        tables: list[Array] = []
        for spacing in (2.0**-18, 2.0**-21, 2.0**-11):
            tables.append(along(spacing))
            if len(tables) == 2 and (np.ptp(tables[0], axis=0) > 0).all():
                break
        noise, apart, own = noise_of(tables, along)
        if self.typical > 0 and np.isfinite(noise):
            self.coarseness = min(max(noise / (EPS * self.typical), 1.0), 1e13)
            # Of one value alone the noise is estimated badly, so it is taken to be more.
            own = np.clip(4 * own / (EPS * self.typical * self.coarseness), 1.0, 1e13)
            self.roughness = self._unstacked(np.where(apart, own, 1.0))
        return self.coarseness

    def _unstacked(self, values: Array) -> list[Any]:
        """Take apart what ``_stack`` made; 1 for outputs without a cotangent."""
        found: list[Any] = []
        for cotangent in self.cotangents:
            count = 0 if cotangent is None else cotangent.size
            found.append(1.0 if cotangent is None else values[:count].reshape(cotangent.shape))
            values = values[count:]
        return found

    def _stack(self, outputs: Sequence[Any]) -> Array:
        parts = [
            np.ravel(c * y) for c, y in zip(self.cotangents, outputs, strict=True) if c is not None
        ]
        return np.concatenate(parts) if parts else np.zeros(0)

    # Slopes.

    def complex_slope(self, direction: Direction) -> Slope:
        """Return the derivative by the complex step.

        Raises:
            TypeError: if the outputs are not complex, so the function dropped the step.
        """
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", np.exceptions.ComplexWarning)
            outputs = self.at(direction, COMPLEX_STEP * 1j)
        total, squares = 0.0, 0.0
        for output, cotangent in zip(outputs, self.cotangents, strict=True):
            if cotangent is None:
                continue
            if output.dtype.kind != "c":
                raise TypeError("the outputs are real: the function is not complex-differentiable")
            parts = cotangent * output.imag / COMPLEX_STEP
            total += float(np.sum(parts))
            squares += float(np.sum(parts**2))
        rounding = 16 * EPS * self.coarseness * float(np.sqrt(squares))
        return Slope(total, rounding, rounding, 0.0, COMPLEX_STEP)

    def first_step(self, method: str) -> float:
        """Return the coarsest step of a method: where truncation and rounding balance."""
        power = 1 / 3 if method == "central" else 1 / 5
        step = (EPS * self.coarseness) ** power
        return float(2.0 ** np.round(np.log2(min(step, 0.05))))

    def slope(self, direction: Direction, method: str, step: float) -> Slope:
        """Return the derivative by differences with a given step and its half."""
        if method == "central":
            step = step / 2
        with np.errstate(all="ignore"):
            points = {
                t: (self.at(direction, t), self.at(direction, -t))
                for t in (2 * step, step, step / 2)
            }
            D, R, rounding = {}, {}, {}
            for t, (high, low) in points.items():
                D[t] = self.weighted([a - b for a, b in zip(high, low, strict=True)]) / (2 * t)
                bent = [(a - c) - (c - b) for a, b, c in zip(high, low, self.centre, strict=True)]
                R[t] = self.weighted(bent) / t
                rounding[t] = self._floor(direction, high, low) / t
        fine, middle, coarse = step / 2, step, 2 * step
        if method == "central":
            value, other, weight = D[fine], D[middle], 1.0
        else:
            value = (4 * D[fine] - D[middle]) / 3
            other = (4 * D[middle] - D[coarse]) / 3
            weight = 5 / 3
        floor = 2 * weight * rounding[fine]
        once, twice = 2 * R[fine] - R[middle], 2 * R[middle] - R[coarse]
        jump = (8 * once - twice) / 7
        error = abs(value - other) + floor + abs(jump) / 2
        discontinuous = _is_jump(D[fine], D[middle], D[coarse], floor)
        if not np.isfinite(error):
            error = float("inf")
        return Slope(value, float(error), floor, jump, step, discontinuous)

    def best_slope(
        self, direction: Direction, method: str, promised: float, slack: float, enough: float
    ) -> Slope:
        """Return the derivative with the step that gives the smallest error estimate.

        Steps shrink only as long as the promised slope is not confirmed to ``enough``.
        """
        step = self.first_step(method)
        found: list[Slope] = []
        for rung in range(RUNGS):
            slope = self.slope(direction, method, step / 16**rung)
            found.append(slope)
            size = max(abs(promised), abs(slope.value), 1e-300)
            if abs(promised - slope.value) <= 4 * slope.error + slack:
                if 10 * slope.error <= enough * size:
                    return slope
            elif slope.error <= 1e-3 * abs(slope.value) and rung >= 1:
                break  # the derivative is known, and it is another one
            if slope.error == 0.0:
                return slope
            if rung >= 2 and slope.rounding > 0.3 * slope.error:
                break  # finer steps are lost in rounding
        best = _contradicted(found, min(found, key=lambda slope: slope.error))
        unknown = _near_a_pole(found, best)
        if promised == 0.0 and not abs(best.value) <= 4 * best.error + slack:
            unknown = unknown or self._still(direction)
        return replace(best, error=float("inf")) if unknown else best

    def _still(self, direction: Direction) -> bool:
        """Say whether all outputs are the same for small steps to one side, as on a staircase.

        Coarse differences follow the staircase, and say nothing of the slope of a stair. Steps that
        float32 would not notice count for whole numbers only: a function that computes in float32
        has stairs of that size.
        """
        steps = [SMALL_STEP, SMALL_STEP / 4]
        if all(np.array_equal(y, np.round(y)) for y in self.centre):
            steps += [SMALL_STEP / 2**10, SMALL_STEP / 2**20]
        for step in steps:
            for side in (step, -step):
                far, near = self.at(direction, side), self.at(direction, side / 1024)
                if all(np.array_equal(a, b) for a, b in zip(far, near, strict=True)):
                    return True
        return False


def _near_a_pole(found: Sequence[Slope], best: Slope) -> bool:
    """Say whether differences grow as the step shrinks, as they do across a pole.

    From both sides of it the function comes back, so a coarse step sees a slope that is far too
    small, and the error that it estimates is small as well.
    """
    if not best.error > 0.3 * abs(best.value):
        return False
    finer = found[found.index(best) + 1 :]
    return any(
        not np.isfinite(slope.value)
        or abs(slope.value) > 3 * (abs(best.value) + best.error) + 10 * slope.rounding
        for slope in finer
    )


def _contradicted(found: Sequence[Slope], best: Slope) -> Slope:
    """Return a finer difference that is sure of another value, else the best one.

    The derivative is the limit: a step of whole numbers finds the slope 1 of a staircase, exactly.
    """
    for finer in found[found.index(best) + 1 :]:
        sure = finer.error <= 1e-3 * abs(best.value)
        if sure and abs(finer.value - best.value) > 10 * (finer.error + best.error):
            return finer
    return best


def _is_jump(fine: float, middle: float, coarse: float, floor: float) -> bool:
    """Say whether differences double when the step halves, as they do across a discontinuity."""
    if not (np.isfinite(fine) and abs(fine) > 1e3 * floor and middle):
        return False
    return abs(fine / middle - 2) < 1e-2 and bool(coarse) and abs(middle / coarse - 2) < 1e-2


def norm(values: Array) -> float:
    """Return the root of the sum of squares, which neither overflow nor vanish on the way.

    >>> norm(np.array([3.0, 4.0]) * 2.0**600) == 5.0 * 2.0**600, norm(np.zeros(0))
    (True, 0.0)
    """
    largest = float(np.max(np.abs(values), initial=0.0))
    if not (largest and np.isfinite(largest)):
        return largest
    return largest * float(np.sqrt(np.sum((values / largest) ** 2)))
