"""Problems made of a forward and a backward on raw arrays: a formula, or a user's own pair."""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from nnscratch.array import array_namespace, is_array
from nnscratch.errors import ConfigurationError, ShapeError
from nnscratch.formulas import SUM_TO, Formula, registry
from nnscratch.verify.gradients.faults import Fault, Kind
from nnscratch.verify.gradients.problem import (
    AnalyticRun,
    Array,
    Finding,
    FindingKind,
    Problem,
    Rng,
    Slot,
    bits,
    device_name,
    in_float64,
    is_checkable,
    memory_findings,
    nudged,
    on_cpu,
    output_name,
)


def raw(value: Any) -> Any:
    """Return the array under a Tensor, an array of a list, anything else as it is."""
    if isinstance(value, (list, np.generic)):
        return np.asarray(value)
    return getattr(value, "array", value)


class PairProblem(Problem):
    """A forward and a backward on arrays.

    The forward returns ``Y, saved`` and the backward takes ``dY, saved`` (and ``needs``, if it has
    three parameters); or the forward returns ``Y`` alone and the backward takes ``dY`` and the
    inputs, or ``dY`` alone if the forward keeps what it needs somewhere else.
    """

    def __init__(
        self,
        forward: Callable[..., Any],
        backward: Callable[..., Any],
        inputs: Sequence[Any],
        options: dict[str, Any],
        names: Sequence[str] = (),
        checked: Sequence[bool] = (),
    ) -> None:
        self.forward, self.backward = forward, backward
        self.options = options
        self.name = getattr(forward, "__name__", "pair").removesuffix("_forward")
        self.views = False
        self.given = [raw(value) for value in inputs]
        names = names or _parameter_names(forward, len(self.given))
        self.slots = []
        for index, value in enumerate(self.given):
            name = names[index] if index < len(names) else f"{names[-1]}[{index}]"
            wanted = checked[min(index, len(checked) - 1)] if checked else True
            held = on_cpu(value)
            self.slots.append(Slot(name, held, wanted and is_checkable(held), device_name(value)))
        self._style: str | None = None

    def evaluate(self, values: Sequence[Any]) -> list[Array]:
        """Run the forward on NumPy arrays."""
        Y, _ = self._split(self.forward(*values, **in_options64(self.options)))
        return [np.asarray(one) for one in _several(Y)]

    def _split(self, result: Any) -> tuple[Any, Any]:
        paired = isinstance(result, tuple)
        if paired and len(result) != 2:
            raise ConfigurationError(
                f"{self.name}: the forward of a pair returns Y, or Y and what its backward needs; "
                f"got {len(result)} things. For several outputs, concatenate them."
            )
        self._style = "saved" if paired else "inputs"
        Y, saved = result if paired else (result, None)
        return (np.asarray(Y) if isinstance(Y, (np.generic, float)) else Y), saved

    def compute(self, inputs: Sequence[Any]) -> tuple[Any, Any]:
        """Run the forward under test."""
        return self._split(self.forward(*inputs, **self.options))

    def derive(self, dY: Any, saved: Any, inputs: Sequence[Any], needs: tuple[bool, ...]) -> Any:
        """Run the backward under test."""
        least, most = _positional(self.backward)
        wanted: list[tuple[Any, ...]] = [(dY, *inputs), (dY,)]
        if self._style == "saved":
            wanted = [(dY, saved)]
            # A third one with a default of its own is an option, such as f=f in a lambda.
            if least >= 3 or (most >= 3 and _third(self.backward) in ("needs", None)):
                wanted = [(dY, saved, needs), (dY, saved)]
        given = next((one for one in wanted if least <= len(one) <= most), None)
        if given is None:
            after = "dY and the inputs" if self._style == "inputs" else "dY and what was saved"
            raise ConfigurationError(
                f"{self.name}: the backward has to take {after}, {len(wanted[0])} things; it takes "
                f"{least if least == most else f'{least} to {most}'}"
            )
        found = self.backward(*given)
        found = found if isinstance(found, (tuple, list)) else (found,)
        return [np.asarray(g) if isinstance(g, (np.generic, float)) else g for g in found]

    def placed(self, values: Sequence[Any]) -> list[Any]:
        """Return values on the devices where the target was given them."""
        return [
            _placed(value, given) if is_array(given) else value
            for given, value in zip(self.given, values, strict=True)
        ]

    def run(
        self, values: Sequence[Any], cotangents: Sequence[Any], nudge: Rng | None = None
    ) -> AnalyticRun:
        """Run forward and backward, and watch the memory."""
        return self._walk(self.placed(values), cotangents, nudge)

    def run64(self, values: Sequence[Any], cotangents: Sequence[Any]) -> AnalyticRun:
        """Do the same with arrays in float64 on the CPU."""
        return self._walk(list(values), cotangents, None)

    def _walk(self, inputs: list[Any], cotangents: Sequence[Any], nudge: Rng | None) -> AnalyticRun:
        names = [slot.name for slot in self.slots]
        kept = [(name, v, bits(v)) for name, v in zip(names, inputs, strict=True)]
        Y, saved = self.compute(inputs)
        parts = _several(Y)
        outputs = [(output_name(i, len(parts)), one) for i, one in enumerate(parts)]
        findings = memory_findings(kept, outputs, [], self.views)
        kept = [entry for entry in kept if bits(entry[1]) == entry[2]]
        dY = upstream_of(Y, cotangents)
        if nudge is not None and isinstance(saved, tuple):
            saved = getattr(type(saved), "_make", tuple)(nudged(v, nudge) for v in saved)
        held = _items(saved)
        kept += [(name, one, bits(one)) for name, one in outputs]
        kept += [("dY", one, bits(one)) for one in _several(dY) if one is not None]
        kept += [
            (f"saved[{i!r}]", v, bits(v))
            for i, v in held
            if not any(v is array for _, array, _ in kept)
        ]
        needs = tuple(slot.checked for slot in self.slots)
        found = list(self.derive(dY, saved, inputs, needs))
        strange = next((g for g in found if g is not None and not is_array(g)), None)
        if strange is not None:
            raise ConfigurationError(
                f"{self.name}: the backward has to return an array for each input, or None; it "
                f"returned {type(strange).__name__}"
            )
        made = [
            (f"the gradient of {name}", gradient)
            for name, gradient in zip(names, found, strict=False)
            if gradient is not None
        ]
        findings += memory_findings(kept, [], made, self.views)
        if len(found) != len(self.slots):
            expected = len(self.slots)
            text = f"The backward returned {len(found)} gradients for {expected} inputs."
            findings.append(Finding(FindingKind.GRADIENT_COUNT, "backward", "fault", text))
            found = (found + [None] * expected)[:expected]
        return AnalyticRun(
            [np.asarray(on_cpu(one)) for one in _several(Y)],
            [on_cpu(g) for g in found],
            [device_name(g) for g in found],
            findings,
        )

    def substitutes(
        self, values: Sequence[Any], cotangents: Sequence[Any]
    ) -> list[tuple[Fault, list[Any]]]:
        """Run the backward on saved tuples in which arrays of equal shape are exchanged."""
        inputs = self.placed(values)
        Y, saved = self.compute(inputs)
        if not isinstance(saved, tuple):
            return []
        dY = upstream_of(Y, cotangents)
        needs = tuple(slot.checked for slot in self.slots)
        found = []
        for fault, other in _exchanged(saved, Y, inputs, [slot.name for slot in self.slots]):
            try:
                with np.errstate(all="ignore"):
                    gradients = self.derive(dY, other, inputs, needs)
            except Exception:  # a backward may refuse what was never saved for it
                continue
            found.append((fault, [on_cpu(g) for g in gradients]))
        return found


