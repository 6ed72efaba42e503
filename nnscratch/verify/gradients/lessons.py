"""Homework: the user writes a derivative, and gets hints on what is wrong, but not the answer.

    check = homework("tanh", lambda dY, Y: dY * (1 - Y))
    print(check)            # a grade and a hint
    print(check.hint(2))    # a clearer one

As a context manager the derivative takes the formula's place, so that a network trains with it
(step by step: a compiled step keeps the kernels that it was recorded with):

    with homework("tanh", my_backward):
        loss.backward()
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, Self

import numpy as np

from nnscratch.array import is_array
from nnscratch.errors import ConfigurationError, NNScratchError, ShapeError
from nnscratch.formulas import FORMULAS, Formula, registry
from nnscratch.formulas.cases import cases
from nnscratch.verify.gradients.checker import Checker
from nnscratch.verify.gradients.elements import Verdict, combined
from nnscratch.verify.gradients.hints import hints_for
from nnscratch.verify.gradients.hygiene import linearity_findings
from nnscratch.verify.gradients.measurement import CheckSettings
from nnscratch.verify.gradients.pairs import PairProblem, unbroadcast
from nnscratch.verify.gradients.report import Report

STARRED = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


class Exercise(PairProblem):
    """A formula with a learner's backward.

    Where the formula itself leaves the sum over repeated entries to the tape, the learner may too.
    """

    def __init__(
        self,
        formula: Formula,
        backward: Callable[..., Any],
        values: list[Any],
        options: dict[str, Any],
    ) -> None:
        super().__init__(
            formula.forward, backward, values, options, formula.inputs, formula.differentiable
        )
        self.name = formula.name
        self.views = True
        assert formula.backward is not None
        Y, saved = formula.forward(*values, **options)
        ones = tuple(map(np.ones_like, Y)) if formula.outputs else np.ones_like(Y)
        own = formula.backward(ones, saved, tuple(slot.checked for slot in self.slots))
        self._loose = [
            gradient is not None and gradient.shape != np.shape(value)
            for gradient, value in zip(own, values, strict=True)
        ]

    def derive(self, dY: Any, saved: Any, inputs: Sequence[Any], needs: tuple[bool, ...]) -> Any:
        """Run the learner's backward."""
        found = super().derive(dY, saved, inputs, needs)
        if len(found) != len(inputs):
            return found
        return [
            unbroadcast(gradient, value) if loose and is_array(gradient) else gradient
            for gradient, value, loose in zip(found, inputs, self._loose, strict=True)
        ]


