"""``gradcheck``: are these gradients right? For formulas, pairs, functions, modules, models."""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from nnscratch.autograd import Function
from nnscratch.autograd.gradcheck import refuse_bfloat16
from nnscratch.errors import ConfigurationError, NNScratchError
from nnscratch.formulas import Formula
from nnscratch.formulas.formula import FORMULAS
from nnscratch.nn.module import Module
from nnscratch.tensors import Tensor
from nnscratch.verify.gradients.checker import Checker
from nnscratch.verify.gradients.differences import METHODS
from nnscratch.verify.gradients.elements import Verdict, combined
from nnscratch.verify.gradients.hygiene import (
    agree,
    linearity_findings,
    needs_findings,
    outputs_findings,
)
from nnscratch.verify.gradients.measurement import CheckSettings
from nnscratch.verify.gradients.pairs import FormulaProblem, PairProblem
from nnscratch.verify.gradients.problem import Problem
from nnscratch.verify.gradients.report import Report
from nnscratch.verify.gradients.tensors import TensorProblem, module_problem


class GradcheckError(NNScratchError, AssertionError, RuntimeError):
    """A gradient that is not right; ``report`` has the details. In PyTorch it is a RuntimeError."""

    def __init__(self, report: Report) -> None:
        super().__init__(report.text())
        self.report = report


@np.errstate(all="ignore")  # steps may leave a function's domain
def gradcheck(
    target: Any,
    inputs: Any,
    *,
    loss: Any = None,
    options: Mapping[str, Any] | None = None,
    parameters: Mapping[str, Tensor] | Sequence[Tensor] | None = None,
    modes: Sequence[str] = ("train", "eval"),
    check: Sequence[str] | None = None,
    method: str = "auto",
    limit: int = 256,
    resolution: float | None = None,
    seed: int = 0,
) -> Report:
    """Compare hand-written gradients with numeric ones, and say right, wrong or cannot tell.

    The numeric side always runs in float64 on the CPU, whatever the dtype and device of the inputs.

    Args:
        target: a formula or its name; a pair ``(forward, backward)`` of functions of arrays; a
            function of tensors; a ``nnscratch.autograd.Function``; a module; ``(model, loss)``; or,
            with PyTorch installed, a ``torch.autograd.Function``, a module or function of PyTorch
            tensors. The forward of a pair returns ``Y, saved``, and its backward takes
            ``dY, saved`` (and ``needs``); or it returns ``Y`` alone, and the backward takes ``dY``
            and the inputs, or ``dY`` alone.
        inputs: a list or tuple of them, or a single array. For a model with its loss the last one
            is the target.
        loss: a loss for a model: what is checked is then ``loss(model(*inputs[:-1]), inputs[-1])``.
        options: keyword arguments for the target.
        parameters: for a function of tensors: tensors that it reaches by itself, by name or as a
            list.
        modes: for a module: "train", "eval" or both.
        check: names of the inputs and parameters to check; all with floats if not given.
        method: "auto" (complex step for analytic formulas, else five-point differences),
            "complex", "five-point" or "central".
        limit: tensors with more elements are checked along random directions, and by bisection
            where these disagree.
        resolution: the share of a gradient's size that an error must reach to be seen; where less
            can be measured, the answer is "cannot tell". By default 1e-4 for float64 and 1e-2 for
            float32.
        seed: of the cotangents and the random directions.

    Returns:
        A report that is true if the gradients are right.

    Raises:
        ConfigurationError: if the target is none of these, or an option makes no sense for it.
        GradientError: if there is no output, or nothing depends on an input.

    >>> import numpy as np
    >>> report = gradcheck("tanh", [np.linspace(-1, 1, 5)])
    >>> print(report.verdict)
    right
    >>> def double(x):
    ...     return 2 * x, ()
    >>> def wrong(dy, saved):
    ...     return -2 * dy
    >>> gradcheck((double, wrong), [np.ones(3)]).tensors[0].fault
    'sign: the gradient is the right one with the wrong sign'
    """
    problems = problems_of(
        target, listed(inputs), loss, dict(options or {}), parameters, modes, check
    )
    return check_problems(problems, check, method, limit, resolution, seed)


