"""``python -m benchmarks.kernel_page``: how quick each CPU kernel is, as a table in build/.

For each formula with kernels: which of them take part, the bytes that they move against those that
the reference moves, and how much quicker they are. docs/kernels.md says what the kernels are.
"""

from __future__ import annotations

import argparse
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
from nnscratch.kernels.cpu import IMPLEMENTATIONS, Table, limit
from nnscratch.kernels.cpu.implementation import Now

OVERWRITES = ("copy_into", "fill")
"""Updates that do not read what they replace."""
HEAD = """\
# The CPU kernels on this machine

*Moves* is what passes read and write: for the reference the inputs and outputs of every NumPy
function that it calls, for the kernels the arrays of every instruction. Times are medians of calls
in turns, in float32; the kernels' as in a compiled step, laid out once. A speed-up below 1 is set
in bold."""
PAGE = Path("build") / "kernels.md"


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


def line(m: Measured) -> tuple[str, ...]:
    """Return what the table says of one call."""
    less = 1 - m.bytes_kernels / m.bytes_reference if m.bytes_reference else 0.0
    ratio = m.reference / m.kernel
    return (
        m.example.formula,
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


def page(shrink: int = 1, seconds: float = 0.3) -> str:
    """Measure everything and return the page."""
    lines, without = [], []
    for name in sorted(IMPLEMENTATIONS):
        try:
            made = examples(name, shrink)
        except KeyError:
            without.append(f"`{name}`")
            continue
        lines += [
            line(measure(example, seconds))
            for example in made
            if example.direction in IMPLEMENTATIONS[name].lowerings
        ]
    head = ("", "", "size", "kernels", "reference moves", "kernels move", "saved", "reference",
            "kernels", "speed-up")  # fmt: skip
    found = versions()
    parts = [
        HEAD,
        f"Measured on {processor()} with {limit()} threads, NumPy {found['numpy']}, Numba "
        f"{found['numba']}.",
        table(head, lines),
    ]
    if without:
        parts.append(f"Not measured, for want of an example: {', '.join(without)}.")
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
