"""What a formula is: a pair of pure functions, and the mathematics of it as data.

The forward returns its output and a small named tuple of what the backward needs. The backward
takes ``dY`` first, then that tuple, and returns one gradient for each array input::

    forward(X, W, b)            -> Y, saved
    backward(dY, saved, needs)  -> dX, dW, db      # None where needs says nobody asked

Positional parameters of the forward are arrays (or None, or Python numbers), keyword-only ones are
options. A formula that updates state (an optimizer's step) has no backward: its forward returns the
new value of each input that it names in ``updates``, and changes none of them itself.

A formula may have several outputs, and names them. Its forward returns a tuple of them, and its
backward takes a tuple of their gradients, None for each that nobody asks for::

    forward(A)                         -> (V, M), saved
    backward((dV, dM), saved, needs)   -> (dA,)

What every formula would have to ask of its inputs is asked here, before its forward runs: that
those it names in ``floats`` are floating-point numbers of one dtype. Its options reach it as plain
numbers (``formulas.live``), and those of 16 bits as float32 (``formulas.widening``).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nnscratch.array.dtypes import HALVES
from nnscratch.formulas.case import Case
from nnscratch.formulas.checks import LIVE, need_floats, need_reals, plain, refuse_complex
from nnscratch.formulas.widening import (
    backward_in_single,
    in_single,
    is_brain,
    is_brain_or_complex,
    is_half,
    is_half_or_complex,
)
from nnscratch.formulas.written import lazily, parameters, resolved, written

Forward = Callable[..., Any]
Backward = Callable[..., tuple[Any, ...]]
Shapes = Sequence[tuple[int, ...] | None]
Flops = Callable[[Shapes, Sequence[tuple[int, ...]]], int]


@dataclass(frozen=True)
class Public:
    """What a formula is to users; ``nn``, the command line and the tests are made of it.

    Attributes:
        kind: "activation" or "loss".
        function: its name in ``nn.functional``, which is the formula's unless said otherwise.
        module: the name of its class in ``nn``, empty where it has none.
        inplace: whether both take ``inplace``, as PyTorch's do.
        by_hand: those of the two names that ``nn`` writes itself, for they are more than the
            formula.
        torch: where PyTorch has it, below ``torch``; ``nn.functional.`` and the function unless
            said otherwise.
        variants: options that are worth trying beside the defaults, by a name for each.
        bends: where it has a derivative that has none itself; tests keep away from there.
        arguments: of a loss its arguments in PyTorch's order: first its inputs by the names that
            PyTorch has for them, then options, ``size_average``, ``reduce`` and ``reduction``. A
            ``weight`` that is no input of the formula multiplies the losses.
        task: what a loss by name is for: "regression", "classification" or "binary"; empty for
            one that has to be made by whoever wants it.
        weighted_mean: what the mean of a loss is over if its elements have weights: "weights", for
            the sum over that of the weights, or "elements".
        domains: of a loss what its inputs hold in its cases, where these are not normal numbers:
            "positive", "unit" (from 0 to 1) or "signs" (1 and -1).
    """

    kind: str
    function: str
    module: str = ""
    inplace: bool = False
    by_hand: tuple[str, ...] = ()
    torch: str = ""
    variants: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    bends: tuple[float, ...] = ()
    arguments: tuple[str, ...] = ()
    task: str = ""
    weighted_mean: str = "weights"
    domains: Mapping[str, str] = field(default_factory=dict)


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
        kinks: values of the input at which it has no derivative, for elementwise formulas, or the
            names of options with such values ("lambd", "-lambd"); a sentence for the others; empty
            if it is smooth.
        analytic: whether the forward accepts complex numbers and is complex-differentiable, so
            that the complex-step method can check it.
        complexes: whether the forward accepts complex numbers though it is not analytic, such as
            their size, and what is refused for all other formulas: their order.
        updates: names of the inputs that the outputs replace, for formulas that update state.
        aliases: whether the output may share memory with an input, or a gradient with ``dY``
            (views, and sums whose gradient is ``dY`` itself); never write into one of these.
        moves: whether it only moves values or changes their dtype. All other formulas compute
            16-bit numbers in float32 (``formulas.widening``).
        variadic: whether it takes any number of arrays; ``inputs`` then names them all at once.
        outputs: the names of several outputs; empty where it has one.
        inputs: names of the array inputs, in order.
        options: names of the options.
        pointwise: the bodies of an elementwise formula, None for the others.
        update_body: of an update that computes each entry by itself its text, which becomes a
            compiled loop; None for the others.
        floats: names of the inputs that must be floating-point numbers of one dtype.
        public: what users know it by, None for one that they meet only inside something else.
        flops: the operations of a forward, a product and a sum one each, from the shapes of its
            inputs (None for one that is none) and of its outputs; None where they are one for each
            entry.
        derivation: the steps from the equation to the gradients, sentences with LaTeX between one
            or two dollar signs. The gradients end it, and are not repeated. Where there are no
            steps, those of an elementwise formula are read from its text
            (``inspect.derivations``).
        entries: for inputs whose gradient is written for one entry, the index of that entry: of
            ``X`` "n,c,j", where the gradient is that of X_{n,c,j}.
        cases: makes the cases that stand in its own file; one called "a lesson" is small enough to
            be worked out by hand. None where they follow from the formula, or stand in ``cases/``.
    """

    name: str
    forward: Forward
    backward: Backward | None
    equation: str
    gradients: Mapping[str, str]
    shapes: str
    source: str
    kinks: tuple[float | str, ...] | str = ()
    analytic: bool = False
    complexes: bool = False
    updates: tuple[str, ...] = ()
    aliases: bool = False
    moves: bool = False
    variadic: bool = False
    outputs: tuple[str, ...] = ()
    inputs: tuple[str, ...] = field(default=())
    options: tuple[str, ...] = field(default=())
    differentiable: tuple[bool, ...] = field(default=())
    pointwise: Any = None
    update_body: Forward | None = None
    floats: tuple[str, ...] = ()
    public: Public | None = None
    flops: Flops | None = None
    derivation: tuple[str, ...] = ()
    entries: Mapping[str, str] = field(default_factory=dict)
    cases: Callable[[], Sequence[Case]] | None = None

    def __repr__(self) -> str:
        return f"<formula {self.name}>"

    @property
    def family(self) -> str:
        """The file of ``nnscratch.formulas`` that it is written in."""
        return str(self.forward.__module__).rpartition(".")[2]

    @property
    def has_loops(self) -> bool:
        """Whether kernels make loops of its bodies."""
        return self.pointwise is not None and bool(self.pointwise.loops)

    def kinks_at(self, options: Mapping[str, Any] | None = None) -> tuple[float, ...]:
        """Return its kinks as numbers, with these options and the defaults of the others.

        Those that stand in a sentence, or at an option without a value, are left out.
        """
        if isinstance(self.kinks, str):
            return ()
        defaults = {} if self.pointwise is None else self.pointwise.options
        known = {**defaults, **(options or {})}
        found = []
        for kink in self.kinks:
            if not isinstance(kink, str):
                found.append(kink)
                continue
            value = plain(known.get(kink.removeprefix("-")))
            if isinstance(value, (int, float)):
                found.append(-float(value) if kink.startswith("-") else float(value))
        return tuple(found)

    def output_names(self, count: int) -> list[str]:
        """Return what so many outputs are called: Y, or their names, numbered where it is one."""
        if not self.outputs:
            return ["Y"]
        if len(self.outputs) == count:
            return list(self.outputs)
        return [f"{self.outputs[0]}[{index}]" for index in range(count)]


