"""Elementwise loops, made of the bodies of formulas, over arrays of any strides.

A loop computes one or several results of each element in one pass. Which array is contiguous along
the inner axis, repeated along it, or neither is known when it is compiled, so what can vectorise
does. This file needs no Numba before a loop is compiled.

The layout of ``a``: the sizes of the inner axis and of three outer ones, then for every input and
every output five words, its address and its bytes along these axes. ``s`` holds the numbers.
"""

from __future__ import annotations

import functools
import math
import zlib
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ..bodies import Parsed
from ..strided import OUTER
from .runtime.kernel import Kernel, Layout

HEAD = OUTER + 1
WORDS = OUTER + 2
GRAIN = 1024

CONTIGUOUS, REPEATED, STRIDED, IN_PLACE = "c", "r", "s", "i"


class Node(NamedTuple):
    """One body applied in a loop.

    Attributes:
        body: the body.
        takes: for each parameter what stands there: ("input", k), ("number", k), ("scalar", k), or
            ("node", k) for a result of an earlier one; results are counted through all nodes.
        results: how many it has.
    """

    body: Parsed
    takes: tuple[tuple[str, int], ...]
    results: int = 1


@dataclass(frozen=True)
class Loop:
    """What a loop computes and how its arrays lie.

    Attributes:
        dtype: the dtype that it computes in, "float32" or "float64".
        inputs: for each input its dtype, how it lies ("c", "r", "s", or "i": it is an output), and
            which output it is in that case.
        nodes: the bodies, in order.
        outputs: for each output its dtype, how it lies, and which of the results it is.
        numbers: how many numbers it takes.
        options: the names of further numbers, which only ``scalars`` are computed from.
        scalars: expressions in these, computed once before the loop, in float64.
    """

    dtype: str
    inputs: tuple[tuple[str, str, int], ...]
    nodes: tuple[Node, ...]
    outputs: tuple[tuple[str, str, int], ...]
    numbers: int
    options: tuple[str, ...] = ()
    scalars: tuple[str, ...] = ()

    @functools.cached_property
    def text(self) -> str:
        """The body of the kernel as Python, with the calls of the bodies in the inner loop."""
        return _text(self)

    @functools.cached_property
    def kernel(self) -> Kernel:
        """The kernel of it."""
        whole = "\n".join([self.text, *(node.body.text() for node in self.nodes)])
        names = "_".join(dict.fromkeys(n.body.name.rpartition("__")[2] for n in self.nodes))
        title = f"loop_{names[:60]}_{zlib.crc32(whole.encode()):08x}"
        count = len(self.inputs) + len(self.outputs)
        arrays = [f"{role}{k}_{what}" for role, n in (("in", len(self.inputs)),
                  ("out", len(self.outputs))) for k in range(n)
                  for what in ("p", "inner", "outer1", "outer2", "outer3")]  # fmt: skip
        cost = 0.04 * count + sum(node.body.cost for node in self.nodes)
        if any(how == STRIDED for _, how, _ in (*self.inputs, *self.outputs)):
            cost += 0.5
        layout = Layout(
            name=title,
            a=("inner", "outer1", "outer2", "outer3", *arrays),
            s=(*(f"number{k}" for k in range(self.numbers)), *self.options),
            options=(),
            doc="An elementwise loop.",
            cost=lambda a: cost * a[0] * a[1] * a[2] * a[3] + 5.0 * a[1] * a[2] * a[3],
            make=lambda dtype: functools.partial(write_loop, self),
            written=True,
        )
        return Kernel(layout, self.dtype)


