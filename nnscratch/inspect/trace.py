"""One forward pass of a model, watched: which layer ran which formula on which shapes.

The model is left as it was: no gradients are recorded, the hooks go away again, and the random
numbers that dropout takes are given back.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from nnscratch.array import Generator, is_array
from nnscratch.array.random import default_generator
from nnscratch.errors import ConfigurationError
from nnscratch.formulas import registry
from nnscratch.formulas.observing import Call, Observer
from nnscratch.nn.module import Module
from nnscratch.tensors import Tensor, as_tensor, creation
from nnscratch.tensors.grad_mode import no_grad


@dataclass(eq=False)
class LayerCall:
    """One call of a module, in the order in which the calls began.

    Attributes:
        path: of the module, as in ``named_modules()``; empty for the model itself.
        module: which one.
        depth: how many calls it lies inside of.
        again: whether the module was called before.
        inputs: the shapes that it was called with.
        outputs: the shapes that it returned.
        formulas: names of the formulas that ran in its own ``forward``, not in a child's.
        flops: how many operations these were.
        kept: bytes that these keep for the backward, beside parameters and inputs of the model.
    """

    path: str
    module: Module
    depth: int
    again: bool
    inputs: tuple[tuple[int, ...], ...]
    outputs: tuple[tuple[int, ...], ...] = ()
    formulas: list[str] = field(default_factory=list)
    flops: int = 0
    kept: int = 0


class _Watcher(Observer):
    """Attributes every formula to the innermost module that is running."""

    def __init__(self, model: Module, known: Sequence[Any]) -> None:
        self.calls: list[LayerCall] = []
        self._open: list[LayerCall] = []
        self._paths = {id(module): path for path, module in model.named_modules()}
        self._called: set[int] = set()
        self._held = [_memory(array) for array in known]  # alive, so that no id is used twice
        self._seen = {id(array) for array in self._held}

    def enter(self, module: Module, inputs: tuple[Any, ...]) -> None:
        """Begin a module's call."""
        call = LayerCall(
            self._paths.get(id(module), "?"), module, len(self._open), id(module) in self._called,
            _shapes(inputs),
        )  # fmt: skip
        self._called.add(id(module))
        self.calls.append(call)
        self._open.append(call)

    def leave(self, module: Module, inputs: tuple[Any, ...], output: Any) -> None:
        """End it."""
        self._open.pop().outputs = _shapes(output)

    def on_call(self, call: Call) -> None:
        """Note a formula."""
        if not self._open or call.direction != "forward":
            return
        layer = self._open[-1]
        layer.formulas.append(call.formula.name)
        layer.flops += flops_of(call)
        if call.formula.backward is None:
            return
        for item in call.saved if isinstance(call.saved, tuple) else ():
            if is_array(item) and item.shape:
                memory = _memory(item)
                if id(memory) not in self._seen:
                    self._seen.add(id(memory))
                    self._held.append(memory)
                    layer.kept += int(math.prod(memory.shape) * memory.dtype.itemsize)


def trace(model: Module, *inputs: Any) -> list[LayerCall]:
    """Call a model once in its present mode, and return what each module did.

    Raises:
        NNScratchError: whatever the model raises for these inputs.
    """
    given = [as_tensor(item) if is_array(item) else item for item in inputs]
    known = [held.array for held in (*model.parameters(), *model.buffers())]
    known += [item.array for item in given if isinstance(item, Tensor)]
    watcher = _Watcher(model, known)
    handles: list[Any] = []
    try:
        for module in model.modules():
            handles.append(module.register_forward_pre_hook(watcher.enter))
            handles.append(module.register_forward_hook(watcher.leave))
        with _random_numbers_kept(model), no_grad(), registry.observing(watcher):
            model(*given)
    finally:
        for handle in handles:
            handle.remove()
    return watcher.calls


def example_inputs(model: Module, shapes: Any, dtype: Any = None) -> list[Any]:
    """Return zeros of one shape or of several, where the model's parameters are.

    Tensors and arrays in the place of shapes are taken as they are.

    Raises:
        ConfigurationError: if it is neither.
    """
    if isinstance(shapes, (Tensor, int)) or is_array(shapes):
        shapes = [shapes]
    elif all(isinstance(size, int) for size in shapes):
        shapes = [tuple(shapes)]
    first = next(iter(model.parameters()), None)
    made = []
    for shape in shapes:
        if isinstance(shape, Tensor) or is_array(shape):
            made.append(shape)
            continue
        sizes = (shape,) if isinstance(shape, int) else tuple(shape)
        if not all(isinstance(n, int) and n >= 0 for n in sizes):
            raise ConfigurationError(
                f"expected a shape such as (32, 10), its batch dimension included, got {shape!r}"
            )
        device = None if first is None else first.device
        kind = dtype if dtype is not None or first is None else first.dtype
        made.append(creation.zeros(*sizes, dtype=kind, device=device))
    return made


def flops_of(call: Call) -> int:
    """Return the operations of a forward: a product and a sum one each, a function of an entry one.

    What only moves entries counts nothing.
    """
    shape = tuple(getattr(call.outputs[0], "shape", ()))
    size = int(math.prod(shape))
    name, family = call.formula.name, call.formula.family
    if name in ("linear", "linear_activation"):
        W, b = call.inputs[1], (*call.inputs, None)[2]
        return 2 * size * int(W.shape[1]) + size * ((b is not None) + (name != "linear"))
    if name == "matmul":
        return 2 * size * int(call.inputs[0].shape[-1])
    if family in ("shaping", "indexing", "assignment") or name == "cast":
        return 0
    if family in ("reductions", "losses", "class_losses", "binary_losses", "margin_losses"):
        return int(math.prod(call.inputs[0].shape))
    return size


def _memory(array: Any) -> Any:
    while (base := getattr(array, "base", None)) is not None and hasattr(base, "dtype"):
        array = base
    return array


def _shapes(value: Any) -> tuple[tuple[int, ...], ...]:
    """Return the shapes of all tensors in a value, in order."""
    if isinstance(value, Tensor) or is_array(value):
        return (tuple(value.shape),)
    parts = value.values() if isinstance(value, dict) else value
    if not isinstance(value, (tuple, list, dict)):
        return ()
    return tuple(shape for part in parts for shape in _shapes(part))


@contextmanager
def _random_numbers_kept(model: Module) -> Iterator[None]:
    held = [v for m in model.modules() for v in vars(m).values() if isinstance(v, Generator)]
    before = [(generator, generator.state()) for generator in (default_generator, *held)]
    try:
        yield
    finally:
        for generator, state in before:
            generator.set_state(state)
