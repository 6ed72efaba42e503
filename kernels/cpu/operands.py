"""Putting arrays into elementwise loops: how they lie, and which loop that makes."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from nnscratch.array.addresses import numpy_address

from ..bodies import Parsed
from ..strided import TooManyAxesError, repeated_strides, walk
from .loops import CONTIGUOUS, IN_PLACE, REPEATED, STRIDED, Loop, Node
from .runtime.kernel import Kernel
from .runtime.table import Shifted


class Place(NamedTuple):
    """Where an array's elements lie, for a loop over a shape that it broadcasts to.

    Attributes:
        address: of its first element.
        lie: the bytes along every axis of the shape, 0 along those of one element, and the name of
            the array's dtype.
        first: the address of its first byte, which another element's is where strides are negative.
        behind: the address of the byte behind its last one.
    """

    address: int
    lie: Lie
    first: int
    behind: int


Lie = tuple[tuple[int, ...], str]
"""The bytes along every axis of a loop's shape, and the name of a dtype."""


class Operands:
    """Collects the arrays and numbers of a loop and says how they lie.

    Attributes:
        shape: what everything broadcasts to.
        dtype: the name of the dtype to compute in.
        alone: (kernel, a, s) of a hand-written kernel that does the same, and quicker, if the loop
            is joined with no other.
    """

    def __init__(self, shape: tuple[int, ...], dtype: Any) -> None:
        """Start with the shape that everything broadcasts to and the dtype to compute in."""
        self.shape, self.dtype = shape, _name(dtype)
        self.inputs: list[Any] = []
        self.numbers: list[Any] = []
        self.nodes: list[Node] = []
        self.outputs: list[tuple[Any, int]] = []
        self.results = 0
        self.options: dict[str, Any] = {}
        self.scalars: list[str] = []
        self.alone: Any = None

    def add(self, value: Any) -> tuple[str, int]:
        """Return what stands for an array or a number among a node's parameters."""
        if not isinstance(value, np.ndarray):
            self.numbers.append(value)
            return "number", len(self.numbers) - 1
        for place, known in enumerate(self.inputs):
            if known is value:
                return "input", place
        self.inputs.append(value)
        return "input", len(self.inputs) - 1

    def scalar(self, text: str) -> tuple[str, int]:
        """Return what stands for an expression in options, computed once before the loop."""
        self.scalars.append(text)
        return "scalar", len(self.scalars) - 1

    def apply(
        self, body: Parsed, takes: Sequence[tuple[str, int]], results: int = 1
    ) -> tuple[str, int]:
        """Apply a body, and return what stands for its first result."""
        self.nodes.append(Node(body, tuple(takes), results))
        self.results += results
        return "node", self.results - results

    def store(self, node: tuple[str, int], array: Any) -> None:
        """Write the result of a node into an array.

        Raises:
            TypeError: for what is none, as a number that indexing made of an array.
        """
        if not isinstance(array, np.ndarray):
            raise TypeError(f"a loop writes into arrays, got {type(array).__name__}")
        self.outputs.append((array, node[1]))

    def emit(self, builder: Any) -> None:
        """Hand the loop to a builder, which may join it with others before it emits them."""
        builder.loop(self)

    def emit_now(self, builder: Any, places: Sequence[Place] | None = None) -> None:
        """Emit the loop as it is; one of more axes than a loop has as several of fewer.

        Args:
            builder: what takes the instructions.
            places: of the inputs and then the outputs, if they are known.
        """
        if self.alone is not None:
            builder.emit(*self.alone)
            return
        arrays = [*self.inputs, *[array for array, _ in self.outputs]]
        if places is None:
            places = [place_of(array, self.shape) for array in arrays]
        addresses, lies, _, _ = zip(*places, strict=True)
        self._emit(builder, arrays, self.shape, lies, addresses, None)

    def _emit(
        self,
        builder: Any,
        arrays: list[Any],
        shape: tuple[int, ...],
        lies: tuple[Lie, ...],
        addresses: Sequence[int],
        offsets: Sequence[int] | None,
    ) -> None:
        """Emit the loop over a part of the arrays, which begins so many bytes behind their own."""
        count = len(self.inputs)
        places = [*zip(addresses, lies, strict=True)]
        outputs = places[count:]  # an input may be the place of one of them
        try:
            kernel, sizes, steps = _kernel(
                self.dtype,
                shape,
                lies,
                tuple([outputs.index(one) if one in outputs else -1 for one in places[:count]]),
                tuple(self.nodes),
                tuple([node for _, node in self.outputs]),
                len(self.numbers),
                tuple(self.options),
                tuple(self.scalars),
            )
        except TooManyAxesError:
            inner = tuple([(strides[1:], dtype) for strides, dtype in lies])
            before = offsets or [0] * len(arrays)
            for k in range(shape[0]):
                ways = [k * strides[0] for strides, _ in lies]
                starts = [at + way for at, way in zip(addresses, ways, strict=True)]
                behind = [at + way for at, way in zip(before, ways, strict=True)]
                self._emit(builder, arrays, shape[1:], inner, starts, behind)
            return
        if offsets is not None:
            pairs = zip(arrays, offsets, strict=True)
            arrays = [Shifted(array, offset) if offset else array for array, offset in pairs]
        words: list[Any] = [*sizes]
        for array, step in zip(arrays, steps, strict=True):
            words += (array, *step)
        builder.emit(kernel, words, (*self.numbers, *self.options.values()))


