"""Exercises: a formula with a learner's backward, whose parameters are filled by their names.

A learner may use every array of the formula by the name that it has in the equations, whether the
formula saves it or not: ``lambda dY, X: ...`` for tanh, whose own backward knows only its output.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from nnscratch.array import is_array
from nnscratch.errors import ConfigurationError, ShapeError
from nnscratch.formulas import Formula
from nnscratch.formulas.case import Case
from nnscratch.formulas.cases.names import Names, output_symbol
from nnscratch.verify.gradients.faults import Fault, Kind
from nnscratch.verify.gradients.pairs import PairProblem, unbroadcast, upstream_of
from nnscratch.verify.gradients.relatives import (
    along_other_axes,
    arrays_in,
    diagonal,
    masks_in,
    of_other_functions,
    transformed,
)

STARRED = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


class NotAnswered(Exception):
    """A learner's backward has not been written yet."""


def gives_loss(formula: Formula) -> bool:
    """Say whether a formula computes the loss L itself, whose gradient by itself is 1."""
    return not formula.outputs and output_symbol(formula) == "L"


class Answer:
    """A learner's function as ``backward(dY, kept, needs)``.

    Attributes:
        names: what it may use.
        taken: the names that it uses.

    Raises:
        ConfigurationError: if a parameter has a name that nothing is known of.
    """

    def __init__(self, names: Names, backward: Callable[..., Any]) -> None:
        formula = names.formula
        if not callable(backward):
            raise ConfigurationError(f"the backward has to be a function, got {backward!r}")
        self.names, self._backward = names, backward
        parameters = list(inspect.signature(backward).parameters.values())
        known = (*names.upstream, *names.others, "dY", "saved", "needs")
        first = parameters[0] if parameters else None
        if first is not None and first.name not in known and first.kind not in STARRED:
            parameters[0] = first.replace(name="dY")  # whatever it is called
        for p in parameters:
            if p.kind in STARRED or (p.name not in known and p.default is p.empty):
                raise ConfigurationError(
                    f"what is {p.name!r}? The backward of {formula.name} may use {names.words}; "
                    "saved, for all that the formula saves; and needs"
                )
        self._taken = [p for p in parameters if p.name in known]
        self._first = first is not None and parameters[0]
        self.taken = [p.name for p in self._taken]
        # In the formula's own form, or where no output is called Y, dY has them all.
        whole = {"saved", "needs"} & {p.name for p in self._taken} or "Y" not in names.outputs
        self._whole = bool(formula.outputs and whole)
        # Of a loss by itself dL is 1, and an answer may leave it out.
        self._scaled = gives_loss(formula) and not {"dY", *names.upstream} & set(self.taken)

    def found(self, dY: Any, kept: Any, needs: tuple[bool, ...]) -> tuple[Any, ...]:
        """Return what the learner's function returns, as a tuple.

        Raises:
            NotAnswered: if there is nothing but a stub yet.
        """
        names = self.names
        given = {**kept._asdict(), "saved": names.own(kept), "needs": needs}
        given |= {"dY": dY, **names.gradients(dY, kept)}
        if self._whole:
            given["dY"] = dY
        placed = [p for p in self._taken if p is self._first or p.kind is p.POSITIONAL_ONLY]
        named = {p.name: given[p.name] for p in self._taken if p not in placed}
        try:
            found = self._backward(*(given[p.name] for p in placed), **named)
        except NotImplementedError as error:
            raise NotAnswered from error
        found = tuple(found) if isinstance(found, (tuple, list)) else (found,)
        if all(gradient is None or gradient is ... for gradient in found):
            raise NotAnswered
        found = tuple(None if gradient is ... else gradient for gradient in found)
        return tuple(_times(dY, gradient) for gradient in found) if self._scaled else found

    def __call__(
        self, dY: Any, kept: Any, needs: tuple[bool, ...], asked: Sequence[int]
    ) -> tuple[Any, ...]:
        """Return one gradient for each input, None for those that the learner does not give.

        Raises:
            NotAnswered: if there is nothing but a stub yet.
            ShapeError: if the number of gradients is another one.
        """
        found = self.found(dY, kept, needs)
        formula = self.names.formula
        able = [place for place, can in enumerate(formula.differentiable) if can]
        for places in (range(len(needs)), asked, able):
            if len(found) == len(places):
                by_place = dict(zip(places, found, strict=True))
                return tuple(by_place.get(place) for place in range(len(needs)))
        inputs = formula.inputs
        wanted = ", ".join(inputs[min(place, len(inputs) - 1)] for place in asked)
        raise ShapeError(
            f"expected {len(asked)} gradient{'s' * (len(asked) != 1)}, for {wanted}; got "
            f"{len(found)}; for some of them alone, name them with of="
        )


