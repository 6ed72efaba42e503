"""``python -m benchmarks.kernel_page``: writes docs/kernels.md.

For each formula with kernels for the CPU: its equation, which kernels take part, the bytes that
they move against those that the reference moves, how much quicker they are, and what they refuse.
"""

from __future__ import annotations

import argparse
import ast
import inspect
import textwrap
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from benchmarks.kernel_examples import Example, examples
from benchmarks.report.tables import quantity, table
from benchmarks.stopwatch.machine import processor, versions
from nnscratch.formulas import FORMULAS
from nnscratch.kernels.cpu import IMPLEMENTATIONS, LAYOUTS, CpuKernel, Table, limit
from nnscratch.kernels.cpu.implementation import WORTHWHILE, Now
from nnscratch.kernels.cpu.lower_linear import FEW_ROWS, GELU_PASSES

OVERWRITES = ("copy_into", "fill")
"""Updates that do not read what they replace."""
HEAD = """\
<!-- Written by `python -m benchmarks.kernel_page`; change the kernels, not this file. -->

# Kernels for the CPU

Each kernel implements a formula that has a reference in plain array code. *Moves* is what passes
read and write: for the reference the inputs and outputs of every NumPy function that it calls, for
the kernels the arrays of every instruction. Times are medians of calls in turns, in float32; the
kernels' as in a compiled step, laid out once. A speed-up below 1 is set in bold.

Products run in tiles of 6 or 8 rows and two vector registers of columns, whose sums stay in
registers (`kernels/cpu/products.py`); a panel of the second factor is laid end to end first, and
sums are cut at 256 terms. From about six million multiplications on, BLAS multiplies where this
machine has measured that it is quicker (`kernels/cpu/product_choice.py`)."""
PAGE = Path(__file__).parents[1] / "docs" / "kernels.md"


class Counting(np.ndarray):
    """An array that adds up the bytes which NumPy's functions read and write."""

    moved = 0

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **more: Any) -> Any:
        """Compute, and count what went in and came out."""
        given = [_plain(item) for item in inputs]
        if "out" in more:
            more["out"] = tuple(_plain(item) for item in more["out"])
        return _count(given, getattr(ufunc, method)(*given, **more))

    def __array_function__(self, function: Any, types: Any, inputs: Any, more: Any) -> Any:
        """Compute, and count what went in and came out, views aside."""
        given = [_deep(item) for item in inputs]
        made = function(*given, **{name: _deep(item) for name, item in more.items()})
        if isinstance(made, np.ndarray) and made.base is not None:
            return made.view(Counting)
        return _count([item for item in given if isinstance(item, np.ndarray)], made)


def _plain(item: Any) -> Any:
    return item.view(np.ndarray) if isinstance(item, Counting) else item


def _deep(item: Any) -> Any:
    if isinstance(item, (list, tuple)) and not hasattr(item, "_fields"):
        return type(item)(_deep(part) for part in item)
    return _plain(item)


def _count(given: list[Any], made: Any) -> Any:
    arrays = [*given, *(made if isinstance(made, tuple) else (made,))]
    Counting.moved += sum(item.nbytes for item in arrays if isinstance(item, np.ndarray))
    return made.view(Counting) if isinstance(made, np.ndarray) else made


class Watching(Now):
    """A builder that lays a call out, and notes the kernels and the bytes they move."""

    def __init__(self) -> None:
        """Start with nothing noted."""
        super().__init__()
        self._table = Table()
        self.kernels: list[str] = []
        self.moved = 0
        self.program: Any = None

    def emit(self, kernel: Any, a: Any, s: Any = (), flags: int = 0) -> None:
        """Note the kernel and its arrays, and add it."""
        if kernel.name not in self.kernels:
            self.kernels.append(kernel.name)
        self.moved += sum(item.nbytes for item in a if isinstance(item, np.ndarray))
        self._table.add(kernel, a, s, flags)

    def python(self, function: Callable[[], None], *more: Any, **other: Any) -> None:
        """Leave checks out: they move next to nothing."""

    def run(self) -> None:
        """Run what was emitted, as a plan does: again and again, laid out once."""
        if self.program is None:
            self.program = self._table.build()
        self.program.run()


@dataclass(frozen=True)
class Measured:
    """What was measured of one call."""

    example: Example
    kernels: tuple[str, ...]
    bytes_reference: int
    bytes_kernels: int
    reference: float
    kernel: float


def reference_call(example: Example) -> Callable[[], Any]:
    """Return the call of the reference."""
    formula = FORMULAS[example.formula]
    if example.direction == "forward":
        return lambda: formula.forward(*example.inputs, **example.options)
    if example.direction == "backward":
        backward = formula.backward
        assert backward is not None
        return lambda: backward(example.inputs[0], example.saved, example.needs)
    given = dict(zip(formula.inputs, example.inputs, strict=False))

    def update() -> None:
        made = formula.forward(*example.inputs, **example.options)
        for name, result in zip(formula.updates, made, strict=True):
            if given.get(name) is not None:
                given[name][...] = result

    return update


def reference_bytes(example: Example) -> int:
    """Return how many bytes NumPy's functions read and write in the reference."""
    wrapped = tuple(
        item.view(Counting) if isinstance(item, np.ndarray) else item for item in example.inputs
    )
    saved = example.saved
    if saved is not None:
        saved = type(saved)(*wrapped[1:])
    Counting.moved = 0
    again = Example(**{**example.__dict__, "inputs": wrapped, "saved": saved})
    if example.direction == "update":
        # Assigning the results is one pass more, over what is updated.
        made = FORMULAS[example.formula].forward(*wrapped, **example.options)
        Counting.moved += sum(2 * np.asarray(item).nbytes for item in made if item is not None)
    else:
        reference_call(again)()
    return Counting.moved