def check_problems(
    problems: Sequence[Problem],
    check: str | Sequence[str] | None,
    method: str = "auto",
    limit: int = 256,
    resolution: float | None = None,
    seed: int = 0,
    nondet_tol: float | None = None,
) -> Report:
    """Check a problem, or one for each mode of a module, and return one report.

    Raises:
        ConfigurationError: if an option makes no sense.
    """
    if method not in METHODS:
        raise ConfigurationError(f"method must be one of {', '.join(METHODS)}; got {method!r}")
    if resolution is not None and not resolution > 0:
        raise ConfigurationError(f"resolution must be more than 0, got {resolution}")
    settings = CheckSettings(method, limit, resolution, seed, nondet_tol=nondet_tol)
    started = time.perf_counter()
    report = Report(problems[0].name, Verdict.RIGHT, [], [], remark=problems[0].remark)
    verdicts = []
    before: Checker | None = None
    for problem in problems:
        _demand_something(problem, [check] if isinstance(check, str) else check)
        checker = Checker(problem, settings)
        if before is not None and _same(before, checker):
            continue  # eval mode computes the same as train mode, forward and backward
        before = checker
        verdicts.append(_checked(checker, report))
        report.evaluations += checker.numeric.evaluations
    report.verdict = combined(verdicts)
    report.seconds = time.perf_counter() - started
    return report


def _checked(checker: Checker, report: Report) -> Verdict:
    problem = checker.problem
    try:
        verdict = checker.check()
    finally:
        report.tensors += checker.tensors
    if hasattr(checker, "run") and verdict is not Verdict.CANNOT_TELL:
        extra = [
            *linearity_findings(problem, checker.run, checker.cotangents),
            *needs_findings(problem, checker.run, checker.cotangents),
            *outputs_findings(problem, checker.run, checker.cotangents),
        ]
        checker.findings += extra
        if any(f.severity == "fault" for f in extra):
            verdict = Verdict.WRONG
    seen = {(f.kind, f.where, f.text) for f in report.findings}
    report.findings += [f for f in checker.findings if (f.kind, f.where, f.text) not in seen]
    return verdict


def assert_gradients(target: Any, inputs: Any, **settings: Any) -> Report:
    """Raise unless ``gradcheck`` says that the gradients are right; for tests.

    Raises:
        GradcheckError: with the report as its text. It is an AssertionError.

    >>> import numpy as np
    >>> assert_gradients("exp", [np.zeros(2)]).verdict.value
    'right'
    """
    report = gradcheck(target, inputs, **settings)
    if not report:
        raise GradcheckError(report)
    return report


def listed(inputs: Any) -> list[Any]:
    """Return inputs as a list, one of them as a list of one."""
    if isinstance(inputs, (tuple, list)):
        return list(inputs)
    return [inputs]


def _demand_something(problem: Problem, check: Sequence[str] | None) -> None:
    names = ", ".join(f"{slot.name} ({_form(slot.value)})" for slot in problem.slots)
    able = {slot.name for slot in problem.slots if slot.checked}
    unable = [name for name in check or () if name not in able]
    if unable or not able:
        raise ConfigurationError(
            f"{problem.name}: nothing to check{' named ' if unable else ''}{', '.join(unable)}; "
            "expected an input that is an array of floats, or a parameter that asks for a "
            f"gradient, by its name if check= is given; got {names or 'no inputs'}"
            + _advice([slot.value for slot in problem.slots])
        )


def _form(value: Any) -> str:
    """Return the shape and dtype of an array, the type of anything else."""
    dtype = getattr(value, "dtype", None)
    return type(value).__name__ if dtype is None else f"{dtype} {tuple(value.shape)}"