def _times(dL: Any, gradient: Any) -> Any:
    """Return dL times a gradient: of losses that are not reduced, each times its own rows."""
    if not (is_array(gradient) or isinstance(gradient, (np.generic, float))):
        return gradient
    return dL[(..., *(None,) * (np.ndim(gradient) - dL.ndim))] * gradient


class Exercise(PairProblem):
    """A formula with a learner's backward at one case.

    Where the formula itself leaves the sum over repeated entries to the tape, the learner may too;
    and where it reduces, the gradient of an output that every entry gets alike may have the
    output's shape.

    Attributes:
        asked: the positions of the inputs whose gradients are checked.
    """

    def __init__(self, answer: Answer, case: Case, of: Sequence[str] = ()) -> None:
        names = answer.names
        formula = names.formula
        values = list(case.build())
        super().__init__(
            names.forward, formula.backward or answer, values, dict(case.options), formula.inputs,
            formula.differentiable,
        )  # fmt: skip
        self.name = formula.name
        self.views = True
        self.complete = names
        self.answer = answer
        for slot in self.slots:
            slot.checked = slot.checked and (not of or slot.name in of)
        self.asked = [place for place, slot in enumerate(self.slots) if slot.checked]
        assert formula.backward is not None
        Y, saved = formula.forward(*values, **case.options)
        ones = tuple(map(np.ones_like, Y)) if formula.outputs else np.ones_like(Y)
        own = formula.backward(ones, saved, tuple(slot.checked for slot in self.slots))
        self._loose = [
            gradient is not None and gradient.shape != np.shape(value)
            for gradient, value in zip(own, values, strict=True)
        ]
        self._output = () if formula.outputs else np.shape(Y)

    def given_alone(self) -> bool:
        """Say whether the learner gives one gradient where several are asked for."""
        if len(self.asked) < 2:
            return False
        Y, kept = self.compute(self.values())
        needs = tuple(slot.checked for slot in self.slots)
        try:
            return len(self.answer.found(np.ones_like(Y), kept, needs)) == 1
        except Exception:  # the check says what it is
            return False

    def derive(self, dY: Any, saved: Any, inputs: Sequence[Any], needs: tuple[bool, ...]) -> Any:
        """Run the learner's backward."""
        found = self.answer(dY, saved, needs, self.asked)
        kept: list[Any] = []
        for place, (gradient, value) in enumerate(zip(found, inputs, strict=True)):
            if place not in self.asked:
                kept.append(None)
                continue
            one = np.asarray(gradient) if isinstance(gradient, (np.generic, float)) else gradient
            if is_array(one):
                one = unbroadcast(one, value) if self._loose[place] else self.spread(one, value)
            kept.append(one)
        return kept

    def transforms(
        self, values: Sequence[Any], cotangents: Sequence[Any]
    ) -> list[tuple[Fault, list[Any]]]:
        """Run the learner's backward with functions of the arrays that it takes."""
        Y, kept = self.compute(values)
        found = []
        for fault, other in transformed(kept, self.answer.taken):
            try:
                gradients = self.derive(
                    upstream_of(Y, cotangents), other, values, tuple(s.checked for s in self.slots)
                )
            except Exception:  # it may refuse what was never saved for it
                continue
            found.append((fault, gradients))
        return found

    def relatives(self, slot: int, cotangents: Sequence[Any]) -> list[tuple[Fault, Any]]:
        """Return the gradients of other functions, along other axes, and of the diagonal."""
        formula, values = self.answer.names.formula, self.values()
        Y, saved = formula.forward(*values, **self.options)
        if formula.outputs or formula.variadic:
            return []
        dY = upstream_of(Y, cotangents)
        needs = tuple(place == slot for place in range(len(values)))
        found = [*of_other_functions(formula, values, slot, dY)]
        found += along_other_axes(formula, saved, slot, dY, needs, np.ndim(values[slot]))
        if np.shape(Y) == np.shape(values[slot]) and formula.pointwise is None:
            diagonals = diagonal(formula, saved, slot, dY, needs)
            found.append((Fault(Kind.DIAGONAL), diagonals))
        return found

    def masks(self, slot: int) -> list[tuple[Fault, Any]]:
        """Return the masks and labels among what has a name."""
        _, kept = self.compute(self.values())
        return list(masks_in(kept, np.shape(self.slots[slot].value)))

    def arrays(self, slot: int) -> list[tuple[str, Any]]:
        """Return what has a name and broadcasts to the shape of an input."""
        _, kept = self.compute(self.values())
        return list(arrays_in(kept, np.shape(self.slots[slot].value)))

    def spread(self, gradient: Any, value: Any) -> Any:
        """Repeat a gradient of the shape of an output that is smaller than its input."""
        shape = np.shape(value)
        reduces = np.prod(self._output) < np.prod(shape)
        if np.shape(gradient) != self._output or not reduces or np.shape(gradient) == shape:
            return gradient
        try:
            return np.broadcast_to(gradient, shape).copy()
        except ValueError:
            return gradient