def measure(example: Example, seconds: float = 0.3) -> Measured:
    """Time both, in turns, and count bytes."""
    implementation = IMPLEMENTATIONS[example.formula]
    watching = Watching()
    implementation.lower(
        watching, example.direction, example.inputs, example.options, example.needs
    )
    moved = watching.moved
    if example.direction == "update":
        formula = FORMULAS[example.formula]
        given = dict(zip(formula.inputs, example.inputs, strict=False))
        # What is updated is read and written, but stands once among the arguments.
        if example.formula not in OVERWRITES:
            updated = (given.get(name) for name in formula.updates)
            moved += sum(item.nbytes for item in updated if item is not None)
    total = reference_bytes(example)
    slow, quick = _alternate(reference_call(example), watching.run, seconds)
    return Measured(example, tuple(watching.kernels), total, moved, slow, quick)


def _alternate(
    one: Callable[[], Any], two: Callable[[], Any], seconds: float
) -> tuple[float, float]:
    times: tuple[list[float], list[float]] = ([], [])
    one(), two()
    until = time.perf_counter() + seconds
    while len(times[0]) < 5 or time.perf_counter() < until:
        for call, found in zip((one, two), times, strict=True):
            began = time.perf_counter()
            call()
            found.append(time.perf_counter() - began)
    return median(times[0]), median(times[1])


def refusals(function: Any) -> list[str]:
    """Return the reasons that a guard can give, read from its source."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    found: list[str] = []
    returns = [node for node in ast.walk(tree) if isinstance(node, ast.Return)]
    for node in sorted(returns, key=lambda node: node.lineno):
        if node.value is None:
            continue
        options = [node.value]
        if isinstance(node.value, ast.IfExp):
            options = [node.value.body, node.value.orelse]
        for option in options:
            text = _text(option)
            if text is not None and text not in found:
                found.append(text)
    return found


def quoted(reasons: list[str]) -> str:
    """Return reasons one after the other, in quotation marks."""
    return "; ".join(f"“{reason}”" for reason in reasons)


def _text(node: ast.expr) -> str | None:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        parts = [str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values]
        return "".join(parts)
    return None


def section(name: str, measured: list[Measured]) -> str:
    """Return what the page says of one formula."""
    formula, implementation = FORMULAS[name], IMPLEMENTATIONS[name]
    parts = [f"## {name}", f"$${formula.equation}$$"]
    if formula.gradients:
        parts.append("\n".join(f"- for {v}: ${text}$" for v, text in formula.gradients.items()))
    lines = []
    for m in measured:
        less = 1 - m.bytes_kernels / m.bytes_reference if m.bytes_reference else 0.0
        ratio = m.reference / m.kernel
        lines.append(
            (
                m.example.direction,
                m.example.what,
                ", ".join(f"`{kernel}`" for kernel in m.kernels),
                f"{m.bytes_reference / 1e6:.2f} MB",
                f"{m.bytes_kernels / 1e6:.2f} MB",
                f"{abs(less) if abs(less) < 0.005 else less:.0%}",
                quantity(m.reference),
                quantity(m.kernel),
                f"{ratio:.1f}x" if 1 <= ratio else f"**{ratio:.2f}x**",
            )
        )
    head = ("", "size", "kernels", "reference moves", "kernels move", "saved", "reference",
            "kernels", "speed-up")  # fmt: skip
    parts.append(table(head, lines))
    for direction in implementation.lowerings:
        own = implementation.refusals.get(direction)
        reasons = refusals(own) if own is not None else []
        if reasons:
            parts.append(f"The guard of its {direction} refuses with: {quoted(reasons)}.")
    return "\n\n".join(parts)


def page(shrink: int = 1, seconds: float = 0.3) -> str:
    """Measure everything and return the page."""
    used: dict[str, list[str]] = {}
    sections = []
    for name in sorted(IMPLEMENTATIONS):
        measured = [
            measure(example, seconds)
            for example in examples(name, shrink)
            if example.direction in IMPLEMENTATIONS[name].lowerings
        ]
        sections.append(section(name, measured))
        for kernel in dict.fromkeys(k for m in measured for k in m.kernels):
            used.setdefault(kernel, []).append(name)
    rows = [
        (f"`{name}`", layout.doc, ", ".join(used.get(name, ())) or "other sizes, libraries, plans")
        for name, layout in LAYOUTS.items()
    ]
    found = versions()
    parts = (
        HEAD,
        f"Measured on {processor()} with {limit()} threads, NumPy {found['numpy']}, Numba "
        f"{found['numba']}.",
        f"The guard of all kernels refuses with: {quoted(refusals(CpuKernel.refuses))}. What "
        "is refused runs on the reference. A single eager call takes a kernel only if an array has "
        f"{WORTHWHILE:,} entries or more (of GELU {WORTHWHILE // GELU_PASSES:,}): below, NumPy is "
        f"as quick; so is BLAS for the product of fewer than {FEW_ROWS} rows. Compiled steps "
        "always take it.",
        *sections,
        "## All kernels",
        table(("kernel", "what it computes", "used here by"), rows),
    )
    return "\n\n".join(parts) + "\n"


def main() -> None:
    """Write the page."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.kernel_page", description=__doc__)
    parser.add_argument("--out", type=Path, default=PAGE)
    parser.add_argument("--shrink", type=int, default=1, help="divide all sizes, to try it out")
    parser.add_argument("--seconds", type=float, default=0.3, help="for each call")
    given = parser.parse_args()
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(page(given.shrink, given.seconds), encoding="utf-8")
    print(f"wrote {given.out}")


if __name__ == "__main__":
    main()
