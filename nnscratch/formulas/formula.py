"""What a formula is: a pair of pure functions, and the mathematics of it as data.

The forward returns its output and a small named tuple of what the backward needs. The backward
takes ``dY`` first, then that tuple, and returns one gradient for each array input::

    forward(X, W, b)            -> Y, saved
    backward(dY, saved, needs)  -> dX, dW, db      # None where needs says nobody asked

Positional parameters of the forward are arrays (or None, or Python numbers), keyword-only ones are
options. A formula that updates state (an optimizer's step) has no backward: its forward returns the
new value of each input that it names in ``updates``, and changes none of them itself.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nnscratch.array.dtypes import cast

Forward = Callable[..., Any]
Backward = Callable[..., tuple[Any, ...]]


@dataclass(frozen=True, eq=False)
class Formula:
    """A formula: its two functions, and what the docs, the checker and ``explain`` read of it.

    Attributes:
        name: what the registry knows it by.
        forward: the forward function on raw arrays.
        backward: the hand-written derivative; None if the formula has none.
        equation: the forward in LaTeX.
        gradients: the derivative for each differentiable input, in LaTeX, by the input's name.
        shapes: shapes of inputs and outputs in words.
        source: the section of the document, or the paper, that it comes from.
        kinks: values of the input at which it has no derivative, for elementwise formulas, or a
            sentence for the others; empty if it is smooth.
        analytic: whether the forward accepts complex numbers and is complex-differentiable, so
            that the complex-step method can check it.
        updates: names of the inputs that the outputs replace, for formulas that update state.
        aliases: whether the output may share memory with an input, or a gradient with ``dY``
            (views, and sums whose gradient is ``dY`` itself); never write into one of these.
        moves: whether it only moves values or changes their dtype. All other formulas compute
            float16 in float32 and round once, at the end: a sum of 2,049 ones is not 2,048, and a
            sum of squares does not overflow where its root does not.
        variadic: whether it takes any number of arrays; ``inputs`` then names them all at once.
        inputs: names of the array inputs, in order.
        options: names of the options.
        pointwise: the bodies of an elementwise formula, None for the others.
    """

    name: str
    forward: Forward
    backward: Backward | None
    equation: str
    gradients: Mapping[str, str]
    shapes: str
    source: str
    kinks: tuple[float, ...] | str = ()
    analytic: bool = False
    updates: tuple[str, ...] = ()
    aliases: bool = False
    moves: bool = False
    variadic: bool = False
    inputs: tuple[str, ...] = field(default=())
    options: tuple[str, ...] = field(default=())
    differentiable: tuple[bool, ...] = field(default=())
    pointwise: Any = None

    def __repr__(self) -> str:
        return f"<formula {self.name}>"

    @property
    def family(self) -> str:
        """The file of ``nnscratch.formulas`` that it is written in."""
        return str(self.forward.__module__).rpartition(".")[2]


FORMULAS: dict[str, Formula] = {}
_quietly: Callable[[Forward], Forward] = np.errstate(all="ignore")
_HALF, _SINGLE = np.dtype("float16"), np.dtype("float32")


def formula(
    forward: Forward,
    backward: Backward | None = None,
    *,
    equation: str,
    gradients: Mapping[str, str] | None = None,
    shapes: str,
    source: str,
    kinks: tuple[float, ...] | str = (),
    analytic: bool = False,
    updates: tuple[str, ...] = (),
    aliases: bool = False,
    moves: bool = False,
    pointwise: Any = None,
) -> Formula:
    """Make a formula of a forward and a backward function and enter it under its name.

    The name is that of the forward without ``_forward`` or ``_update``. Both functions compute by
    IEEE 754: an overflow is an infinity and 0/0 is NaN, and neither makes NumPy warn.

    Raises:
        ValueError: if the name is taken, or gradients and backward do not belong together.
    """
    name = forward.__name__.removesuffix("_forward").removesuffix("_update")
    gradients = dict(gradients or {})
    parameters = inspect.signature(forward).parameters.values()
    inputs = tuple(p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD)
    variadic = tuple(p.name for p in parameters if p.kind is p.VAR_POSITIONAL)
    options = tuple(p.name for p in parameters if p.kind is p.KEYWORD_ONLY)
    unknown = [key for key in (*gradients, *updates) if key not in (*inputs, *variadic)]
    if unknown or (backward is None) == bool(gradients):
        raise ValueError(
            f"formula {name}: gradients are for {list(gradients)}, its inputs are {inputs}, and "
            f"its backward is {'missing' if backward is None else 'given'}"
        )
    if name in FORMULAS and FORMULAS[name].forward.__qualname__ != forward.__qualname__:
        raise ValueError(f"there is a formula {name} already")
    wide, wide_backward = forward, backward
    if not (moves or aliases or updates):
        wide = _forward_in_single(forward)
    if backward is not None and not moves:  # that of a view may be a sum
        wide_backward = _backward_in_single(backward)
    made = Formula(
        name=name,
        forward=_quietly(wide),
        backward=None if wide_backward is None else _quietly(wide_backward),
        equation=equation,
        gradients=gradients,
        shapes=shapes,
        source=source,
        kinks=kinks,
        analytic=analytic,
        updates=updates,
        aliases=aliases,
        moves=moves,
        variadic=bool(variadic),
        inputs=inputs or variadic,
        options=options,
        differentiable=tuple(key in gradients for key in inputs or variadic),
        pointwise=pointwise,
    )
    FORMULAS[name] = made
    return made


def _forward_in_single(forward: Forward) -> Forward:
    """Return a forward that computes float16 in float32; what it saves stays float32."""

    @functools.wraps(forward)
    def wide(*inputs: Any, **options: Any) -> Any:
        for one in inputs:
            if getattr(one, "dtype", None) is _HALF:
                break
        else:
            return forward(*inputs, **options)
        Y, saved = forward(*[_cast(one, _HALF, _SINGLE) for one in inputs], **options)
        return _cast(Y, _SINGLE, _HALF), saved

    return wide


def _backward_in_single(backward: Backward) -> Backward:
    """Return a backward for what ``_forward_in_single`` saved."""

    @functools.wraps(backward)
    def wide(dY: Any, saved: Any, needs: tuple[bool, ...]) -> tuple[Any, ...]:
        if getattr(dY, "dtype", None) is not _HALF:
            return backward(dY, saved, needs)
        gradients = backward(_cast(dY, _HALF, _SINGLE), saved, needs)
        return tuple([_cast(one, _SINGLE, _HALF) for one in gradients])

    return wide


def _cast(array: Any, old: Any, new: Any) -> Any:
    if getattr(array, "dtype", None) is not old:
        return array
    return array.astype(new) if hasattr(array, "astype") else cast(array, new)
