"""``gradgradcheck``: are the derivatives of these gradients right?

A gradient is a function like any other: of the inputs, and of the cotangents that it starts from.
So the second derivatives are checked as first derivatives of that function, by the same checker.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from nnscratch.array import is_complex
from nnscratch.array.dtypes import is_inexact
from nnscratch.autograd import grad
from nnscratch.autograd.gradcheck import refuse_bfloat16
from nnscratch.errors import ConfigurationError, GradientError
from nnscratch.formulas import FORMULAS, SUM_TO, Formula, registry
from nnscratch.tensors import Tensor, apply, enable_grad
from nnscratch.tensors.anomaly import anomaly
from nnscratch.tensors.ops import view_as_complex
from nnscratch.verify.gradients.checking import (
    GradcheckError,
    check_problems,
    is_torch,
    listed,
    problems_of,
)
from nnscratch.verify.gradients.measurement import random_cotangents
from nnscratch.verify.gradients.problem import Array, Problem, first_outputs, output_name, paired
from nnscratch.verify.gradients.report import Report
from nnscratch.verify.gradients.tensors import TensorProblem, flat_tensors


@np.errstate(all="ignore")  # steps may leave a function's domain
def gradgradcheck(
    target: Any,
    inputs: Any,
    grad_outputs: Any = None,
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
    """Compare derivatives of gradients with numeric ones, and say right, wrong or cannot tell.

    The first gradients are taken as they are (``gradcheck`` checks them); what is compared are
    their derivatives by the inputs, the parameters and the cotangents.

    Args:
        target: a formula or its name, a ``nnscratch.autograd.Function``, a function of tensors, a
            module, or ``(model, loss)``.
        inputs: a list or tuple of them, or a single array.
        grad_outputs: a cotangent for each floating output, of its shape; random ones if not given.
        loss: as for ``gradcheck``, like all that follow.
        options: keyword arguments for the target.
        parameters: tensors that a function reaches by itself.
        modes: for a module: "train", "eval" or both.
        check: names of the inputs and parameters whose gradients are differentiated.
        method: how numeric derivatives are taken.
        limit: tensors with more elements are checked along random directions.
        resolution: the share of a gradient's size that an error must reach to be seen.
        seed: of the cotangents and the random directions.

    Returns:
        A report that is true if the second derivatives are right.

    Raises:
        ConfigurationError: if the target is none of these, or an option makes no sense for it.
        GradientError: if there is no output, nothing depends on an input, or a formula has no
            second derivative.

    >>> import numpy as np
    >>> print(gradgradcheck("tanh", [np.linspace(-1, 1, 5)]).verdict)
    right
    """
    made = second_problems(
        target, inputs, grad_outputs, loss, options, parameters, modes, check, seed
    )
    return check_problems(made, None, method, limit, resolution, seed)


def second_problems(
    target: Any,
    inputs: Any,
    grad_outputs: Any = None,
    loss: Any = None,
    options: Mapping[str, Any] | None = None,
    parameters: Mapping[str, Tensor] | Sequence[Tensor] | None = None,
    modes: Sequence[str] = ("train", "eval"),
    check: Sequence[str] | None = None,
    seed: int = 0,
) -> list[Problem]:
    """Return the problems of the first gradients of a target, one for each mode of a module.

    Raises:
        ConfigurationError: if the target is none of those of ``gradgradcheck``, or an input, where
            none are named, is of bfloat16.
    """
    given = listed(inputs)
    if check is None:
        refuse_bfloat16("gradgradcheck", given)
    function, own = target, dict(options or {})
    if isinstance(function, str) and function in FORMULAS:
        function = FORMULAS[function]
    formula = function if isinstance(function, Formula) else None
    if formula is not None:
        check = check or _differentiable(formula, given)
        function = _of_tensors(formula)
    pair = isinstance(function, tuple) and not hasattr(function[0], "parameters")
    if pair or is_torch(function, given):
        raise ConfigurationError(
            "gradgradcheck takes a formula, an autograd Function, a function of tensors, a module "
            "or (model, loss): what a backward on arrays returns has no derivative"
        )
    problems = problems_of(function, given, loss, own, parameters, modes, check)
    second: list[Problem] = []
    for problem in problems:
        assert isinstance(problem, TensorProblem)
        second.append(_second(problem, grad_outputs, seed, formula))
    return second


def assert_second_derivatives(target: Any, inputs: Any, **settings: Any) -> Report:
    """Raise unless ``gradgradcheck`` says that second derivatives are right; for tests.

    Raises:
        GradcheckError: with the report as its text. It is an AssertionError.

    >>> import numpy as np
    >>> assert_second_derivatives("exp", [np.zeros(2)]).verdict.value
    'right'
    """
    report = gradgradcheck(target, inputs, **settings)
    if not report:
        raise GradcheckError(report)
    return report


def _differentiable(formula: Formula, inputs: Sequence[Any]) -> list[str]:
    """Return what a problem calls the inputs that a formula has a gradient for."""
    able = formula.differentiable * (len(inputs) if formula.variadic else 1)
    names = ["input"] if len(inputs) == 1 else [f"input {i}" for i in range(len(inputs))]
    values = [getattr(one, "array", one) for one in inputs]
    return [
        name
        for name, can, value in zip(names, able, values, strict=False)
        if can and np.asarray(value).ndim >= 0 and not isinstance(value, (bool, int, float))
    ]


def _of_tensors(formula: Formula) -> Any:
    def function(*inputs: Any, **options: Any) -> Any:
        return apply(formula, *inputs, **options)

    function.__name__ = formula.name
    return function


class _FirstGradients(TensorProblem):
    """The first gradients of another problem.

    Attributes:
        recorded: whether a call records how gradients are computed, to differentiate them. Where
            they are measured only their values are wanted, which come in half the time without.
        formula: the formula whose gradients they are, and for each of its inputs whether its
            gradient is among them; None if they are those of another function.
    """

    recorded = True
    formula: tuple[Formula, tuple[bool, ...]] | None = None

    def evaluate(self, values: Sequence[Any]) -> list[Array]:
        """Compute the gradients of float64 inputs on the CPU."""
        found = None if self.formula is None else self._of_formula(*self.formula, values)
        if found is not None:
            return found
        self.recorded = False
        try:
            return super().evaluate(values)
        finally:
            self.recorded = True

    def _of_formula(
        self, formula: Formula, needs: tuple[bool, ...], values: Sequence[Any]
    ) -> list[Array] | None:
        """Compute them by the formula's forward and backward, on arrays; or return None.

        A graph of this one call computes the same, but takes several times as long to make and to
        walk. What is more than the two calls is left to it: casts, and complex numbers.
        """
        inputs, cotangents = values[: len(needs)], values[len(needs) :]
        if anomaly.enabled or any(
            isinstance(v, np.ndarray) and v.dtype.kind == "c" for v in values
        ):
            return None
        with registry.use_kernels("off"):
            Y, saved = registry.forward(formula, *inputs, **self.options)
            outputs = Y if formula.outputs else (Y,)
            floats = [y for y in outputs if is_inexact(y)]
            if [_form(y) for y in floats] != [_form(v) for v in cotangents]:
                return None
            given = iter(cotangents)
            dY = tuple([next(given) if is_inexact(y) else None for y in outputs])
            found = registry.backward(formula, dY if formula.outputs else dY[0], saved, needs)
            made = []
            for dX, X in zip(found, inputs, strict=False):
                if dX is None:
                    continue
                if dX.dtype != X.dtype:
                    return None
                if dX.shape != X.shape:
                    dX = registry.forward(SUM_TO, dX, shape=X.shape)[0]
                made.append(np.array(dX))
        return made


def _form(array: Any) -> tuple[Any, Any]:
    return array.shape, array.dtype


def _second(
    problem: TensorProblem, grad_outputs: Any, seed: int, formula: Formula | None
) -> TensorProblem:
    """Return the problem of the first gradients of a problem, a formula's or another function's."""
    outputs = first_outputs(problem)
    rng = np.random.default_rng(seed)
    vectors = [v for v in random_cotangents(outputs, rng) if v is not None]
    if grad_outputs is not None:
        chosen = [paired(np.asarray(getattr(v, "array", v))) for v in listed(grad_outputs)]
        shapes = [v.shape for v in chosen]
        if shapes != [v.shape for v in vectors]:
            raise ConfigurationError(
                f"{problem.name}: expected grad_outputs of shapes {[v.shape for v in vectors]}, "
                f"one for each floating output, got {shapes}"
            )
        vectors = [v.astype(np.float64) for v in chosen]
    kinds = {t.array.dtype for t in problem.tensors if isinstance(t, Tensor)}
    kinds |= {p.array.dtype for p in problem.parameters.values()}
    floats = [np.empty(0, str(kind).rpartition(".")[2]).real.dtype for kind in kinds]
    dtype = next((one for one in floats if one.kind == "f"), np.dtype("float64"))
    like = next((t.array for t in problem.tensors if isinstance(t, Tensor)), None)
    placed = [Tensor(v.astype(dtype)) for v in vectors]
    if like is not None:
        placed = [v.to(Tensor(like).device) for v in placed]
    count = len(problem.tensors)
    checked = [slot.checked for slot in problem.slots]

    def first(*items: Any, **options: Any) -> list[Any]:
        with enable_grad():
            xs = [_asking(x) if ask else x for x, ask in zip(items[:count], checked, strict=False)]
            ys = [y for y in flat_tensors(problem.function(*xs, **options)) if is_inexact(y.array)]
            held = [*xs, *problem.parameters.values()]
            wanted = [x for x, ask in zip(held, checked, strict=True) if ask]
            pairs = [(y, v) for y, v in zip(ys, items[count:], strict=True) if y.requires_grad]
            if not pairs:
                raise GradientError(
                    f"{problem.name}: no output depends on an input or parameter that asks for a "
                    "gradient, so there is nothing to check"
                )
            found = grad(
                [y for y, _ in pairs],
                wanted,
                [_cotangent(y, v) for y, v in pairs],
                create_graph=made.recorded,
                allow_unused=True,
            )
            return [one for one in found if one is not None]

    made = _FirstGradients(
        first,
        [*problem.tensors, *placed],
        problem.options,
        problem.parameters,
        problem.buffers,
        problem.modules,
        f"the gradient of {problem.name}",
        problem.training,
    )
    paired_up = any(isinstance(t, Tensor) and is_complex(t.array) for t in problem.tensors)
    if formula is not None and formula.backward and not (paired_up or problem.parameters):
        able = formula.differentiable * (count if formula.variadic else 1)
        able += (False,) * (count - len(able))
        needs = tuple([can and ask for can, ask in zip(able, checked[:count], strict=False)])
        made.formula = (formula, needs) if any(needs) else None
    for index, slot in enumerate(made.slots):
        if count <= index < count + len(placed):
            slot.name = f"the cotangent of {output_name(index - count, len(placed))}"
        else:
            slot.checked = checked[index if index < count else index - len(placed)]
    for slot, old in zip(made.slots, problem.slots[:count], strict=False):
        slot.name = old.name
    return made


def _cotangent(y: Any, v: Any) -> Any:
    """Return a cotangent in an output's dtype; of complex numbers it is given in pairs."""
    return view_as_complex(v).to(y.dtype) if is_complex(y.array) else v.to(y.dtype)


def _asking(x: Any) -> Any:
    return x if x.requires_grad else x.detach().requires_grad_()
