"""The texts of a formula's kernels, for Numba and for CUDA, by line.

Those of an elementwise formula are generated from its bodies, as they are when a kernel is
compiled. Those written by hand are found from what their implementation calls.
"""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from nnscratch.formulas import Formula
from nnscratch.formulas.pointwise import unchanged
from nnscratch.kernels import cpu, cuda
from nnscratch.kernels.bodies import Parsed, parsed
from nnscratch.kernels.cpu.loops import CONTIGUOUS, Loop, Node
from nnscratch.kernels.cpu.runtime.declaration import Declared, Deferred
from nnscratch.kernels.cuda import source
from nnscratch.kernels.cuda.bodies import formula_text
from nnscratch.kernels.updating import known_options, straight

_NUMBERS = "float32"
_KERNEL = r"(?m)^(?://.*\n)*(?:template.*\n)?KERNEL {name}\([\s\S]*?^}}\n"
_MOST = 500
"""How many lines are shown; where there are more, the file is named alone."""


class KernelLines(NamedTuple):
    """Lines of a file, or of a text that is generated.

    Attributes:
        file: the file's path in the project, "" for a generated text.
        first: the number of the first line.
        text: the lines.
    """

    file: str
    first: int
    text: str


def numba_texts(formula: Formula) -> list[KernelLines]:
    """Return the loops and kernels that Numba compiles for a formula; empty if there are none.

    >>> from nnscratch.formulas import SOFTMAX, TANH
    >>> print(numba_texts(TANH)[0].text.splitlines()[0])
    def nnscratch_formulas_sigmoids__tanh_forward(X):
    >>> numba_texts(SOFTMAX)[0].file
    'kernels/cpu/softmax.py'
    """
    if formula.has_loops:
        return [KernelLines("", 1, text) for text in _loops(formula)]
    made = cpu.IMPLEMENTATIONS.get(formula.name)
    if made is None:
        return []
    if formula.update_body is not None:
        return [KernelLines("", 1, _update(formula))]
    for far in (False, True):
        called = [_function(one) for one in _reached(made.lowerings.values(), far)]
        found = sorted({lines_of(function) for function in called if function is not None})
        if 0 < sum(one.text.count("\n") for one in found) <= _MOST:
            return found
    return [KernelLines(*_place(next(iter(made.lowerings.values()))), "")]


def cuda_texts(formula: Formula) -> list[KernelLines]:
    """Return the text that a GPU's kernels are compiled from; empty if there is none.

    >>> from nnscratch.formulas import SOFTMAX
    >>> [one.first for one in cuda_texts(SOFTMAX)] == sorted(
    ...     one.first for one in cuda_texts(SOFTMAX))
    True
    """
    if formula.has_loops:
        return [KernelLines("", 1, formula_text(formula.name))]
    made = cuda.IMPLEMENTATIONS.get(formula.name)
    if made is None:
        return []
    words = {formula.name}
    for one in _reached(made.lowerings.values(), far=True):
        words |= set(_strings(one.__code__))
    found = []
    for file in made.files:
        whole = source.own_text(file)
        place = f"kernels/cuda/{file}.cu" if (source.FOLDER / f"{file}.cu").exists() else ""
        if words & set(re.findall(r"KERNEL (\w+)##NAME", whole)):
            found.append(
                KernelLines(place, 1, whole)
            )  # a macro makes a kernel for each of several names
            continue
        for kernel in source.signatures(file):
            own = kernel.startswith(f"{formula.name}_")
            if (own or kernel in words) and (text := re.search(_KERNEL.format(name=kernel), whole)):
                first = whole.count("\n", 0, text.start()) + 1
                found.append(KernelLines(place, first, text[0]))
    if not found:
        written = [file for file in made.files if (source.FOLDER / f"{file}.cu").exists()]
        return [KernelLines(f"kernels/cuda/{file}.cu", 1, "") for file in written]
    return sorted(set(found))


def _update(formula: Formula) -> str:
    """Return the loop of an optimizer's step, with its usual options and the state it must have."""
    assert formula.update_body is not None
    parameters = inspect.signature(formula.update_body).parameters
    present = tuple(name for name in formula.inputs if parameters[name].default is not None)
    # Numbers that have no default stand for any: choices depend on none of them.
    given = {
        name: 2 if parameters[name].default is inspect.Parameter.empty else parameters[name].default
        for name in formula.options
    }
    line = straight(formula.update_body, present, known_options(given), formula.updates)
    takes = [("input", place) for place in range(len(line.arrays))]
    takes += [("scalar", place) for place in range(len(line.scalars))]
    loop = Loop(
        _NUMBERS,
        tuple((_NUMBERS, CONTIGUOUS, 0) for _ in line.arrays),
        (Node(line.body, tuple(takes), len(line.outputs)),),
        tuple((_NUMBERS, CONTIGUOUS, place) for place in range(len(line.outputs))),
        0,
        line.options,
        line.scalars,
    )
    return "\n\n\n".join([*_bodies(line.body), loop.text])


