"""Losses made from formulas, as functions and as modules, with PyTorch's arguments.

A loss that is only its formula and a reduction is one entry in a file of ``nnscratch.formulas``,
by ``loss`` or by a formula with ``public=Public(kind="loss", ...)``; nothing is listed here.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from typing import Any

from nnscratch.array.named import NamedValues
from nnscratch.formulas import Formula, Public
from nnscratch.nn.derived import function_from, made_of, said_of, summary_of
from nnscratch.nn.reductions import Loss, loss_of, reduction_of, weighted
from nnscratch.tensors import Tensor

_OLD = ("size_average", "reduce")
_MISSING = inspect.Parameter.empty


class Argument(NamedValues):
    """An argument of a loss: what PyTorch calls it, its type, its default, and what it is.

    That is "input" (given at each call), "tensor" (an input that a module keeps), "option", "old"
    or "weight" (of each element, for the function alone).
    """

    name: str
    kind: str
    default: Any
    role: str


def losses(written_by: str = "") -> Iterator[tuple[Formula, Public]]:
    """Yield the losses, as ``made_of`` does."""
    return made_of("loss", written_by)


def arguments_of(made: Formula) -> list[Argument]:
    """Return the arguments of a loss in PyTorch's order.

    >>> from nnscratch.formulas import HUBER
    >>> [one.name for one in arguments_of(HUBER)], arguments_of(HUBER)[3].default
    (['input', 'target', 'reduction', 'delta', 'weight'], 1.0)
    """
    assert made.public is not None
    parameters = inspect.signature(made.forward).parameters
    inputs = iter(made.inputs)
    found = []
    for name in made.public.arguments:
        if name in made.options:
            kind = inspect.formatannotation(parameters[name].annotation).strip("'")
            found.append(Argument(name, kind, parameters[name].default, "option"))
        elif name in _OLD:
            found.append(Argument(name, "bool | None", None, "old"))
        else:
            own = next(inputs, None)
            default = None if own is None else parameters[own].default
            role = "weight" if own is None else "input" if default is _MISSING else "tensor"
            found.append(Argument(name, "Any", default, role))
    return found


def loss_function(made: Formula, module: str) -> Callable[..., Tensor]:
    """Return the function of a loss.

    Args:
        made: its formula.
        module: the name of the Python module that it will be found in.

    >>> from nnscratch.formulas import HUBER
    >>> loss_function(HUBER, __name__)([0.5], [0.0]).item()
    0.125
    """
    public = made.public
    assert public is not None
    given = arguments_of(made)
    scope: dict[str, Any] = {
        **{"FORMULA": made, "loss_of": loss_of, "reduction_of": reduction_of, "weighted": weighted},
        **{f"DEFAULT_{one.name}": one.default for one in given if one.default is not _MISSING},
    }
    head = [
        f"{one.name}: {one.kind}" + ("" if one.default is _MISSING else f" = DEFAULT_{one.name}")
        for one in given
    ]
    by_role = {role: [one.name for one in given if one.role == role] for role in _ROLES}
    arrays = [*by_role["input"], *by_role["tensor"]]
    passed = "".join(f", {name}={name}" for name in by_role["option"])
    body = []
    if by_role["old"]:
        body.append("reduction = reduction_of(size_average, reduce, reduction)")
    if by_role["weight"]:
        body.append(f"return weighted(FORMULA, {', '.join(arrays)}, weight{passed})")
    else:
        body.append(f"return loss_of(FORMULA, {', '.join(arrays)}{passed})")
    doc = _doc(made, given, f"nn.functional.{public.function}")
    return function_from(head, body, scope, module, public.function, doc)


_ROLES = ("input", "tensor", "option", "old", "weight")


def module_options(made: Formula) -> list[Argument]:
    """Return what the module of a loss takes when it is made.

    >>> from nnscratch.formulas import HUBER
    >>> [one.name for one in module_options(HUBER)]
    ['reduction', 'delta']
    """
    return [one for one in arguments_of(made) if one.role not in ("input", "weight")]


def loss_module(made: Formula, function: Callable[..., Tensor], module: str) -> type[Loss]:
    """Return the class of a loss, whose options are those of its function.

    >>> from nnscratch.formulas import HUBER
    >>> loss_module(HUBER, loss_function(HUBER, __name__), __name__)(delta=2.0)
    HuberLoss(delta=2.0)
    """
    public = made.public
    assert public is not None
    given = module_options(made)
    body = {"__module__": module, "__doc__": _doc(made, given, f"nn.{public.module}()")}
    tensors = tuple(one.name for one in given if one.role == "tensor")
    options: dict[str, Any] = {one.name: one.default for one in given}
    return type(public.module, (Loss,), body, function=function, tensors=tensors, **options)


def _doc(made: Formula, given: list[Argument], call: str) -> str:
    names = dict(zip([one.name for one in arguments_of(made)], made.inputs, strict=False))
    text = inspect.getdoc(made.forward) or ""
    lines = [summary_of(made).replace("Return ", "Compute "), "", f"$$\n{made.equation}\n$$", ""]
    lines.append("Args:")
    for name, _, default, role in given:
        if name == "reduction":
            meaning = '"mean", "sum" or "none"'
        elif role == "old":
            meaning = "PyTorch's word of old for the reduction, taken with a warning"
        elif role == "weight":
            meaning = "a number for each loss to multiply it by, or None"
        elif role == "input":
            meaning = f"{names[name]} of the equation"
        else:
            own = names.get(name, name) if role == "tensor" else name
            meaning = said_of(text, own, default if role == "option" else _MISSING)
        lines.append(f"    {name}: {meaning}.")
    lines += ["", "Raises:", "    ShapeError: if the shapes do not fit."]
    lines.append("    DTypeError: if a number that is predicted is no floating-point number.")
    if "(any, the same)" in made.shapes:
        ones = ", tensor([1.0, 1.0])" * (sum(one.role == "input" for one in arguments_of(made)) - 1)
        lines += ["", ">>> from nnscratch import nn, tensor"]
        lines += [f">>> {call}(tensor([0.5, 1.0]){ones}).shape", "()"]
    return "\n".join([*lines, ""])