class Homework:
    """A learner's derivative of a formula, and what the checker says of it.

    Attributes:
        formula: the formula.
        report: the full report of the worst case, for teachers: it shows the right numbers.
        points: from 0 to 100.
        passed: whether it is right in every case.
    """

    def __init__(self, formula: Formula, backward: Callable[..., Any], seed: int = 0) -> None:
        self.formula = formula
        self.backward = adapted(formula, backward)
        self._stack = ExitStack()
        self.error, self._failed = "", 0
        self.reports: list[Report] = []
        self._check(seed)
        right = sum(r.verdict is Verdict.RIGHT for r in self.reports)
        self.passed = not self.error and bool(self.reports) and right == len(self.reports)
        self.points = _points(self.reports, self._failed)
        self.report = next(
            (r for r in self.reports if r.verdict is not Verdict.RIGHT),
            self.reports[0] if self.reports else None,
        )

    @np.errstate(all="ignore")
    def _check(self, seed: int) -> None:
        for values, options in small_cases(self.formula):
            problem = Exercise(self.formula, self.backward, values, options)
            report = Report(self.formula.name, Verdict.RIGHT, [], [])
            try:
                checker = Checker(problem, CheckSettings(seed=seed))
                report.verdict = checker.check()
                extra = linearity_findings(problem, checker.run, checker.cotangents)
            except Exception as error:  # a learner's code may raise anything
                self._failed += 1
                self.error = self.error or f"{_shapes(problem)}: {_words(error)}"
                continue
            report.tensors, report.findings = checker.tensors, [*checker.findings, *extra]
            faults = any(f.severity == "fault" for f in report.findings)
            report.verdict = combined([report.verdict, *([Verdict.WRONG] if faults else [])])
            self.reports.append(report)

    def hint(self, level: int = 1) -> str:
        """Return a hint; levels 1, 2 and 3 say more each, and none gives the formula away.

        Raises:
            ConfigurationError: for another level.
        """
        if level not in (1, 2, 3):
            raise ConfigurationError(f"hints have levels 1, 2 and 3, got {level}")
        if self.error:
            where = "" if self.reports else " yet"
            return f"It does not run{where} for {self.error}"
        if self.passed:
            return "It is right; there is nothing to hint at."
        assert self.report is not None
        return hints_for(self.formula, self.report)[level - 1]

    def __bool__(self) -> bool:
        return self.passed

    def __repr__(self) -> str:
        head = f"{self.formula.name}: {self.points} of 100 points"
        if self.passed:
            return f"{head}. Right: every gradient agrees with the numeric one."
        return f"{head}. {self.hint(1)}"

    # As a context manager.

    def __enter__(self) -> Self:
        self._stack.enter_context(registry.use_kernels("auto"))
        self._stack.enter_context(_implementing(self.formula.name, _Learner(self)))
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()


@contextmanager
def _implementing(name: str, implementation: Any) -> Iterator[None]:
    registry.implement(name, implementation)
    try:
        yield
    finally:
        registry._implementations[name].remove(implementation)


class _Learner:
    """An implementation whose forward is the reference and whose backward is the learner's."""

    library = "numpy"

    def __init__(self, work: Homework) -> None:
        self.name = "homework"
        self._work = work

    def refuses(
        self, direction: str, inputs: tuple[Any, ...], options: dict[str, Any]
    ) -> str | None:
        """Take everything."""
        return None

    def worthwhile(self, direction: str, inputs: tuple[Any, ...]) -> bool:
        """Always run."""
        return True

    def forward(self, *inputs: Any, **options: Any) -> Any:
        """Compute the reference forward."""
        return self._work.formula.forward(*inputs, **options)

    def backward(self, dY: Any, saved: Any, needs: tuple[bool, ...]) -> tuple[Any, ...]:
        """Compute the learner's backward."""
        found = self._work.backward(dY, saved, needs)
        return tuple(g if need else None for g, need in zip(found, needs, strict=True))

    def update(self, *inputs: Any, **options: Any) -> None:
        """No formula with a derivative updates state."""


def homework(formula: Formula | str, backward: Callable[..., Any], seed: int = 0) -> Homework:
    """Check a derivative that a learner wrote, and grade it with hints.

    Args:
        formula: a formula or its name.
        backward: the derivative. Its parameters are filled by their names: ``dY`` (the first may
            have another name), and any field of what the formula saves
            (``formula.forward(...)[1]._fields``), ``saved`` for all of them, ``needs``; others
            keep their defaults. It returns one gradient, or a tuple with one for each input.
        seed: of the random numbers.

    Returns:
        A grade: print it, ask it for a ``hint``, or use it as a context manager, in which the
        derivative takes part in training. It is true if the derivative is right.

    Raises:
        ConfigurationError: if there is no such formula, or it has no derivative, or a parameter
            has a name that nothing is known of.

    >>> homework("tanh", lambda dY, Y: dY * (1 - Y**2))
    tanh: 100 of 100 points. Right: every gradient agrees with the numeric one.
    >>> bool(homework("tanh", lambda dY, Y: dY * (1 - Y)))
    False
    """
    if isinstance(formula, str):
        if formula not in FORMULAS:
            raise ConfigurationError(f"no formula is named {formula!r}")
        formula = FORMULAS[formula]
    if formula.backward is None:
        raise ConfigurationError(f"the formula {formula.name} has no derivative")
    return Homework(formula, backward, seed)