class FormulaProblem(PairProblem):
    """A formula: the numeric side is its reference, the analytic side what the registry chooses."""

    def __init__(self, formula: Formula, inputs: Sequence[Any], options: dict[str, Any]) -> None:
        if formula.backward is None:
            raise ConfigurationError(f"the formula {formula.name} has no backward to check")
        try:
            inspect.signature(formula.forward).bind(*inputs, **options)
        except TypeError as error:
            raise ConfigurationError(
                f"the formula {formula.name} takes {', '.join(formula.inputs)} and the options "
                f"{', '.join(formula.options) or '(none)'}: {error}"
            ) from error
        super().__init__(
            formula.forward, formula.backward, inputs, options, formula.inputs,
            formula.differentiable,
        )  # fmt: skip
        if formula.variadic:
            for index, slot in enumerate(self.slots):
                slot.name = f"{formula.inputs[0]}[{index}]"
        self.formula = formula
        self.name = formula.name
        self.analytic = formula.analytic
        self.views = formula.aliases
        self.reference = True
        if isinstance(formula.kinks, str):
            self.remark = formula.kinks
        else:
            self.kinks = formula.kinks_at(options)

    def compute(self, inputs: Sequence[Any]) -> tuple[Any, Any]:
        """Run the forward that the registry chooses."""
        self._style = "saved"
        return registry.forward(self.formula, *inputs, **self.options)

    def derive(self, dY: Any, saved: Any, inputs: Sequence[Any], needs: tuple[bool, ...]) -> Any:
        """Run the backward that the registry chooses."""
        found = registry.backward(self.formula, dY, saved, needs)
        return [
            gradient if gradient is None else unbroadcast(gradient, value)
            for gradient, value in zip(found, inputs, strict=False)
        ]


