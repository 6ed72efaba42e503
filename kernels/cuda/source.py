"""The kernels' text: .cu files and what is made of bodies, and which arguments kernels take.

Both are read from the text itself. A launch is checked against the declared arguments before any
pointer is handed over, on a GPU and in tests alike.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from .bodies import HEADER, formula_text, formulas, fused_activations

FOLDER = Path(__file__).parent
REALS = {"float32": "float", "float64": "double"}
# What an array must hold, by the C type that it is declared with; REAL is the module's dtype.
ELEMENTS = {
    "double": "float64", "Index": "int64", "Mask": "bool", "Word": "uint32", "Counter": "uint64",
}  # fmt: skip
# How a parameter that is no array lies in memory, in the notation of ``struct``, filled up to 8
# bytes; one that may come late has the address of the number behind it.
NUMBERS = {
    "Index": "q",
    "Counter": "Q",
    "double": "d",
    "int": "i4x",
    "Page": "256s",
    "Axes": "192s",
    "Lengths": "64s",
    "Items": "64s",
    "Sums": "64s",
    "Planes": "80s",
    "Windows": "176s",
    "Scores": "64s",
}
LATE = {"Number": "d", "LateCounter": "Q"}

_INCLUDE = re.compile(r'^#include "(\w+\.cuh)"\n', re.MULTILINE)
_LIST = re.compile(r"#define (\w+)\(DO\)(.*)")
_DEFINE = re.compile(r"#define (\w+)\(CODE, NAME\)(.*)")
_KERNEL = re.compile(r"KERNEL (\w+?)(##NAME)?\(([^)]*)\)")


@dataclass(frozen=True)
class Parameter:
    """One parameter of a kernel: its C type without ``const`` and ``*``, and what it may do."""

    name: str
    type: str
    pointer: bool
    const: bool


Signature = tuple[Parameter, ...]


def files() -> tuple[str, ...]:
    """Return the names of the texts: .cu files without their ending, and elementwise formulas.

    >>> "linear" in files(), "sigmoid" in files()
    (True, True)
    """
    return tuple(sorted({*(path.stem for path in FOLDER.glob("*.cu")), *formulas()}))


def own_text(file: str) -> str:
    """Return a text with its headers still to be included: a .cu file, or one made of bodies."""
    path = FOLDER / f"{file}.cu"
    return path.read_text(encoding="utf-8") if path.exists() else formula_text(file)


def _header(name: str) -> str:
    if name == HEADER:
        return fused_activations()
    return (FOLDER / name).read_text(encoding="utf-8")


@cache
def text(file: str) -> str:
    """Return a text with its headers in the place of their includes.

    CuPy's cache on disk goes by the text, so a changed header must be in it.
    """
    return included(file, own_text(file))


def included(file: str, body: str) -> str:
    """Return a text under a file's name with its headers in the place of their includes."""
    seen: set[str] = set()

    def insert(match: re.Match[str]) -> str:
        name = match[1]
        if name in seen:
            return "\n"
        seen.add(name)
        header = _header(name)
        # The lines after it keep their numbers in the compiler's messages.
        line = match.string.count("\n", 0, match.end()) + 1
        return f'#line 1 "{name}"\n{header}#line {line} "{file}.cu"\n'

    return f'#line 1 "{file}.cu"\n' + _INCLUDE.sub(insert, body)


@cache
def signatures(file: str) -> dict[str, Signature]:
    """Return the kernels of a .cu file with their parameters."""
    return parse(text(file))


def parse(source: str) -> dict[str, Signature]:
    """Return the kernels that a text declares, those that a macro makes for each name included."""
    source = re.sub(r"//.*", "", source).replace("\\\n", " ")
    lists = {
        name: re.findall(r"DO\(\w+, (\w+)\)", entries) for name, entries in _LIST.findall(source)
    }
    found: dict[str, Signature] = {}
    for line in [*_DEFINE.sub("", source).splitlines(), source]:
        for name, suffix, parameters in _KERNEL.findall(line):
            if not suffix:
                found[name] = _parameters(parameters)
    for macro, body in _DEFINE.findall(source):
        expanded = [names for each, names in lists.items() if f"\n{each}({macro})" in source]
        for name, suffix, parameters in _KERNEL.findall(body):
            for one in expanded[0] if suffix and expanded else ():
                found[name + one] = _parameters(parameters)
    return found


def _parameters(declared: str) -> Signature:
    made = []
    for one in " ".join(declared.split()).split(", "):
        match = re.fullmatch(r"(const )?(\w+)(\*)? (\w+)", one)
        if match is None:
            raise ValueError(f"cannot read the parameter {one!r} of a kernel")
        made.append(Parameter(match[4], match[2], bool(match[3]), bool(match[1])))
    return tuple(made)
