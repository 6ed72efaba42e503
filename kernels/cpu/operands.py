"""Putting arrays into elementwise loops: how they lie, and which loop that makes."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np

from nnscratch.array.addresses import numpy_address

from ..bodies import Parsed
from ..strided import TooManyAxesError, broadcast_strides, walk
from .loops import CONTIGUOUS, IN_PLACE, REPEATED, STRIDED, Loop, Node
from .runtime.table import Shifted


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

    def emit_now(self, builder: Any, strides: Sequence[tuple[int, ...]] | None = None) -> None:
        """Emit the loop as it is; one of more axes than a loop has as several of fewer.

        Args:
            builder: what takes the instructions.
            strides: of the inputs and then the outputs, the bytes along every axis, if known.
        """
        if self.alone is not None:
            builder.emit(*self.alone)
            return
        arrays = [*self.inputs, *(array for array, _ in self.outputs)]
        if strides is None:
            strides = [broadcast_strides(array, self.shape) for array in arrays]
        self._emit(builder, arrays, self.shape, tuple(strides), [0] * len(arrays))

    def _emit(
        self,
        builder: Any,
        arrays: list[Any],
        shape: tuple[int, ...],
        strides: tuple[tuple[int, ...], ...],
        at: list[int],
    ) -> None:
        try:
            sizes, steps, hows = _lying(shape, strides, tuple([one.itemsize for one in arrays]))
        except TooManyAxesError:
            inner = tuple([one[1:] for one in strides])
            for k in range(shape[0]):
                start = [here + k * one[0] for here, one in zip(at, strides, strict=True)]
                self._emit(builder, arrays, shape[1:], inner, start)
            return
        count = len(self.inputs)
        names = [_name(array.dtype) for array in arrays]
        addresses = [numpy_address(one) + offset for one, offset in zip(arrays, at, strict=True)]
        written = addresses[count:]
        ins = []
        for k, (name, how) in enumerate(zip(names[:count], hows, strict=False)):
            same = -1
            if addresses[k] in written:  # it may be the place of an output
                here = addresses[k], steps[k], name
                outputs = zip(written, steps[count:], names[count:], strict=True)
                same = next((o for o, place in enumerate(outputs) if place == here), -1)
            ins.append((name, how if same < 0 else IN_PLACE, same))
        outs = [
            (name, how, node)
            for name, how, (_, node) in zip(names[count:], hows[count:], self.outputs, strict=True)
        ]
        loop = _loop(
            self.dtype,
            tuple(ins),
            tuple(self.nodes),
            tuple(outs),
            len(self.numbers),
            tuple(self.options),
            tuple(self.scalars),
        )
        words: list[Any] = [*sizes]
        for array, step, offset in zip(arrays, steps, at, strict=True):
            words += [Shifted(array, offset) if offset else array, *step]
        builder.emit(loop.kernel, words, (*self.numbers, *self.options.values()))


@functools.cache
def _name(dtype: Any) -> str:
    """Return a dtype's name, which NumPy puts together anew each time it is asked."""
    return str(np.dtype(dtype).name)


@functools.lru_cache(maxsize=4096)  # a step of many layers asks for the same ones again and again
def _lying(
    shape: tuple[int, ...], strides: tuple[tuple[int, ...], ...], itemsizes: tuple[int, ...]
) -> tuple[tuple[int, ...], tuple[tuple[int, ...], ...], tuple[str, ...]]:
    """Return how a loop goes over arrays, and how each of them lies along its inner axis."""
    sizes, steps = walk(shape, strides)
    hows = [_how(size, step, sizes[0]) for size, step in zip(itemsizes, steps, strict=True)]
    if STRIDED in hows:  # one loop for all mixtures: none of them would vectorise well
        hows = [STRIDED] * len(hows)
    return sizes, steps, tuple(hows)


def _how(itemsize: int, step: tuple[int, ...], inner: int) -> str:
    if step[0] == itemsize:
        return CONTIGUOUS
    if step[0] == 0 and inner > 1:
        return REPEATED
    return CONTIGUOUS if inner == 1 else STRIDED


@functools.cache  # a loop is compiled once, however often it is described
def _loop(*what: Any) -> Loop:
    return Loop(*what)