def _advice(values: Sequence[Any]) -> str:
    """Say what to do with inputs that are numbers, but no arrays of floats."""
    kinds = {np.asarray(value).dtype.kind for value in values if not isinstance(value, str)}
    if "c" in kinds:
        return "; complex numbers are checked in functions of tensors and in an autograd Function"
    if "f" in kinds:
        return "; give a number as an array: np.array(3.0)"
    return "; integers have no gradient, give them as floats" if kinds & set("iu") else ""


def _same(before: Checker, checker: Checker) -> bool:
    """Say whether outputs and gradients are to the bit those of another mode."""
    if not hasattr(before, "run") or not agree(before.numeric.outputs, checker.numeric.outputs):
        return False
    run = checker.problem.run(checker.problem.values(), checker.cotangents)
    return agree(before.run.outputs, run.outputs) and agree(before.run.gradients, run.gradients)


def problems_of(
    target: Any,
    inputs: list[Any],
    loss: Any,
    options: dict[str, Any],
    parameters: Mapping[str, Tensor] | Sequence[Tensor] | None,
    modes: str | Sequence[str],
    check: str | Sequence[str] | None,
) -> list[Problem]:
    """Return the problems to check for a target: one, or one for each mode of a module.

    Raises:
        ConfigurationError: if the target is none of those of ``gradcheck``, or an input, where
            none are named, is of bfloat16.
    """
    modes = [modes] if isinstance(modes, str) else list(modes)
    check = [check] if isinstance(check, str) else check
    if check is None:
        refuse_bfloat16("gradcheck", inputs)
    if isinstance(target, tuple) and len(target) == 2 and isinstance(target[0], Module):
        target, loss = target
    if isinstance(target, str):
        if target not in FORMULAS:
            raise ConfigurationError(f"no formula is named {target!r}")
        target = FORMULAS[target]
    if isinstance(target, Module):
        unknown = [mode for mode in modes if mode not in ("train", "eval")]
        if unknown or not modes:
            raise ConfigurationError(f'modes are "train" and "eval", got {tuple(modes)}')
        return [
            module_problem(target, inputs, options, mode == "train", loss, check) for mode in modes
        ]
    if inspect.isclass(target) and issubclass(target, Function):
        target = target.apply
    if inspect.isclass(target) and not is_torch(target, []):
        raise ConfigurationError(f"gradcheck takes an instance, not the class {target.__name__}")
    problem: Problem
    if parameters is not None and not isinstance(parameters, Mapping):
        parameters = {f"parameter {i}": tensor for i, tensor in enumerate(parameters)}
    if isinstance(target, Formula):
        problem = FormulaProblem(target, inputs, options)
    elif is_torch(target, inputs):
        from nnscratch.verify.gradients.torch_targets import torch_problems

        return torch_problems(target, inputs, options, loss, modes, check)
    elif loss is not None:
        raise ConfigurationError("loss= is for a module; compute it in the function instead")
    elif isinstance(target, tuple) and len(target) == 2 and all(map(callable, target)):
        problem = PairProblem(target[0], target[1], inputs, options)
    elif isinstance(target, Callable):  # type: ignore[arg-type]
        problem = TensorProblem(target, inputs, options, parameters, checked=check)
    else:
        raise ConfigurationError(
            "gradcheck takes a formula, a pair (forward, backward), a function of tensors, a "
            f"module or (model, loss); got {type(target).__name__}"
        )
    if check is not None:
        for slot in problem.slots:
            slot.checked = slot.checked and slot.name in check
    return [problem]


def is_torch(target: Any, inputs: Sequence[Any]) -> bool:
    """Say whether PyTorch made the target or an input, without importing it."""
    first = target[0] if isinstance(target, tuple) and target else target
    classes = [*getattr(first, "__mro__", ()), *type(first).__mro__]
    classes += [cls for value in inputs for cls in type(value).__mro__]
    return any(str(getattr(cls, "__module__", "")).startswith("torch") for cls in classes)