def small_cases(formula: Formula) -> list[tuple[list[Any], dict[str, Any]]]:
    """Return inputs and options of a few small cases, of real numbers where there are some."""
    found: list[tuple[int, list[Any], dict[str, Any]]] = []
    of_complex: list[tuple[int, list[Any], dict[str, Any]]] = []
    for case in cases(formula.name):
        values = list(case.build())
        size = sum(np.size(v) for v in values if isinstance(v, np.ndarray))
        floats = [v for v in values if np.asarray(v).dtype.kind == "f"]
        if case.smooth and 4 <= size <= 300 and all(np.isfinite(v).all() for v in floats):
            some = any(np.iscomplexobj(value) for value in values)
            (of_complex if some else found).append((size, values, dict(case.options)))
    found = found or of_complex
    found.sort(key=lambda entry: -entry[0])
    return [(values, options) for _, values, options in found[:6]]


def adapted(formula: Formula, backward: Callable[..., Any]) -> Callable[..., tuple[Any, ...]]:
    """Return a learner's function as ``backward(dY, saved, needs)``.

    Raises:
        ConfigurationError: if a parameter has a name that nothing is known of.
    """
    if not callable(backward):
        raise ConfigurationError(f"the backward has to be a function, got {backward!r}")
    parameters = list(inspect.signature(backward).parameters.values())
    example = small_cases(formula)[0]
    fields = getattr(formula.forward(*example[0], **example[1])[1], "_fields", ())
    known = ("dY", "saved", "needs", *fields)
    first = parameters[0] if parameters else None
    if first is not None and first.name not in known and first.kind not in STARRED:
        parameters[0] = first.replace(name="dY")  # whatever it is called
    for p in parameters:
        if p.kind in STARRED or (p.name not in known and p.default is p.empty):
            raise ConfigurationError(
                f"what is {p.name!r}? The backward of {formula.name} can have dY, and any of "
                f"{', '.join(known[1:])}"
            )
    taken = [p for p in parameters if p.name in known]

    def called(dY: Any, saved: Any, needs: tuple[bool, ...]) -> tuple[Any, ...]:
        given = {"dY": dY, "saved": saved, "needs": needs}
        given |= {field: getattr(saved, field) for field in fields}
        placed = [p for p in taken if p is parameters[0] or p.kind is p.POSITIONAL_ONLY]
        named = {p.name: given[p.name] for p in taken if p not in placed}
        found = backward(*(given[p.name] for p in placed), **named)
        if not isinstance(found, (tuple, list)):
            found = (found,)
        if len(found) != len(formula.inputs) and not formula.variadic:
            raise ShapeError(
                f"expected {len(formula.inputs)} gradients, for {', '.join(formula.inputs)}; "
                f"got {len(found)}"
            )
        return tuple(found)

    return called


def _shapes(problem: PairProblem) -> str:
    return ", ".join(
        f"{slot.name} of shape {slot.value.shape}"
        for slot in problem.slots
        if isinstance(slot.value, np.ndarray)
    )


def _words(error: Exception) -> str:
    known = isinstance(error, NNScratchError)
    return str(error) if known else f"{type(error).__name__}: {error}"


def _points(reports: list[Report], failed: int) -> int:
    """Return 100 times the share of elements that are right, at most 90 unless all are.

    Cases in which it does not run count as wrong.
    """
    right = total = 0
    for report in reports:
        for tensor in report.tensors:
            count = len(tensor.elements) + len(tensor.kinks)
            right += count - len(tensor.wrong)
            total += count
    if not failed and all(report.verdict is Verdict.RIGHT for report in reports):
        return 100
    ran = len(reports) / max(len(reports) + failed, 1)
    return min(90, int(100 * ran * right / max(total, 1)))