FORMULAS: dict[str, Formula] = {}
_followers: list[Callable[[Formula], None]] = []
_quietly: Callable[[Forward], Forward] = np.errstate(all="ignore")
_USUAL = frozenset({np.dtype("float32"), np.dtype("float64")})


def formula(
    forward: Forward,
    backward: Backward | None = None,
    *,
    equation: str,
    gradients: Mapping[str, str] | None = None,
    shapes: str,
    source: str,
    floats: Sequence[str] | Mapping[str, str] = (),
    outputs: tuple[str, ...] = (),
    kinks: tuple[float | str, ...] | str = (),
    analytic: bool = False,
    complexes: bool = False,
    updates: tuple[str, ...] = (),
    aliases: bool = False,
    moves: bool = False,
    pointwise: Any = None,
    elementwise: bool = False,
    public: Public | None = None,
    narrow: Forward | None = None,
    flops: Flops | None = None,
    derivation: tuple[str, ...] = (),
    entries: Mapping[str, str] | None = None,
    cases: Callable[[], Sequence[Case]] | None = None,
) -> Formula:
    """Make a formula of a forward and a backward function and enter it under its name.

    The name is that of the forward without ``_forward`` or ``_update``. Both functions compute by
    IEEE 754: an overflow is an infinity and 0/0 is NaN, and neither makes NumPy warn.

    Args:
        floats: the inputs that must be floating-point numbers of one dtype (a DTypeError names the
            one that is not); a mapping says what errors call them.
        outputs: the names of its outputs where it has several.
        elementwise: of an update, whether it computes each entry by itself, in the words of
            ``nnscratch.array.maths``.
        narrow: a forward for 16-bit numbers, where it need not widen all of its inputs.

    The rest is what ``Formula`` says.

    Raises:
        ValueError: if the name is taken, or gradients and backward do not belong together.
    """
    name = forward.__name__.removesuffix("_forward").removesuffix("_update")
    gradients = dict(gradients or {})
    inputs, variadic, options, _ = parameters(forward)
    entries = dict(entries or {})
    named = (*gradients, *updates, *floats, *entries)
    unknown = [key for key in named if key not in (*inputs, *variadic)]
    if unknown or (backward is None) == bool(gradients):
        raise ValueError(
            f"formula {name}: gradients are for {list(gradients)}, its inputs are {inputs}, and "
            f"its backward is {'missing' if backward is None else 'given'}"
        )
    if name in FORMULAS and FORMULAS[name].forward.__qualname__ != forward.__qualname__:
        raise ValueError(f"there is a formula {name} already")
    # A number may stand for an array in arithmetic, and where nothing is said of the inputs.
    numbers_too = pointwise is not None or not floats
    # A view stays one. Of float16 sums of two and updates are NumPy's own, each rounded once.
    views = aliases and pointwise is None
    halves = () if moves or views else ("bfloat16",) if aliases or updates else HALVES
    reals = not (analytic or complexes)
    places = tuple(map((inputs or variadic).index, updates))

    # Both are made when they are first called, which most are never, and settled from then on.
    def push() -> Forward:
        asked = _asked(name, resolved(forward), floats, halves, numbers_too, reals, narrow, places)
        object.__setattr__(made, "forward", _quietly(asked))
        return made.forward

    def pull() -> Backward:
        assert backward is not None
        own = resolved(backward)
        # That of a view may be a sum.
        object.__setattr__(made, "backward", _quietly(own if moves else backward_in_single(own)))
        assert made.backward is not None
        return made.backward

    made = Formula(
        name=name,
        forward=lazily(push, forward),
        backward=None if backward is None else lazily(pull, backward),
        equation=equation,
        gradients=gradients,
        shapes=shapes,
        source=source,
        kinks=kinks,
        analytic=analytic,
        complexes=complexes,
        updates=updates,
        aliases=aliases,
        moves=moves,
        variadic=bool(variadic),
        outputs=outputs,
        inputs=inputs or variadic,
        options=options,
        differentiable=tuple(key in gradients for key in inputs or variadic),
        pointwise=pointwise,
        update_body=forward if elementwise else None,
        floats=tuple(floats),
        public=public,
        flops=flops,
        derivation=derivation,
        entries=entries,
        cases=cases,
    )
    FORMULAS[name] = made
    for follower in _followers:
        follower(made)
    return made