def place_of(array: Any, shape: tuple[int, ...]) -> Place:
    """Return where an array's elements lie for a loop over a shape that it broadcasts to."""
    lie, before, behind = _extent(array.shape, array.strides, array.dtype, shape)
    at = numpy_address(array)
    return Place(at, lie, at - before, at + behind)


@functools.lru_cache(maxsize=4096)
def _extent(
    own: tuple[int, ...], strides: tuple[int, ...], dtype: Any, shape: tuple[int, ...]
) -> tuple[Lie, int, int]:
    """Return how an array lies, and its bytes before its first element's and from there on."""
    along = repeated_strides(own, strides, len(shape))
    ways = [(size - 1) * step for size, step in zip(shape, along, strict=True)]
    before = -sum(way for way in ways if way < 0)
    return (along, _name(dtype)), before, sum(way for way in ways if way > 0) + dtype.itemsize


@functools.cache
def _name(dtype: Any) -> str:
    """Return a dtype's name, which NumPy puts together anew each time it is asked."""
    return str(np.dtype(dtype).name)


@functools.lru_cache(maxsize=4096)  # a step of many layers asks for the same ones again and again
def _kernel(
    dtype: str,
    shape: tuple[int, ...],
    lies: tuple[Lie, ...],
    same: tuple[int, ...],
    nodes: tuple[Node, ...],
    results: tuple[int, ...],
    *rest: Any,
) -> tuple[Kernel, tuple[int, ...], tuple[tuple[int, ...], ...]]:
    """Return the kernel of a loop, and how it goes over the arrays (``Walk``).

    Args:
        dtype: what it computes in.
        shape: of the loop.
        lies: how the inputs and outputs lie.
        same: for each input which output lies in its place, -1 if none does.
        nodes: see ``Loop``.
        results: for each output, which result of the nodes it is.
        rest: the other fields of ``Loop``.
    """
    sizes, steps = walk(shape, tuple([strides for strides, _ in lies]))
    names = [name for _, name in lies]
    hows = [_how(name, step, sizes[0]) for name, step in zip(names, steps, strict=True)]
    if STRIDED in hows:  # one loop for all mixtures: none of them would vectorise well
        hows = [STRIDED] * len(hows)
    kinds, count = list(zip(names, hows, strict=True)), len(same)
    ins = [
        (name, how if output < 0 else IN_PLACE, output)
        for (name, how), output in zip(kinds[:count], same, strict=True)
    ]
    outs = [(*kind, result) for kind, result in zip(kinds[count:], results, strict=True)]
    return _loop(dtype, tuple(ins), nodes, tuple(outs), *rest).kernel, sizes, steps


def _how(dtype: str, step: tuple[int, ...], inner: int) -> str:
    if step[0] == np.dtype(dtype).itemsize:
        return CONTIGUOUS
    if step[0] == 0 and inner > 1:
        return REPEATED
    return CONTIGUOUS if inner == 1 else STRIDED


@functools.cache  # a loop is compiled once, whatever it goes over
def _loop(*what: Any) -> Loop:
    return Loop(*what)
