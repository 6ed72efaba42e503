"""Kernels declared by their signature: what stands there is the only list of their arguments.

    @kernel(cost=lambda count: 0.1 * count)
    def fill(Y: Floats, count: int, c: Number, tid, threads):
        '''Y = c.'''
        first, last = part(count, tid, threads, GRAIN)
        for i in range(first, last):
            Y[i] = c

    fill.emit(builder, "float32", Y=Y, count=Y.size, c=1.0)

An annotation says what an argument is in the text, and in which of the two buffers it travels (see
``kernel``). Arguments behind a ``*`` are compile-time options, integers or names; numbers and
functions that follow from them and from the dtype are the ``constants``. KIND is the dtype.

A file of kernels imports no Numba: what only compiled code has is named by ``language``, helpers
are marked by ``helper``, and both are looked up when a kernel that uses them is first compiled.
"""

from __future__ import annotations

import ast
import functools
import importlib
import inspect
import operator
import textwrap
import types
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from .kernel import Kernel, Layout

Floats = Any
"""Where the first number of an array of the kernel's dtype stands; None is given as 0."""
Doubles = Any
"""The same of float64."""
Integers = Any
"""The same of int64."""
Bytes = Any
"""The same of bytes, or of truth values."""
Address = int
"""An array as a plain address, for kernels that go over it by its strides in bytes."""
OptionalFloats = Any
"""Floats that may be missing: None, which the text asks for by ``given``."""
OptionalIntegers = Any
"""Integers that may be missing."""
Number = Any
"""A number that is rounded to the kernel's dtype; ``float`` is one in float64."""
Constant = Any
"""What follows from the dtype and the options, by the declaration's ``constants``."""

_POINTERS = {
    **{"Floats": "KIND", "OptionalFloats": "KIND"},
    **{"Doubles": "np.float64", "Integers": "np.int64", "Bytes": "np.uint8"},
    "OptionalIntegers": "np.int64",
}
_SHARE = ("tid", "threads")

Cost = Callable[..., float]
Constants = Callable[..., Mapping[str, Any]]

DECLARED: dict[str, Declared] = {}
"""Every kernel by its name."""


class Deferred:
    """A name in the text of kernels whose value takes Numba: it is made at its first use."""

    def __init__(self, make: Callable[[], Any]) -> None:
        """Remember how it is made."""
        self._make = make

    @functools.cached_property
    def value(self) -> Any:
        """What stands for it in compiled code."""
        return self._make()

    def __call__(self, *arguments: Any) -> Any:
        """Refuse: only compiled code can call it.

        Raises:
            TypeError: always.
        """
        raise TypeError("this is a word of kernels: only compiled code can call it")

    def __getitem__(self, key: Any) -> Any:
        """Refuse likewise.

        Raises:
            TypeError: always.
        """
        raise TypeError("this is a word of kernels: only compiled code can use it")


def helper(function: Callable[..., Any]) -> Any:
    """Mark a function that kernels call; it is compiled into each of them."""

    def make() -> Any:
        from numba import njit

        from .intrinsics import INLINE

        return njit(**INLINE)(in_scope(function, {}))

    return Deferred(make)


def in_scope(function: Callable[..., Any], constants: Mapping[str, Any]) -> Callable[..., Any]:
    """Return a function whose names mean what they do in compiled code."""
    given: Any = function
    scope = _scope(given.__code__, given.__globals__, constants)
    return types.FunctionType(given.__code__, scope, given.__name__)


def _scope(code: Any, names: Mapping[str, Any], constants: Mapping[str, Any]) -> dict[str, Any]:
    scope = {"__name__": names["__name__"]}
    for name in code.co_names:
        if name in constants or name in names:
            value = constants[name] if name in constants else names[name]
            scope[name] = value.value if isinstance(value, Deferred) else value
    return scope


