"""How a Numba kernel stands in the registry: what it accepts, and how a call becomes instructions.

The same lowering serves two builders. ``EagerBuilder`` allocates arrays and runs the instructions
at once; that of a plan (``segment``) hands out planned arrays and keeps the instructions.
"""

from __future__ import annotations

import functools
import math
import sys
import warnings
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from .known_calls import CallTaker, KnownCall, fitting, kind_of_call
from .runtime.eager import call
from .runtime.heap import MAPPED
from .runtime.kernel import import_problem
from .runtime.pool import pool
from .runtime.table import words
from .segment import EXECUTOR, CpuExecutor

FLOATS = (np.dtype("float32"), np.dtype("float64"))
REDUCTIONS = ("mean", "sum", "none")
WORTHWHILE = 1 << 15
"""Elements from which a single eager call is quicker in a kernel than in NumPy."""
ALONE = 1 << 19
"""Multiplications of a product from which OpenBLAS takes several threads, and may sum otherwise.

How many it has at the moment depends on who uses it besides (``runtime.pool``), so that a run would
not repeat to the bit: from here on it is kept at one.
"""
SHARED = 1 << 21
"""Multiplications of a product that is quicker in a kernel, whose bits are the same for any number
of threads."""
MOST_KINDS = 256
"""Kinds of calls of one formula that are remembered."""

_ARRAY = np.ndarray
Inputs = tuple[Any, ...]
Options = dict[str, Any]


class Builder(Protocol):
    """What a lowering needs of whoever collects its instructions."""

    def output(self, position: int, shape: tuple[int, ...], dtype: Any, over: Inputs = ()) -> Any:
        """Return the array to write output number ``position`` into, of ``over`` if one is free."""

    def empty(self, shape: tuple[int, ...], dtype: Any) -> Any:
        """Return an array for something else that the call computes."""

    def turned(self, position: int, shape: tuple[int, ...], dtype: Any) -> Any:
        """Return the array for an output that is a matrix whose columns have their order."""

    def added_to(self, position: int) -> Any | None:
        """Return an array that an output is only there to be added to, which the call does then."""

    def emit(self, kernel: Any, a: Any, s: Any = (), flags: int = 0) -> None:
        """Add an instruction."""

    def loop(self, operands: Any) -> None:
        """Add an elementwise loop (``Operands``), by itself or joined with the one before it."""

    def is_constant(self, array: Any) -> bool:
        """Say whether what follows from an array is computed once: it pays to lay it out then."""

    def once(self, emit: Callable[..., Any], *given: Any) -> Any:
        """Return ``emit(builder, *given)``; a plan whose ``given`` are constants runs it once.

        What it emits reads no other arrays, and writes to those that it gets by ``empty``.
        """

    def python(self, function: Callable[[], None], reads_arguments: bool = False) -> None:
        """Add a Python function that runs after the instructions before it.

        ``reads_arguments`` says that it reads the call's inputs, not only what it computed.
        """

    def check(self, function: Callable[[], None]) -> None:
        """Add a function that raises if the instructions so far came to a stop."""


class EagerBuilder:
    """A builder that allocates with NumPy and runs every instruction as it is emitted.

    An instruction that comes to a stop does not keep the later ones of its call from running; what
    they write is thrown away with the error.

    Args:
        into: for each output an array that it may be written into, or None.
    """

    def __init__(self, into: Inputs = ()) -> None:
        self._into = into
        self._checks: list[Callable[[], None]] = []

    def output(self, position: int, shape: tuple[int, ...], dtype: Any, over: Inputs = ()) -> Any:
        """Return the array given for that output if it fits, else a new one."""
        return fitting(self._into[position], shape, dtype) if self._into else np.empty(shape, dtype)

    def new_zeros(self, position: int, shape: tuple[int, ...], dtype: Any) -> Any | None:
        """Return zeros for that output which the system has made, None if they have to be written.

        They are where no array is given, and the C library maps the memory by itself.
        """
        if self._into and self._into[position] is not None:
            return None
        return np.zeros(shape, dtype) if math.prod(shape) * dtype.itemsize >= MAPPED else None

    def empty(self, shape: tuple[int, ...], dtype: Any) -> Any:
        """Return a new array."""
        return np.empty(shape, dtype)

    def turned(self, position: int, shape: tuple[int, ...], dtype: Any) -> Any:
        """Return a new array whose columns have their elements in order."""
        return np.empty(shape[::-1], dtype).T

    def added_to(self, position: int) -> Any | None:
        """Return None: where an output goes is not known."""
        return None

    def emit(self, kernel: Any, a: Any, s: Any = (), flags: int = 0) -> None:
        """Run an instruction."""
        call(kernel, words(a), s)

    def loop(self, operands: Any) -> None:
        """Run a loop."""
        operands.emit_now(self)

    def is_constant(self, array: Any) -> bool:
        """Say no."""
        return False

    def once(self, emit: Callable[..., Any], *given: Any) -> Any:
        """Run what is emitted, as everything."""
        return emit(self, *given)

    def python(self, function: Callable[[], None], reads_arguments: bool = False) -> None:
        """Call the function."""
        function()

    def check(self, function: Callable[[], None]) -> None:
        """Call the function at the end."""
        self._checks.append(function)

    def finish(self) -> None:
        """Raise if an instruction came to a stop."""
        for check in self._checks:
            check()


