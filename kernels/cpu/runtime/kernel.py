"""What a kernel is: a name, a dtype, compile-time options, and the layout of its two buffers.

Every compiled kernel has the one signature ``void k(int64 *a, float64 *s, int64 tid, int64
threads)``: ``a`` holds addresses, sizes, strides and integer options, ``s`` holds float scalars,
and the call does part ``tid`` of ``threads``. This module imports without Numba; the
first use of ``Kernel.address`` compiles the kernel, or loads it from Numba's cache on disk.
"""

from __future__ import annotations

import functools
import importlib
import threading
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nnscratch import formulas

from ...bodies import parsed
from .processor import description

FLOATS = ("float32", "float64")


@dataclass(frozen=True, eq=False)
class Layout:
    """The documented layout of one kernel, common to its dtypes and options.

    Args:
        name: the kernel's name.
        a: names of the entries of ``a``, in order.
        s: names of the entries of ``s``, in order.
        options: names of the compile-time choices: integers, or names of formulas.
        doc: what it computes, and how the threads share it.
        cost: nanoseconds on one thread in float32, from the entries of ``a``.
        make: returns the function to be compiled, for a dtype and options.
        written: whether it is no function of Python, but one that writes the kernel as LLVM into a
            module, given that and the kernel's symbol.
    """

    name: str
    a: tuple[str, ...]
    s: tuple[str, ...]
    options: tuple[str, ...]
    doc: str
    cost: Callable[[Sequence[int]], float]
    make: Callable[..., Any]
    written: bool = False


@dataclass(frozen=True)
class Kernel:
    """One kernel for one dtype and one set of compile-time options."""

    layout: Layout
    dtype: str
    options: tuple[int | str, ...] = ()

    @property
    def name(self) -> str:
        """The kernel's name, without dtype and options."""
        return self.layout.name

    @property
    def symbol(self) -> str:
        """A name that no other kernel has: ``bias_activation_float32_relu``."""
        return "_".join([self.layout.name, self.dtype, *map(_told, self.options)])

    @functools.cached_property
    def address(self) -> int:
        """The address of the compiled function; compiles it on first use."""
        return compiled(self).address  # type: ignore[no-any-return]

    def cost(self, a: Sequence[int]) -> float:
        """Return an estimate of its time on one thread in nanoseconds.

        Layouts tell it for float32: a register holds half as many numbers of float64.
        """
        return self.layout.cost(a) * (2.0 if self.dtype == "float64" else 1.0)

    def check(self, a: Sequence[Any], s: Sequence[float]) -> None:
        """Raise ValueError unless both buffers have the documented lengths."""
        for what, names, given in (("a", self.layout.a, a), ("s", self.layout.s, s)):
            if len(names) != len(given):
                raise ValueError(
                    f"kernel {self.name}: {what} has the {len(names)} entries "
                    f"({', '.join(names)}), got {len(given)}"
                )


def _told(option: int | str) -> str:
    """Return an option as a part of a name: one that names a user's formula with its text's sum.

    The package's own sources are looked at by whoever keeps kernels on disk, a user's are not.
    """
    made = formulas.FORMULAS.get(option) if isinstance(option, str) else None
    words = None if made is None else made.pointwise
    if words is None or words.forward.__module__.partition(".")[0] == "nnscratch":
        return str(option)
    bodies = [words.forward, *words.backward.values()]
    text = "\n".join(parsed(body).text() for body in bodies if body is not None)
    return f"{option}_{zlib.crc32(text.encode()):08x}"


def import_problem() -> str | None:
    """Return why Numba cannot be imported, None if it can.

    It is imported to see, unless an earlier process of the same Python, NumPy and Numba did so.
    """
    from . import objects

    if objects.numba_was_imported():
        return None
    try:
        importlib.import_module("numba")
    except (ImportError, OSError) as error:  # not installed, or not for this NumPy or Python
        return f"Numba cannot be imported ({error})"
    objects.note_numba()
    return None


@functools.cache
def source_stamp() -> int:
    """Return a checksum of the kernels' sources and of what they take the processor for.

    The cache on disk compares it, so a changed helper makes a cached kernel obsolete as well.
    """
    stamp = zlib.crc32(description().encode())
    here = Path(__file__).parent
    folders = here, here.parent, here.parents[1], Path(formulas.__file__).parent  # bodies of loops
    for folder in folders:
        for path in sorted(folder.glob("*.py")):
            stamp = zlib.crc32(path.read_bytes(), stamp)
    return stamp


_compiled: dict[Kernel, Any] = {}
_compiling = threading.Lock()


def compiled(kernel: Kernel) -> Any:
    """Return Numba's compiled function of a kernel: made once a process, cached on disk."""
    found = _compiled.get(kernel)
    if found is None:
        with _compiling:
            found = _compiled.get(kernel)
            if found is None:
                found = _compiled[kernel] = _compile(kernel)
    return found


def _compile(kernel: Kernel) -> Any:
    from . import objects

    if (kept := objects.load(kernel.symbol)) is not None:
        return kept
    with objects.alone(kernel.symbol):
        if (kept := objects.load(kernel.symbol)) is not None:
            return kept
        from .cache import compile_function, compile_written

        compile_it = compile_written if kernel.layout.written else compile_function
        return compile_it(kernel.layout.make(kernel.dtype, *kernel.options), kernel.symbol)


def compiled_kernels() -> list[tuple[str, bool]]:
    """Return the kernels in use in this process, and whether each came from the disk."""
    return [(k.symbol, bool(f.cache_hits)) for k, f in _compiled.items()]


class KernelCollector:
    """A builder that takes down the kernels of what is emitted, and runs nothing.

    Attributes:
        kernels: of each instruction, in order.
    """

    def __init__(self) -> None:
        self.kernels: list[Kernel] = []

    def emit(self, kernel: Kernel, a: Any, s: Any = (), flags: int = 0) -> None:
        """Remember the kernel of an instruction."""
        self.kernels.append(kernel)

    def loop(self, operands: Any) -> None:
        """Remember that of a loop."""
        operands.emit_now(self)