def _text(loop: Loop) -> str:
    lines = [
        "def kernel(a, s, tid, threads):",
        "    n, d1, d2, d3 = a[0], a[1], a[2], a[3]",
        f"    first, last = part(n * d1 * d2 * d3, tid, threads, {GRAIN})",
        *[f"    p{k} = K(s[{k}])" for k in range(loop.numbers)],
        *[f"    {name} = s[{loop.numbers + k}]" for k, name in enumerate(loop.options)],
        *[f"    q{k} = K({text})" for k, text in enumerate(loop.scalars)],
        "    while first < last:",
        "        row = first // n",
        "        start = first - row * n",
        "        i1 = row % d1",
        "        rest = row // d1",
        "        i2 = rest % d2",
        "        i3 = rest // d2",
        "        behind = min(d1, i1 + (start + last - first + n - 1) // n)",
    ]
    arrays = [("x", k, *one) for k, one in enumerate(loop.inputs)]
    arrays += [("y", k, *one) for k, one in enumerate(loop.outputs)]
    for place, (role, k, _, how, _) in enumerate(arrays):
        at = HEAD + WORDS * place
        if how != IN_PLACE:
            where = f"a[{at}] + i2 * a[{at + 3}] + i3 * a[{at + 4}]"
            lines += [f"        {role}{k}b = {where}", f"        {role}{k}d = a[{at + 2}]"]
        if how == STRIDED:
            lines.append(f"        {role}{k}s = a[{at + 1}]")
    lines += [
        "        while i1 < behind:",
        "            stop = min(n, start + last - first)",
    ]
    for role, k, dtype, how, _ in arrays:
        where = f"{role}{k}b + i1 * {role}{k}d"
        if how == STRIDED:
            lines.append(f"            {role}{k} = {where}")
        elif how != IN_PLACE:
            lines.append(f"            {role}{k} = pointer({where}, {_kind(dtype)})")
        if how == REPEATED:
            lines.append(f"            {role}{k}v = {_loaded(f'{role}{k}[0]', dtype, loop.dtype)}")
    lines.append("            for j in range(start, stop):")
    for k, (dtype, how, output) in enumerate(loop.inputs):
        if how == REPEATED:
            continue
        if how == STRIDED:
            read = f"pointer(x{k} + j * x{k}s, {_kind(dtype)})[0]"
        elif how == IN_PLACE:
            strided = loop.outputs[output][1] == STRIDED
            read = (
                f"pointer(y{output} + j * y{output}s, {_kind(dtype)})[0]"
                if strided
                else f"y{output}[j]"
            )
        else:
            read = f"x{k}[j]"
        lines.append(f"                x{k}v = {_loaded(read, dtype, loop.dtype)}")
    first = 0
    for node in loop.nodes:
        names = {"input": "x{}v", "number": "p{}", "scalar": "q{}", "node": "m{}"}
        taken = ", ".join(names[what].format(which) for what, which in node.takes)
        made = ", ".join(f"m{first + k}" for k in range(node.results))
        comma = "," * (node.results == 1 and node.body.several)
        lines.append(f"                {made}{comma} = {node.body.name}({taken})")
        first += node.results
    for k, (dtype, how, result) in enumerate(loop.outputs):
        value = _stored(f"m{result}", dtype, loop.dtype)
        if how == STRIDED:
            lines.append(f"                pointer(y{k} + j * y{k}s, {_kind(dtype)})[0] = {value}")
        else:
            lines.append(f"                y{k}[j] = {value}")
    # The loop's variables are those that += and -= change: so ``written`` finds them.
    lines += [
        "            first += stop - start",
        "            start -= start",
        "            i1 += 1",
    ]
    return "\n".join(lines) + "\n"


def _kind(dtype: str) -> str:
    return "np.uint8" if dtype == "bool" else f"np.{dtype}"


def _loaded(text: str, dtype: str, kind: str) -> str:
    if dtype == "bool":
        return f"{text} != np.uint8(0)"
    return text if dtype == kind else f"K({text})"


def _stored(text: str, dtype: str, kind: str) -> str:
    if dtype == "bool":
        return f"np.uint8({text})"
    return text if dtype == kind else f"np.{dtype}({text})"


def write_loop(loop: Loop, module: Any, symbol: str) -> None:
    """Write the kernel of a loop into a module of LLVM."""
    from .runtime.intrinsics import pointer
    from .runtime.language import part
    from .written import write_kernel

    bodies = {node.body.name: node.body for node in loop.nodes}
    kind = getattr(np, loop.dtype)
    scope = {"np": np, "math": math, "K": kind, "pointer": pointer, "part": part.value, **bodies}
    write_kernel(loop.text, scope, kind, module, symbol)