class Declared:
    """A kernel as it is declared: its layout, and how an instruction of it is emitted."""

    def __init__(self, function: Callable[..., Any], cost: Cost, constants: Constants) -> None:
        """Read the signature.

        Raises:
            TypeError: if an argument's annotation is none that a kernel can have.
        """
        self.function, self._constants = function, constants
        self.name = function.__name__
        a: list[str] = []
        s: list[str] = []
        options: list[str] = []
        lines: list[str] = []
        self._many: set[str] = set()
        for name, parameter in inspect.signature(function).parameters.items():
            if name in _SHARE:
                continue
            kind = str(parameter.annotation)
            if parameter.kind is parameter.KEYWORD_ONLY:
                if kind != "Constant":
                    options.append(name)
            elif kind in _POINTERS:
                lines.append(f"{name} = pointer(a[{len(a)}], {_POINTERS[kind]})")
                a.append(name)
            elif kind in ("int", "Address"):
                lines.append(f"{name} = a[{len(a)}]")
                a.append(name)
            elif kind.startswith("tuple[int"):
                count = kind.count("int")
                words = ", ".join(f"a[{len(a) + k}]" for k in range(count))
                lines.append(f"{name} = ({words})")
                a += [f"{name}{k}" for k in range(count)]
                self._many.add(name)
            elif kind in ("Number", "float"):
                read = f"s[{len(s)}]"
                lines.append(f"{name} = {f'KIND({read})' if kind == 'Number' else read}")
                s.append(name)
            else:
                raise TypeError(f"kernel {self.name}: {name} is annotated as {kind!r}")
        self._unpacking = lines
        places = [a.index(name) for name in inspect.signature(cost).parameters]
        self.layout = Layout(
            self.name,
            tuple(a),
            tuple(s),
            tuple(options),
            inspect.cleandoc(function.__doc__ or ""),
            lambda given: cost(*[given[place] for place in places]),
            self.make,
        )
        self._take_a, self._take_s = _taken(a), _taken(s)
        self._count = len(a) + len(s)
        DECLARED[self.name] = self

    def place(self, name: str) -> int:
        """Return where an argument stands in ``a``."""
        return self.layout.a.index(name)

    def make(self, dtype: str, *options: int | str) -> Callable[..., None]:
        """Return the function of the two buffers that is to be compiled."""
        kind = getattr(np, dtype)
        given = dict(zip(self.layout.options, options, strict=True))
        constants = {**given, **self._constants(dtype, *options), "KIND": kind}
        code = _code(self.function, tuple(self._unpacking))
        names = {**self.function.__globals__, "np": np, "pointer": _POINTER}
        return types.FunctionType(code, _scope(code, names, constants), self.name)

    def kernel(self, dtype: str, *options: int | str) -> Kernel:
        """Return the kernel for a dtype and its compile-time options."""
        return kernel_of(self.name, dtype, *options)

    def emit(
        self, builder: Any, dtype: str, *options: int | str, flags: int = 0, **given: Any
    ) -> None:
        """Add an instruction: arrays, integers and numbers by the names of the signature.

        Raises:
            KeyError: if an argument is missing.
            TypeError: if one is too many.
        """
        builder.emit(*self.instruction(dtype, *options, **given), flags)

    def instruction(
        self, dtype: str, *options: int | str, **given: Any
    ) -> tuple[Kernel, tuple[Any, ...], tuple[Any, ...]]:
        """Return the kernel and the entries of its two buffers, as ``emit`` adds them.

        Raises:
            KeyError: if an argument is missing.
            TypeError: if one is too many.
        """
        for name in self._many:
            for k, value in enumerate(given.pop(name)):
                given[f"{name}{k}"] = value
        if len(given) > self._count:
            unknown = sorted({*given} - {*self.layout.a, *self.layout.s})
            raise TypeError(f"kernel {self.name}: it takes no {', '.join(unknown)}")
        kernel = kernel_of(self.name, dtype, *options)
        return kernel, self._take_a(given), self._take_s(given)


def _taken(names: Sequence[str]) -> Callable[[Mapping[str, Any]], tuple[Any, ...]]:
    """Return what takes several values out of a mapping: operator.itemgetter, for any number."""
    if len(names) > 1:
        return operator.itemgetter(*names)
    return lambda given: tuple([given[name] for name in names])


_POINTER = Deferred(lambda: importlib.import_module(f"{__package__}.intrinsics").pointer)


@functools.cache
def _code(function: Callable[..., Any], unpacking: tuple[str, ...]) -> Any:
    """Compile a kernel's text with its arguments taken out of the two buffers."""
    given: Any = function
    source, first = inspect.getsourcelines(function)
    module = ast.parse(textwrap.dedent("".join(source)))
    ast.increment_lineno(module, first - 1)
    (defined,) = module.body
    assert isinstance(defined, ast.FunctionDef)
    names = [ast.arg(name) for name in ("a", "s", *_SHARE)]
    defined.args = ast.arguments([], names, None, [], [], None, [])
    defined.decorator_list = []
    taken = ast.parse("\n".join(unpacking)).body
    for node in (*names, *(inner for one in taken for inner in ast.walk(one))):
        ast.copy_location(node, defined)
    defined.body[:0] = taken
    made = compile(ast.fix_missing_locations(module), given.__code__.co_filename, "exec")
    return next(item for item in made.co_consts if isinstance(item, types.CodeType))


def kernel(
    cost: Cost, constants: Constants = lambda dtype, *options: {}
) -> Callable[[Callable[..., Any]], Declared]:
    """Declare a kernel by a function's name, signature and text.

    ``Floats``, ``Doubles``, ``Integers``, ``Bytes``, ``Address``, ``OptionalFloats`` and
    ``OptionalIntegers`` are arrays, ``int`` an integer and ``tuple[int, int]`` several. ``Number``
    and ``float`` are numbers.

    Args:
        cost: nanoseconds on one thread in float32, from those arguments of ``a`` that it names.
        constants: names in the text that follow from the dtype and the options.
    """
    return lambda function: Declared(function, cost, constants)


@functools.cache
def kernel_of(name: str, dtype: str, *options: int | str) -> Kernel:
    """Return the kernel of that name for a dtype and its compile-time options.

    Raises:
        KeyError: if no such kernel is declared.
        ValueError: if the dtype or the number of options is wrong.
    """
    layout = DECLARED[name].layout
    if dtype not in ("float32", "float64"):
        raise ValueError(f"kernel {name}: dtype is float32 or float64, got {dtype}")
    if len(options) != len(layout.options):
        raise ValueError(f"kernel {name}: needs the options {layout.options}, got {options}")
    return Kernel(layout, dtype, tuple(o if isinstance(o, str) else int(o) for o in options))