def follow(follower: Callable[[Formula], None]) -> None:
    """Call a function with every formula: with those that there are, and with those to come.

    A formula of somebody else's, in a file that is imported later, is one like the others.
    """
    _followers.append(follower)
    for made in tuple(FORMULAS.values()):
        follower(made)


def _asked(
    name: str,
    forward: Forward,
    floats: Sequence[str] | Mapping[str, str],
    halves: Collection[str],
    numbers_too: bool,
    reals: bool,
    narrow: Forward | None,
    updates: tuple[int, ...],
) -> Forward:
    """Return a forward that asks of its inputs what is asked of all formulas.

    Its text is made here, with names and without loops: it runs at every eager call.
    """
    head, arrays, options, scope = _parameters(forward)
    passed = ", ".join([*arrays, *(f"{option}={option}" for option in options)])
    call = f"FORWARD({passed})"
    lines = [f"def {forward.__name__}({head}):"]
    several = len(arrays) > 1 and numbers_too
    for number in [*options, *(arrays if several else ())]:
        lines.append(f"    if type({number}) in LIVE: {number} = PLAIN({number})")
    words = dict(floats) if isinstance(floats, Mapping) else {one: one for one in floats}
    asked = ", ".join(f"{word!r}: {array}" for array, word in words.items())
    if arrays == [*words] and len(arrays) == 1:
        A = arrays[0]
        lines.append(f"    if type({A}) is ARRAY and {A}.dtype in USUAL: return {call}")
        lines.append(f"    NEED_FLOATS(NAME, **{{{asked}}})")
    elif words:
        lines.append(f"    kind = NEED_FLOATS(NAME, **{{{asked}}})")
        if halves:
            lines.append(f"    if kind not in HALVES: return {call}")
    elif halves and arrays:
        lines.append(f"    if not IS_ODD({', '.join(arrays)}): return {call}")
    if reals and not words and arrays:
        lines.append(f"    REFUSE(NAME, {', '.join(arrays)})")
    lines.append(f"    return WIDE({passed})" if halves else f"    return {call}")
    scope |= {"NAME": name, "LIVE": LIVE, "USUAL": _USUAL, "ARRAY": np.ndarray, "PLAIN": plain}
    scope |= {"FORWARD": forward, "WIDE": narrow or in_single(forward, updates)}
    odd = (is_half, is_half_or_complex) if "float16" in halves else (is_brain, is_brain_or_complex)
    scope |= {"HALVES": halves, "IS_ODD": odd[reals]}
    scope |= {"NEED_FLOATS": need_reals if reals else need_floats, "REFUSE": refuse_complex}
    return functools.wraps(forward)(written(forward.__name__, lines, scope))


def _parameters(forward: Forward) -> tuple[str, list[str], list[str], dict[str, Any]]:
    """Return the text of a forward's parameters, its inputs, its options, and their defaults."""
    inputs, variadic, options, defaults = parameters(forward)
    arrays = [*inputs, *(f"*{name}" for name in variadic)]
    star = ["*"] if options and not variadic else []
    head = [
        f"{name}=default_{name}" if name in defaults else name
        for name in (*arrays, *star, *options)
    ]
    scope = {f"default_{name}": value for name, value in defaults.items()}
    return ", ".join(head), arrays, list(options), scope
