"""Eager calls that come again with arrays of the same shapes: run as they were lowered before.

What a lowering makes of a call follows from shapes, dtypes and options; only addresses differ from
one call to the next. Of a few thousand numbers it takes several times as long as the instructions
themselves. So the second call of its kind is taken down, and those behind it allocate what it
allocated, write the addresses into its words, and run all of its instructions together.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nnscratch.array.addresses import numpy_address

from .runtime.eager import ROOM, buffers, run_words
from .runtime.state import WORDS
from .runtime.table import Shifted, word
from .runtime.threads import worth_sharing

_ARRAY = np.ndarray
_SHARED = frozenset({int, str})
_USUAL = 0x101  # NPY_ARRAY_C_CONTIGUOUS and NPY_ARRAY_ALIGNED
LINE = 64
"""Bytes of a line of the caches: on its edges arrays begin that nobody sees but the kernels."""


def kind_of_call(direction: str, inputs: tuple[Any, ...], options: dict[str, Any]) -> Hashable:
    """Return what calls have in common that are lowered to the same; None if that is not known.

    It is not of arrays with gaps, of which a lowering may look at the strides, nor where one array
    is given twice.
    """
    said: list[Any] = [direction, *options]
    arrays = []
    for item in (*inputs, *options.values()):
        kind = type(item)
        if kind is _ARRAY:
            if item.flags.num & _USUAL != _USUAL:
                return None
            arrays.append(id(item))
            said += (item.shape, item.dtype)
        elif kind is float:
            said.append(item.hex())  # 0.0 is not -0.0, nor 0
        elif item is None or kind is int or kind is str:
            said.append(item)
        elif kind is bool:
            said += (bool, item)
        elif kind is tuple and _SHARED.issuperset(map(type, item)):
            said.append(item)
        else:
            return None
    return tuple(said) if len(set(arrays)) == len(arrays) else None


def fitting(given: Any, shape: tuple[int, ...], dtype: Any) -> Any:
    """Return the array given for an output if it fits, else a new one.

    Kernels write outputs in order: one with gaps or axes in another order does not fit.
    """
    if given is None or given.shape != shape or given.dtype != dtype:
        return np.empty(shape, dtype)
    return given if given.flags.c_contiguous else np.empty(shape, dtype)


@dataclass(frozen=True)
class KnownCall:
    """A call as it was lowered.

    Attributes:
        made: what is allocated beside the inputs: (number of the output or -1, shape, dtype).
        scratch: the bytes of what only the instructions see, in one piece.
        words: all instructions and their entries, as one thread's buffer takes them.
        moving: (place in ``words``, number of an array, bytes behind its begin). The arrays are the
            inputs, what is made, then the scratch, then the buffer itself.
        count: how many instructions there are.
        nanoseconds: their work that threads can share.
        outputs: for each the number of its array, None for None.
        saved: what makes what is saved of its values, and these.
        kept: (place in ``saved``, number of an array).
    """

    made: tuple[tuple[int, tuple[int, ...], Any], ...]
    scratch: int
    words: list[int]
    moving: tuple[tuple[int, int, int], ...]
    count: int
    nanoseconds: float
    outputs: tuple[int | None, ...]
    saved: tuple[Callable[[list[Any]], Any], list[Any]] | None
    kept: tuple[tuple[int, int], ...]

    def run(self, inputs: tuple[Any, ...], into: tuple[Any, ...]) -> tuple[tuple[Any, ...], Any]:
        """Run it on other arrays; returns its outputs and what it saves."""
        arrays = [item for item in inputs if type(item) is _ARRAY]
        for position, shape, dtype in self.made:
            if into and position >= 0:
                arrays.append(fitting(into[position], shape, dtype))
            else:
                arrays.append(np.empty(shape, dtype))
        at = [numpy_address(array) for array in arrays]
        if self.scratch:
            scratch = np.empty(self.scratch + LINE, np.uint8)
            at.append(-(-numpy_address(scratch) // LINE) * LINE)
        local = buffers()
        at.append(local.first)
        words = self.words.copy()
        for place, array, offset in self.moving:
            words[place] = at[array] + offset
        run_words(local, words, self.count, self.nanoseconds)
        outputs = tuple([None if one is None else arrays[one] for one in self.outputs])
        if self.saved is None:
            return outputs, None
        make, values = self.saved
        values = values.copy()
        for place, array in self.kept:
            values[place] = arrays[array]
        return outputs, make(values)


class CallTaker:
    """A builder that takes down what a lowering emits, and hands it on to another one."""

    def __init__(self, builder: Any) -> None:
        """Begin with nothing."""
        self._builder = builder
        self._made: list[tuple[int, Any]] = []
        self._instructions: list[tuple[Any, tuple[Any, ...], tuple[Any, ...], int]] = []
        self._whole = True

    def output(
        self, position: int, shape: tuple[int, ...], dtype: Any, over: tuple[Any, ...] = ()
    ) -> Any:
        """Take down an output."""
        self._made.append((position, self._builder.output(position, shape, dtype)))
        return self._made[-1][1]

    def empty(self, shape: tuple[int, ...], dtype: Any) -> Any:
        """Take down another array."""
        self._made.append((-1, self._builder.empty(shape, dtype)))
        return self._made[-1][1]

    def turned(self, position: int, shape: tuple[int, ...], dtype: Any) -> Any:
        """Take down another array, of which the output is the transpose."""
        return self.empty(shape[::-1], dtype).T

    def added_to(self, position: int) -> Any | None:
        """Return None, as for every eager call."""
        return None

    def emit(self, kernel: Any, a: Any, s: Any = (), flags: int = 0) -> None:
        """Take down an instruction."""
        self._instructions.append((kernel, tuple(a), tuple(s), flags))
        self._builder.emit(kernel, a, s, flags)

    def loop(self, operands: Any) -> None:
        """Take down a loop."""
        operands.emit_now(self)

    def is_constant(self, array: Any) -> bool:
        """Say no."""
        return False

    def once(self, emit: Callable[..., Any], *given: Any) -> Any:
        """Take down what is emitted, as everything."""
        return emit(self, *given)

    def python(self, function: Callable[[], None], reads_arguments: bool = False) -> None:
        """Know that Python has a part in such a call, which is lowered anew each time."""
        self._whole = False
        self._builder.python(function, reads_arguments)

    def check(self, function: Callable[[], None]) -> None:
        """Know that such a call may come to a stop, and is lowered anew each time."""
        self._whole = False
        self._builder.check(function)

    def known(
        self, inputs: tuple[Any, ...], outputs: tuple[Any, ...], saved: Any
    ) -> KnownCall | None:
        """Return the call that was taken down, None if only its lowering can make it again."""
        if not self._whole:
            return None
        given = [item for item in inputs if type(item) is _ARRAY]
        values = [] if saved is None else list(saved)
        seen = {id(one) for one in (*outputs, *values)}
        made = [(place, one) for place, one in self._made if id(one) in seen]
        hidden = [one for _, one in self._made if id(one) not in seen]
        arrays = [*given, *(one for _, one in made)]
        where = {id(one): (number, 0) for number, one in enumerate(arrays)}
        size = 0
        for one in hidden:
            where[id(one)] = len(arrays), size
            size += -(-one.nbytes // LINE) * LINE
        try:
            numbers = [None if one is None else where[id(one)][0] for one in outputs]
            kept = [
                (place, where[id(one)][0])
                for place, one in enumerate(values)
                if not isinstance(one, (type(None), str, int, float, tuple))
            ]
            words, moving = self._laid_out(where, [*arrays, *hidden], len(arrays) + bool(size))
        except KeyError:  # an array that is none of these, nor lies in one of them
            return None
        if len(words) > ROOM:
            return None
        for place, _ in kept:
            values[place] = None  # so that the arrays of this call are not kept
        make = getattr(saved, "_make", type(saved))
        costs = [kernel.cost(list(map(word, a))) for kernel, a, _, _ in self._instructions]
        return KnownCall(
            tuple([(place, one.shape, one.dtype) for place, one in made]),
            size,
            words,
            tuple(moving),
            len(self._instructions),
            worth_sharing(costs),
            tuple(numbers),
            None if saved is None else (make, values),
            tuple(kept),
        )

    def _laid_out(
        self, where: dict[int, tuple[int, int]], arrays: list[Any], buffer: int
    ) -> tuple[list[int], list[tuple[int, int, int]]]:
        """Return the words of all instructions, and which of them are addresses."""
        lines: list[int] = []
        entries: list[int] = []
        moving: list[tuple[int, int, int]] = []
        begin = WORDS * len(self._instructions)
        for number, (kernel, a, s, flags) in enumerate(self._instructions):
            for place, item in enumerate(a, begin + len(entries)):
                if isinstance(item, (_ARRAY, Shifted)):
                    moving.append((place, *_found(item, where, arrays)))
            top = begin + len(entries)
            moving.append((WORDS * number + 1, buffer, 8 * top))
            moving.append((WORDS * number + 2, buffer, 8 * (top + len(a))))
            lines += (kernel.address, 0, 0, flags)
            entries += [*map(word, a), *struct.unpack(f"{len(s)}q", struct.pack(f"{len(s)}d", *s))]
        return lines + entries, moving


def _found(item: Any, where: dict[int, tuple[int, int]], arrays: Sequence[Any]) -> tuple[int, int]:
    """Return the number of the array that an entry is, or lies in, and how far behind its begin.

    Raises:
        KeyError: if there is none, or several.
    """
    array = item.array if isinstance(item, Shifted) else item
    further = item.offset if isinstance(item, Shifted) else 0
    if id(array) in where:
        number, offset = where[id(array)]
        return number, offset + further
    low, high = np.lib.array_utils.byte_bounds(array)
    holders = []
    for one in arrays:
        begin, end = np.lib.array_utils.byte_bounds(one)
        if begin <= low and high <= end:
            holders.append((one, numpy_address(array) - begin))
    if len(holders) != 1:
        raise KeyError(low)
    ((holder, inside),) = holders
    number, offset = where[id(holder)]
    return number, offset + inside + further
