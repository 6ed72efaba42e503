"""Elementwise formulas: one body each, from which every implementation comes.

A body is an expression in the words of ``nnscratch.array.maths``, arithmetic, comparisons and
numbers. On arrays it is the reference; ``nnscratch.kernels.elementwise`` makes of the same text
the loops of the CPU and the CUDA C++ of the GPU::

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
from collections import namedtuple
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nnscratch.formulas.checks import NOTHING, need_broadcast, need_floats, plain
from nnscratch.formulas.formula import Formula, formula
from nnscratch.formulas.live import LiveFloat, LiveInt

Body = Callable[..., Any]
_LIVE = (LiveFloat, LiveInt)


@dataclass(frozen=True, eq=False)
class Pointwise:
    """The bodies of an elementwise formula.

    Attributes:
        forward: the body of the formula itself.
        backward: for each differentiable input the body of its derivative.
        saved: the names of what the forward saves: inputs, "Y", options, in this order.
        takes: for each derivative the places in ``saved`` of what it takes behind dY.
        inputs: the names of the inputs.
        options: the options and their defaults.
        truth: whether the result is a bool, as a comparison's.
        kind: the type of what the forward saves.
    """

    forward: Body
    backward: Mapping[str, Body]
    saved: tuple[str, ...]
    takes: Mapping[str, tuple[int, ...]]
    inputs: tuple[str, ...]
    options: Mapping[str, Any]
    truth: bool
    kind: Any

    def keep(self, inputs: Sequence[Any], Y: Any, options: Mapping[str, Any]) -> Any:
        """Return what a forward saves."""
        if not self.saved:
            return NOTHING
        known = {**self.options, **options, **dict(zip(self.inputs, inputs, strict=True)), "Y": Y}
        return self.kind(*[known[name] for name in self.saved])


def unchanged(dY: Any) -> Any:
    """Return dA = dY: the very same array, not a copy."""
    return dY


def elementwise(
    forward: Body,
    backward: Mapping[str, Body] | None = None,
    *,
    floats: bool = True,
    truth: bool = False,
    check: Callable[..., None] | None = None,
    **says: Any,
) -> Formula:
    """Make a formula of bodies and enter it under its name.

    Args:
        forward: the body, which takes the inputs by position and the options by keyword.
        backward: for each differentiable input the body of its derivative.
        floats: whether the inputs have to be floating-point numbers of one dtype.
        truth: whether the result is a bool.
        check: raises where the inputs do not fit, beyond floats and broadcasting.
        says: what ``formula`` takes: equation, gradients, shapes, source, kinks, ...

    >>> import numpy as np
    >>> from nnscratch.formulas import SILU
    >>> SILU.pointwise.saved
    ('X',)
    >>> SILU.backward(np.ones(1), SILU.forward(np.zeros(1))[1], (True,))
    (array([0.5]),)
    """
    backward = dict(backward or {})
    parameters = inspect.signature(forward).parameters
    inputs = tuple(n for n, p in parameters.items() if p.kind is not p.KEYWORD_ONLY)
    defaults = {n: p.default for n, p in parameters.items() if p.kind is p.KEYWORD_ONLY}
    wanted = {n: tuple(inspect.signature(body).parameters)[1:] for n, body in backward.items()}
    named = {n for names in wanted.values() for n in names}
    saved = tuple(n for n in (*inputs, "Y", *defaults) if n in named)
    takes = {n: tuple(saved.index(one) for one in names) for n, names in wanted.items()}
    name = forward.__name__.removesuffix("_forward")
    kind = _saved(name, saved)
    words = Pointwise(forward, backward, saved, takes, inputs, defaults, truth, kind)
    made = formula(
        _forward_on_arrays(name, words, floats, check),
        _backward_on_arrays(words) if backward else None,
        aliases=unchanged in backward.values(),
        **says,
    )
    return made.with_pointwise(words)


def _forward_on_arrays(
    name: str, words: Pointwise, floats: bool, check: Callable[..., None] | None
) -> Callable[..., Any]:
    """Return the reference: the body on arrays, with its checks and what it saves."""
    body, inputs, defaults = words.forward, words.inputs, words.options
    # Most save one thing, and no option: the quick way.
    only = words.saved[0] if len(words.saved) == 1 and not defaults else None
    place = inputs.index(only) if only in inputs else -1

    @functools.wraps(body)
    def forward(*given: Any, **options: Any) -> Any:
        if floats:
            need_floats(name, **dict(zip(inputs, given, strict=True)))
        if len(given) > 1:
            need_broadcast(name, *given)
            given = tuple([plain(one) for one in given])
        if defaults:
            options = {n: plain(options.get(n, value)) for n, value in defaults.items()}
        if check is not None:
            check(*given)
        Y = body(*given, **options)
        if only is not None:
            return Y, words.kind(Y if place < 0 else given[place])
        return Y, words.keep(given, Y, options)

    return forward


def _backward_on_arrays(words: Pointwise) -> Callable[..., Any]:
    """Return the reference of the derivatives, one for each input."""
    rows = tuple((words.backward.get(n), words.takes.get(n, ())) for n in words.inputs)
    keywords = {
        body: [n for n, p in inspect.signature(body).parameters.items() if p.kind is p.KEYWORD_ONLY]
        for body in words.backward.values()
    }

    def backward(dY: Any, saved: Any, needs: tuple[bool, ...]) -> tuple[Any, ...]:
        found: list[Any] = []
        for need, (body, places) in zip(needs, rows, strict=True):
            if not need or body is None:
                found.append(None)
                continue
            taken = [saved[place] for place in places]
            options = keywords[body]
            if options:
                first = len(taken) - len(options)
                taken, rest = taken[:first], dict(zip(options, taken[first:], strict=True))
                found.append(body(dY, *taken, **rest))
            else:
                found.append(body(dY, *taken))
        return tuple(found)

    # The derivative of the first input is the one to read.
    return functools.wraps(next(iter(words.backward.values())))(backward)


def _saved(name: str, fields: tuple[str, ...]) -> Any:
    """Return the type of what a formula saves: a tuple with names."""
    title = "".join(part.capitalize() for part in name.split("_"))
    made: Any = namedtuple(f"{title}Saved", fields)  # type: ignore[misc]
    made.__doc__ = f"What the backward of ``{name}`` needs."
    return made