Lowering = Callable[[Builder, Inputs, Options, tuple[bool, ...]], tuple[tuple[Any, ...], Any]]
Refusal = Callable[[Inputs, Options], str | None]


def _always(direction: str, inputs: Inputs) -> bool:
    return True


def _accept_all(inputs: Inputs, options: Options) -> str | None:
    return None


@functools.cache
def why_no_numba() -> str | None:
    """Return why no kernel can be compiled here, after saying so once; None if they can.

    In a browser nothing is said: there is no Numba for it that anybody could install.
    """
    why = import_problem()
    if why is not None and sys.platform != "emscripten":
        warnings.warn(
            f"{why}: everything is computed by NumPy, which is right but several times slower. "
            "Install numba in a version that fits, or set NNSCRATCH_KERNELS=off to hear no more.",
            RuntimeWarning,
            stacklevel=2,
        )
    return why


@dataclass(frozen=True)
class CpuKernel:
    """Numba kernels as an implementation of one formula.

    A file of this folder that makes one under a name of its own is all that it takes
    (``kernels.finding``).

    Attributes:
        formula: the name of the formula.
        lowerings: for each direction that has kernels, how a call becomes instructions. A backward
            gets ``(dY, *saved)`` as its inputs, ``(*dY, *saved)`` where there are several outputs.
        refusals: for each direction, what it cannot take beyond the rules for all kernels.
        passes: how much longer than one pass over the arrays the reference takes in each direction,
            as multiples of the usual; 0 of a single operation of NumPy, which is left to it.
        pays: for single calls of inputs that are large enough, whether it is quicker than NumPy.
        multiplications: of what multiplies two matrices, its first two inputs or saved arrays: how
            many multiplications that takes.
        strided: whether it takes arrays whose elements lie anyhow. For the others they are copied.
        several: whether the formula has several outputs.
        repeats: whether what a call is lowered to follows from what ``kind_of_call`` looks at, so
            that calls of a kind that was met need no lowering.
        library: whose arrays it is for.
    """

    formula: str
    lowerings: dict[str, Lowering]
    refusals: dict[str, Refusal]
    passes: float | Callable[[str], float] = 1
    pays: Callable[[str, Inputs], bool] = _always
    multiplications: Callable[[Any, Any], int] | None = None
    strided: bool = False
    several: bool = False
    repeats: bool = False
    name: str = "numba"
    library: str = "numpy"

    @property
    def executor(self) -> CpuExecutor:
        """What runs its instructions in a plan."""
        return EXECUTOR

    def refuses(self, direction: str, inputs: Inputs, options: Options) -> str | None:
        """Return why it cannot take these arrays, or None."""
        if self.repeats and kind_of_call(direction, inputs, options) in self._known:
            return None
        if direction not in self.lowerings:
            return f"it has no kernel for {direction}"
        dtype = None
        for item in inputs:
            if not isinstance(item, _ARRAY):
                if hasattr(item, "dtype"):
                    return f"the arrays are {type(item).__module__}'s, not NumPy's"
                continue
            if item.size == 0:
                return "an array is empty"
            flags, own = item.flags, item.dtype
            if not flags.aligned:
                return f"an array of shape {item.shape} is not aligned"
            # Floats are copied. What is written to is not, nor are integers: copies are floats.
            if (
                not flags.c_contiguous
                and not self.strided
                and (direction == "update" or own.kind not in "fb")
            ):
                return f"an array of shape {item.shape} is not contiguous"
            if own is not dtype and own.kind in "fV":  # V: bfloat16
                if own not in FLOATS or not own.isnative:
                    return f"{own} is neither float32 nor float64"
                if dtype is not None and own != dtype:
                    return f"{own} meets {dtype}"
                dtype = own
        if dtype is None:
            return "there is no floating-point array"
        return self.refusals.get(direction, _accept_all)(inputs, options) or why_no_numba()

    def worthwhile(self, direction: str, inputs: Inputs) -> bool:
        """Say by their sizes whether a single call pays.

        A product that would not repeat to the bit does so afterwards: as a kernel, or since BLAS
        is kept at one thread.
        """
        count = 0
        if self.multiplications is not None:
            first, second = inputs[1:3] if direction == "backward" else inputs[:2]
            if isinstance(first, _ARRAY) and isinstance(second, _ARRAY):
                count = self.multiplications(first, second)
                if count < WORTHWHILE:  # so the arrays are small as well
                    return False
                if count >= SHARED:
                    return True
        least = self._least.get(direction, WORTHWHILE)
        for item in inputs:
            if isinstance(item, _ARRAY) and item.size >= least:
                if self.pays(direction, inputs):
                    return True
                break
        return count >= ALONE and not pool().keep_blas_alone()

    @functools.cached_property
    def _least(self) -> dict[str, float]:
        """The elements from which a call pays, for each direction."""
        passes = self.passes
        each = {one: passes(one) if callable(passes) else passes for one in self.lowerings}
        return {one: WORTHWHILE / times if times else math.inf for one, times in each.items()}

    def lower(
        self,
        builder: Builder,
        direction: str,
        inputs: Inputs,
        options: Options,
        needs: tuple[bool, ...],
    ) -> tuple[tuple[Any, ...], Any]:
        """Emit the instructions of a call; returns its outputs and what it saves."""
        if not self.strided and direction != "update":  # what is updated was refused with gaps
            from .elementwise import contiguous

            inputs = tuple([contiguous(builder, item) for item in inputs])
        return self.lowerings[direction](builder, inputs, options, needs)

    def forward(self, *inputs: Any, **options: Any) -> tuple[Any, Any]:
        """Compute the formula's forward."""
        outputs, saved = self._run("forward", inputs, options, (), ())
        return outputs if self.several else outputs[0], saved

    def backward(self, dY: Any, saved: Any, needs: tuple[bool, ...]) -> tuple[Any, ...]:
        """Compute the formula's backward."""
        return self.backward_into((), dY, saved, needs)

    def backward_into(
        self, into: Inputs, dY: Any, saved: Any, needs: tuple[bool, ...]
    ) -> tuple[Any, ...]:
        """Compute the formula's backward, gradients that fit into the arrays given for them."""
        given = (*dY, *saved) if self.several else (dY, *saved)
        gradients, _ = self._run("backward", given, {}, needs, into)
        return gradients

    def update(self, *inputs: Any, **options: Any) -> None:
        """Write the new values into the inputs that the formula updates."""
        eager = EagerBuilder()
        self.lower(eager, "update", inputs, options, ())
        eager.finish()

    @functools.cached_property
    def _known(self) -> dict[Hashable, dict[tuple[bool, ...], KnownCall | None]]:
        """The kinds of calls that were met, and by ``needs`` how one runs; None: it is not known.

        Of the first call nothing is taken down, for the sake of who has other shapes every time.
        """
        return {}

    def _run(
        self,
        direction: str,
        inputs: Inputs,
        options: Options,
        needs: tuple[bool, ...],
        into: Inputs,
    ) -> tuple[tuple[Any, ...], Any]:
        """Run a call as another one of its kind was lowered, or lower it."""
        kind = kind_of_call(direction, inputs, options) if self.repeats else None
        met = self._known.get(kind)
        found = None if met is None else met.get(needs)
        if found is not None:
            return found.run(inputs, into)
        eager = EagerBuilder(into)
        if met is not None and needs not in met:
            taker = CallTaker(eager)
            outputs, saved = self.lower(taker, direction, inputs, options, needs)
            met[needs] = taker.known(inputs, outputs, saved)
        else:
            outputs, saved = self.lower(eager, direction, inputs, options, needs)
            if met is None and kind is not None:
                if len(self._known) >= MOST_KINDS:
                    self._known.clear()
                self._known[kind] = {}
        eager.finish()
        return outputs, saved
