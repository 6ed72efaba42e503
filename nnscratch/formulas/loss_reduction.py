"""What all losses share: the reduction of losses to one number, and its derivative.

A loss of each entry by itself is made by ``loss`` of one body and a body for each derivative::

    def mse_forward(Y, T):
        return (Y - T) * (Y - T)

    def mse_backward(dL, Y, T):
        return dL * (2.0 * (Y - T))

    MSE = loss(mse_forward, {"Y": mse_backward}, module="MSELoss", equation=..., gradients=...)
"""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable, Mapping
from typing import Any

from nnscratch.array import array_namespace
from nnscratch.errors import ConfigurationError, ShapeError
from nnscratch.formulas.formula import Formula, Public, formula
from nnscratch.formulas.pointwise import saved_type, taken_by
from nnscratch.formulas.written import parameters

REDUCTIONS = ("mean", "sum", "none")
USUAL_ARGUMENTS = ("input", "target", "size_average", "reduce", "reduction")


def need_reduction(where: str, reduction: str) -> None:
    """Check a reduction.

    Raises:
        ConfigurationError: if there is none of that name.
    """
    if reduction not in REDUCTIONS:
        raise ConfigurationError(
            f"{where}: reduction is one of {', '.join(REDUCTIONS)}, got {reduction!r}"
        )


def reduce_losses(where: str, xp: Any, L: Any, reduction: str) -> Any:
    """Return the mean (NaN of nothing), the sum or the losses themselves.

    Raises:
        ConfigurationError: if the reduction is none of these.
    """
    if reduction == "none":
        return L
    need_reduction(where, reduction)
    total = xp.sum(L)
    return total / math.prod(L.shape) if reduction == "mean" else total


SAVED: dict[str, Any] = {}
"""The types of what losses save that are made by ``loss``, by name."""

# What errors call the inputs of a loss.
PAIR = {"Y": "the input", "T": "the target"}


def spread(dY: Any, reduction: str, count: int) -> Any:
    """Return the gradient of each of ``count`` losses, given that of what they were reduced to."""
    return dY / count if reduction == "mean" else dY


def need_same_shape(where: str, Y: Any, T: Any, what: str = "target") -> None:
    """Check that the prediction and the target have one shape.

    Raises:
        ShapeError: saying what to do, also where the two would broadcast by accident.
    """
    y, t = tuple(Y.shape), tuple(T.shape)
    if y != t:
        mend = f"give both the shape {y}"
        if math.prod(y) == math.prod(t):
            mend = f"they would broadcast by accident; reshape the {what}: {what}.reshape{y}"
        raise ShapeError(f"{where}: expected a {what} of shape {y} like the input, got {t}; {mend}")


def loss(
    forward: Callable[..., Any],
    backward: Mapping[str, Callable[..., Any]],
    *,
    equation: str,
    gradients: Mapping[str, str],
    module: str = "",
    function: str = "",
    arguments: tuple[str, ...] = USUAL_ARGUMENTS,
    by_hand: tuple[str, ...] = (),
    torch: str = "",
    task: str = "",
    weighted_mean: str = "weights",
    variants: Mapping[str, Mapping[str, Any]] | None = None,
    domains: Mapping[str, str] | None = None,
    check: Callable[..., None] | None = None,
    floats: tuple[str, ...] | Mapping[str, str] | None = None,
    **says: Any,
) -> Formula:
    r"""Make a formula of a loss, from which all that goes with one is derived.

    That is the reduction, the function in ``nn.functional`` and the module in ``nn`` with PyTorch's
    arguments, its cases, its comparison with PyTorch, its page, and, if it has a ``task``, the name
    for ``fit`` and the command line. A file of your own that calls it has the same once it is
    imported.

    Args:
        forward: the body: the loss of each entry, of inputs of one shape and options.
        backward: for each differentiable input the body of its derivative, of dL (that of each
            loss) and what it is written in: inputs and options.
        equation: the loss of an entry in LaTeX.
        gradients: its derivative for each differentiable input.
        module: the name of the class in ``nn``.
        function: its name in ``nn.functional``: the formula's and "_loss" unless said otherwise.
        arguments, by_hand, torch, task, weighted_mean, variants, domains: as in ``Public``.
        check: raises where an option makes no sense; it takes all of them by name.
        floats: what ``formula`` takes; all inputs unless said otherwise.
        says: what else ``formula`` takes: source, kinks, analytic.

    >>> import numpy as np
    >>> from nnscratch.formulas import MSE
    >>> Y, T = np.array([1.0, 3.0]), np.array([0.0, 0.0])
    >>> float(MSE.forward(Y, T)[0]), MSE.forward(Y, T, reduction="none")[0]
    (5.0, array([1., 9.]))
    """
    name = forward.__name__.removesuffix("_forward")
    inputs, _, options, _ = parameters(forward)
    wanted = {n: taken_by(body)[1:] for n, body in backward.items()}
    named = {n for names in wanted.values() for n in names}
    saved = tuple(n for n in (*inputs, *options) if n in named or n == inputs[0])
    kind = SAVED[name] = saved_type(name, (*saved, "reduction"))

    @functools.wraps(forward)
    def reduced(*arrays: Any, reduction: str = "mean", **given: Any) -> tuple[Any, Any]:
        first = arrays[0]
        for word, one in zip(words[1:], arrays[1:], strict=True):
            need_same_shape(name, first, one, word)
        if check is not None:
            check(**given)
        L = reduce_losses(name, array_namespace(*arrays), forward(*arrays, **given), reduction)
        known = {**dict(zip(inputs, arrays, strict=True)), **given}
        return L, kind(*[known[one] for one in saved], reduction)

    def spread_back(dY: Any, kept: Any, needs: tuple[bool, ...]) -> tuple[Any, ...]:
        known = dict(zip((*saved, "reduction"), kept, strict=True))
        dL = spread(dY, known["reduction"], math.prod(known[inputs[0]].shape))
        found = []
        for one, need in zip(inputs, needs, strict=True):
            given = [known[word] for word in wanted.get(one, ()) if word in inputs]
            more = {word: known[word] for word in wanted.get(one, ()) if word in options}
            found.append(backward[one](dL, *given, **more) if need and one in backward else None)
        return tuple(found)

    words = tuple(word for word in arguments if word not in _OLD and word not in options)
    own = inspect.signature(forward)
    last = inspect.Parameter("reduction", _KEYWORD, default="mean", annotation="str")
    signature = inspect.Signature([*own.parameters.values(), last])
    reduced.__signature__ = signature  # type: ignore[attr-defined]
    words = words[: len(inputs)]
    function = function or f"{name}_loss"
    first = inputs[0]
    return formula(
        reduced,
        functools.wraps(next(iter(backward.values())))(spread_back),
        equation=rf"L = \frac{{1}}{{n}} \sum_i {equation}",
        gradients={one: rf"\frac{{1}}{{n}} {slope}" for one, slope in gradients.items()},
        shapes=f"{' and '.join(inputs)} (any, the same) -> L (), or as {first} without reduction",
        floats=dict(zip(inputs, (f"the {word}" for word in words), strict=True))
        if floats is None
        else floats,
        public=Public(
            kind="loss",
            function=function,
            module=module,
            by_hand=by_hand,
            torch=torch or f"nn.functional.{function}",
            variants=dict(variants or {}),
            arguments=arguments,
            task=task,
            weighted_mean=weighted_mean,
            domains=dict(domains or {}),
        ),
        **says,
    )


_OLD = ("size_average", "reduce", "reduction")
_KEYWORD = inspect.Parameter.KEYWORD_ONLY
