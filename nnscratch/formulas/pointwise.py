"""Elementwise formulas: one body each, from which every implementation comes.

A body is an expression in the words of ``nnscratch.array.maths``, arithmetic, comparisons and
numbers. On arrays it is the reference; ``nnscratch.kernels`` makes of the same text the loops of
the CPU and the CUDA C++ of the GPU::

    def silu_forward(X):
        return X * logistic(X)

    def silu_backward(dY, X):
        S = logistic(X)
        return dY * (S * (1 + X * (1 - S)))

    SILU = elementwise(silu_forward, {"X": silu_backward}, equation=..., gradients=...)

A derivative takes dY and whatever it is written in, by name: inputs, the output ``Y``, options.
That is what the forward saves. Options are keyword-only. The inputs broadcast; gradients are left
in the shape of the output, and the tape takes each back to its input's shape.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nnscratch.errors import ConfigurationError
from nnscratch.formulas.checks import NOTHING, need_broadcast
from nnscratch.formulas.formula import Formula, Public, follow, formula
from nnscratch.formulas.saved import Saved
from nnscratch.formulas.written import lazily, parameters, written

Body = Callable[..., Any]

REQUIRED = inspect.Parameter.empty
"""The default of an option that has none."""


@dataclass(frozen=True, eq=False)
class Pointwise:
    """The bodies of an elementwise formula.

    Attributes:
        name: the name of the formula.
        forward: the body of the formula itself.
        backward: for each differentiable input the body of its derivative.
        saved: the names of what the forward saves: inputs, "Y", options, in this order.
        takes: for each derivative the places in ``saved`` of what it takes behind dY.
        inputs: the names of the inputs.
        options: the options and their defaults, ``REQUIRED`` of those that have none.
        truth: whether the result is a bool, as a comparison's.
        loops: whether kernels make loops of it; without, the reference is all there is.
        need: raises where an option makes no sense, None where every number does.
    """

    name: str
    forward: Body
    backward: Mapping[str, Body]
    saved: tuple[str, ...]
    takes: Mapping[str, tuple[int, ...]]
    inputs: tuple[str, ...]
    options: Mapping[str, Any]
    truth: bool
    loops: bool = True
    need: Callable[..., None] | None = None

    def senseless(self, options: Mapping[str, Any]) -> str | None:
        """Return what is wrong with the options, for a kernel to leave them to the reference."""
        if self.need is None:
            return None
        try:
            self.need(**{**self.options, **options})
        except ConfigurationError as error:
            return str(error)
        return None

    def keep(self, inputs: Sequence[Any], Y: Any, options: Mapping[str, Any]) -> Any:
        """Return what a forward saves."""
        if not self.saved:
            return NOTHING
        found = []
        for name, place in self._sources:
            if place is not None:
                found.append(inputs[place])
            else:
                found.append(Y if name == "Y" else options.get(name, self.options.get(name)))
        return tuple.__new__(self.kind, found)  # as the class would, without a call in between

    @functools.cached_property
    def kind(self) -> Any:
        """The type of what the forward saves."""
        return saved_type(self.name, self.saved)

    @functools.cached_property
    def _sources(self) -> list[tuple[str, int | None]]:
        """For each name in ``saved`` which input it is, None for the others."""
        places = {name: place for place, name in enumerate(self.inputs)}
        return [(name, places.get(name)) for name in self.saved]


def taken_by(body: Body) -> tuple[str, ...]:
    """Return the names of all that a body takes, its inputs before its options."""
    inputs, _, options, _ = parameters(body)
    return (*inputs, *options)


def unchanged(dY: Any) -> Any:
    """Return dA = dY: the very same array, not a copy."""
    return dY


def elementwise(
    forward: Body,
    backward: Mapping[str, Body] | None = None,
    *,
    floats: bool = True,
    truth: bool = False,
    loops: bool = True,
    check: Callable[..., None] | None = None,
    need: Callable[..., None] | None = None,
    **says: Any,
) -> Formula:
    """Make a formula of bodies and enter it under its name.

    Args:
        forward: the body, which takes the inputs by position and the options by keyword.
        backward: for each differentiable input the body of its derivative.
        floats: whether the inputs have to be floating-point numbers of one dtype.
        truth: whether the result is a bool.
        loops: whether kernels make loops of it. A function that is rare, or that a compiler only
            has as a call of the C library, is as quick on whole arrays.
        check: raises where the inputs do not fit, beyond floats and broadcasting.
        need: raises a ``ConfigurationError`` where an option makes no sense; it takes all of them
            by name.
        says: what ``formula`` takes: equation, gradients, shapes, source, kinks, ...

    >>> import numpy as np
    >>> from nnscratch.formulas import SILU
    >>> SILU.pointwise.saved
    ('X',)
    >>> SILU.backward(np.ones(1), SILU.forward(np.zeros(1))[1], (True,))
    (array([0.5]),)
    """
    backward = dict(backward or {})
    inputs, _, names, known = parameters(forward)
    defaults = {one: known.get(one, REQUIRED) for one in names}
    wanted = {n: taken_by(body)[1:] for n, body in backward.items()}
    named = {n for names in wanted.values() for n in names}
    saved = tuple(n for n in (*inputs, "Y", *defaults) if n in named)
    takes = {n: tuple(saved.index(one) for one in names) for n, names in wanted.items()}
    name = forward.__name__.removesuffix("_forward")
    words = Pointwise(name, forward, backward, saved, takes, inputs, defaults, truth, loops, need)
    return formula(
        lazily(lambda: _forward_on_arrays(name, words, check), forward),
        lazily(lambda: _backward_on_arrays(words), next(iter(backward.values())))
        if backward
        else None,
        aliases=unchanged in backward.values(),
        floats=inputs if floats else (),
        pointwise=words,
        **says,
    )


FUSABLE: dict[str, tuple[Formula, tuple[str, ...]]] = {}
"""The activations that can be one with the linear layer before them, by name, with their options.