def _several(Y: Any) -> tuple[Any, ...]:
    """Return the outputs of a forward, of which a formula may have several."""
    return Y if isinstance(Y, tuple) else (Y,)


def upstream_of(Y: Any, cotangents: Sequence[Any]) -> Any:
    """Return the gradients of the outputs: None for those that are not of floats."""
    found = [
        None if cotangent is None else _like(one, cotangent)
        for one, cotangent in zip(_several(Y), cotangents, strict=True)
    ]
    return tuple(found) if isinstance(Y, tuple) else found[0]


def _items(saved: Any) -> list[tuple[Any, Any]]:
    """Return what a forward saved, in a tuple, a list, a dictionary or alone, by its index."""
    if isinstance(saved, dict):
        return list(saved.items())
    return list(enumerate(saved if isinstance(saved, (tuple, list)) else [saved]))


def in_options64(options: dict[str, Any]) -> dict[str, Any]:
    """Return options with every floating array on the CPU in float64."""
    return {key: in_float64(on_cpu(value)) for key, value in options.items()}


def unbroadcast(gradient: Any, value: Any) -> Any:
    """Sum over what broadcasting repeated, as the tape does for formulas that broadcast."""
    shape = tuple(getattr(value, "shape", ()))
    if tuple(gradient.shape) == shape:
        return gradient
    try:
        return registry.forward(SUM_TO, gradient, shape=shape)[0]
    except ShapeError:
        return gradient


def _placed(value: Any, like: Any) -> Any:
    """Return a copy of a NumPy array in the library, dtype and device of another."""
    xp = array_namespace(like)
    return xp.asarray(np.asarray(value), dtype=like.dtype, device=like.device, copy=True)


def _like(Y: Any, cotangent: Any) -> Any:
    if not is_array(Y):
        return np.asarray(cotangent, dtype=np.asarray(Y).dtype)
    return _placed(cotangent, Y)


def _parameter_names(function: Callable[..., Any], count: int) -> list[str]:
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return [f"input {i}" for i in range(count)]
    names = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return (names + [f"input {i}" for i in range(len(names), count)])[:count]


def _positional(function: Callable[..., Any]) -> tuple[int, int]:
    """Return how many arguments a function takes by position, at least and at most."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return 0, 99
    places = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    least = sum(p.default is p.empty for p in places)
    more = any(p.kind is p.VAR_POSITIONAL for p in parameters)
    return least, 99 if more else len(places)


def _third(function: Callable[..., Any]) -> str | None:
    """Return the name of a function's third argument by position; None for *args."""
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return None
    named = len(parameters) > 2 and parameters[2].kind is not inspect.Parameter.VAR_POSITIONAL
    return parameters[2].name if named else None


OUTPUT = "the output"


def _exchanged(
    saved: tuple[Any, ...], Y: Any, inputs: Sequence[Any], names: Sequence[str]
) -> list[tuple[Fault, tuple[Any, ...]]]:
    """Return saved tuples in which an array was exchanged for another of its shape."""
    fields = getattr(saved, "_fields", tuple(f"saved[{i}]" for i in range(len(saved))))
    rebuild = getattr(type(saved), "_make", tuple)
    known = [*((OUTPUT, one) for one in _several(Y)), *zip(names, inputs, strict=True)]
    found = []
    for i, held in enumerate(saved):
        if not is_array(held):
            continue
        source = next((name for name, array in known if _same(array, held)), fields[i])
        for name, array in known:
            if is_array(array) and array.shape == held.shape and not _same(array, held):
                other = rebuild([*saved[:i], array, *saved[i + 1 :]])
                kind = Kind.WRONG_ARRAY
                if name is OUTPUT:
                    kind = Kind.NOT_AT_OUTPUT
                elif source is OUTPUT:
                    kind = Kind.AT_OUTPUT
                found.append((Fault(kind, name=source, needed=name), other))
    for i, j in itertools.combinations(range(len(saved)), 2):
        if is_array(saved[i]) and is_array(saved[j]) and saved[i].shape == saved[j].shape:
            other = list(saved)
            other[i], other[j] = other[j], other[i]
            fault = Fault(Kind.SAVED_EXCHANGED, name=fields[i], needed=fields[j])
            found.append((fault, rebuild(other)))
    return found


def _same(a: Any, b: Any) -> bool:
    if a is b:
        return True
    if not (is_array(a) and is_array(b)) or a.shape != b.shape or a.dtype != b.dtype:
        return False
    return bits(on_cpu(a)) == bits(on_cpu(b))