def _loops(formula: Formula) -> Iterator[str]:
    """Yield for the forward and for each derivative the bodies and the loop around them."""
    words = formula.pointwise
    bodies = [words.forward, *(one for one in words.backward.values() if one is not unchanged)]
    for body in map(parsed, dict.fromkeys(bodies)):
        numbers = [name for name in body.parameters if name in words.options]
        arrays = [name for name in body.parameters if name not in numbers]
        kinds = ["bool" if name == "C" else _NUMBERS for name in arrays]
        takes = [("input", place) for place in range(len(arrays))]
        takes += [("number", place) for place in range(len(numbers))]
        result = "bool" if words.truth else _NUMBERS
        loop = Loop(
            _NUMBERS,
            tuple((kind, CONTIGUOUS, 0) for kind in kinds),
            (Node(body, tuple(takes)),),
            ((result, CONTIGUOUS, 0),),
            len(numbers),
        )
        yield "\n\n\n".join([*_bodies(body), loop.text])


def _bodies(body: Parsed) -> list[str]:
    """Return the functions of a body and of those that it calls, each before its use."""
    made: list[str] = []
    for used in body.uses.values():
        made += _bodies(used)
    lines = "\n    ".join(ast.unparse(one) for one in body.statements)
    return [*made, f"def {body.name}({', '.join(body.parameters)}):\n    {lines}"]


def _reached(lowerings: Any, far: bool) -> list[Any]:
    """Return what lowerings call: functions, and the functions of kernels and helpers.

    They are looked for in their own files, or ``far`` in all files beside these; of those helpers
    are left out.
    """
    waiting = [(one, one) for one in lowerings]
    found: dict[int, Any] = {}
    while waiting:
        one, held = waiting.pop()
        written = inspect.unwrap(_function(one) or getattr(one, "func", one))
        if getattr(written, "__code__", None) is None or id(written) in found:
            continue
        found[id(written)] = held if _function(one) is not None else written
        names = {name for part in _codes(written.__code__) for name in part.co_names}
        beside = [written.__globals__.get(name) for name in names]
        beside += [cell.cell_contents for cell in written.__closure__ or ()]
        for other in beside:
            inner = _function(other) or getattr(other, "func", other)
            module = str(getattr(inner, "__module__", ""))
            near = module == written.__module__
            beside_it = module.rpartition(".")[0] == written.__module__.rpartition(".")[0]
            if near or isinstance(other, Declared) or (far and beside_it and not _helps(other)):
                waiting.append((other, other))
    return list(found.values())


def _helps(one: Any) -> bool:
    return isinstance(one, Deferred)


def _function(one: Any) -> Callable[..., Any] | None:
    """Return the function of a kernel or of a helper of kernels; None of anything else."""
    if isinstance(one, Declared):
        return one.function
    if isinstance(one, Deferred):
        cells = inspect.getclosurevars(one._make).nonlocals
        function = cells.get("function")
        return function if callable(function) else None
    return None


def _codes(code: Any) -> Iterator[Any]:
    yield code
    for one in code.co_consts:
        if hasattr(one, "co_consts"):
            yield from _codes(one)


def _strings(code: Any) -> Iterator[str]:
    for part in _codes(code):
        yield from (one for one in part.co_consts if isinstance(one, str))


def lines_of(function: Callable[..., Any]) -> KernelLines:
    """Return the lines of a function, its decorators included, from under any that wrap it."""
    written = inspect.unwrap(function)
    return KernelLines(*_place(written), "".join(inspect.getsourcelines(written)[0]))


def _place(function: Callable[..., Any]) -> tuple[str, int]:
    """Return the file of a function, as it is in the project, and its first line."""
    function = inspect.unwrap(getattr(function, "func", function))
    place = function.__module__.removeprefix("nnscratch.").split(".")
    file = Path(*place).with_suffix(".py").as_posix()
    return file, inspect.getsourcelines(function)[1]