They have at most two of these, with defaults, and save one array and these.
"""


def activation(
    forward: Body,
    backward: Body,
    *,
    equation: str,
    slope: str,
    module: str = "",
    inplace: bool = False,
    by_hand: tuple[str, ...] = (),
    torch: str = "",
    variants: Mapping[str, Mapping[str, Any]] | None = None,
    bends: tuple[float, ...] = (),
    **says: Any,
) -> Formula:
    r"""Make a formula of an activation, from which all that goes with one is derived.

    That is its function in ``nn.functional`` and its module in ``nn``, loops of their own and those
    joined with a linear layer, its cases, its comparison with PyTorch, its page, and the choice on
    the command line. A file of your own that calls it has the same once it is imported.

    Args:
        forward: the body, of X and options with defaults.
        backward: the body of dX, of dY and what it is written in: X, Y, options.
        equation: the forward in LaTeX.
        slope: f' in LaTeX, by which dY is multiplied.
        module: the name of the class in ``nn``.
        inplace, by_hand, torch, variants, bends: as in ``Public``.
        says: what else ``elementwise`` and ``formula`` take: need, source, kinks, analytic.

    >>> from nnscratch.formulas import FORMULAS, SILU
    >>> SILU.public.module, SILU.gradients["X"]
    ('SiLU', '\\frac{\\partial L}{\\partial Y} \\odot \\sigma(X) (1 + X (1 - \\sigma(X)))')
    """
    function = forward.__name__.removesuffix("_forward")
    return elementwise(
        forward,
        {"X": backward},
        equation=equation,
        gradients={"X": rf"\frac{{\partial L}}{{\partial Y}} \odot {slope}"},
        shapes="X (any) -> Y (same)",
        public=Public(
            kind="activation",
            function=function,
            module=module,
            inplace=inplace,
            by_hand=by_hand,
            torch=torch or f"nn.functional.{function}",
            variants=dict(variants or {}),
            bends=bends,
        ),
        **says,
    )


def _fuse(made: Formula) -> None:
    """Enter an activation among those that are one with a linear layer, if it can be."""
    if made.public is None or made.public.kind != "activation" or made.pointwise is None:
        return
    words: Pointwise = made.pointwise
    few = len(words.options) <= 2 and REQUIRED not in words.options.values()
    if few and len(words.saved) == 1 + len(words.options) and words.saved[0] in ("X", "Y"):
        FUSABLE[made.name] = made, tuple(words.options)


follow(_fuse)


def _forward_on_arrays(
    name: str, words: Pointwise, check: Callable[..., None] | None
) -> Callable[..., Any]:
    """Return the reference: the body on arrays, with what it checks and what it saves.

    Its text is made here, with names and without loops: it runs at every eager call.
    """
    inputs, options = ", ".join(words.inputs), list(words.options)
    named = "".join(f", {one}={one}" for one in options)
    head = "".join(
        f", {one}" if value is REQUIRED else f", {one}={one}"
        for one, value in words.options.items()
    )
    lines = [f"def forward({inputs}{', *' if options else ''}{head}):"]
    if len(words.inputs) == 2:
        A, B = words.inputs
        quick = f"type({A}) is ndarray and type({B}) is ndarray and {A}.shape == {B}.shape"
        lines += [f"    if not ({quick}):", f"        need_broadcast(NAME, {inputs})"]
    elif len(words.inputs) > 2:
        lines.append(f"    need_broadcast(NAME, {inputs})")
    if check is not None:
        lines.append(f"    check({inputs})")
    if words.need is not None:
        lines.append(f"    need({', '.join(f'{one}={one}' for one in options)})")
    lines.append(f"    Y = body({inputs}{named})")
    # What KIND(...) would make, without a call in between that looks for names.
    kept = f"NEW(KIND, ({', '.join(words.saved)},))" if words.saved else "NOTHING"
    lines.append(f"    return Y, {kept}")
    scope: dict[str, Any] = {
        **{"NAME": name, "NEW": tuple.__new__, "KIND": words.kind, "NOTHING": NOTHING},
        "need_broadcast": need_broadcast,
        **{"ndarray": np.ndarray, "check": check, "need": words.need, "body": words.forward},
        **words.options,
    }
    return functools.wraps(words.forward)(written("forward", lines, scope))


def _backward_on_arrays(words: Pointwise) -> Callable[..., Any]:
    """Return the reference of the derivatives, one for each input."""
    scope: dict[str, Any] = {}
    found = []
    for place, name in enumerate(words.inputs):
        body = words.backward.get(name)
        if body is None:
            found.append("None")
            continue
        scope[f"body{place}"] = body
        taken = ["dY"]
        for at in words.takes[name]:
            keyword = f"{words.saved[at]}=" if words.saved[at] in words.options else ""
            taken.append(f"{keyword}saved[{at}]")
        found.append(f"body{place}({', '.join(taken)}) if needs[{place}] else None")
    lines = ["def backward(dY, saved, needs):", f"    return ({', '.join(found)},)"]
    # The derivative of the first input is the one to read.
    first = next(iter(words.backward.values()))
    return functools.wraps(first)(written("backward", lines, scope))


@functools.cache
def saved_type(name: str, fields: tuple[str, ...]) -> Any:
    """Return the type of what a formula saves: a tuple with names.

    >>> saved_type("mse", ("Y", "T", "reduction")).__name__
    'MseSaved'
    """
    title = "".join(part.capitalize() for part in name.split("_"))
    says = f"What the backward of ``{name}`` needs."
    return type(
        f"{title}Saved", (Saved,), {"__annotations__": dict.fromkeys(fields, Any), "__doc__": says}
    )
