"""Recording a model for ``export``: once with the sample, twice more with other batches.

What is written holds for every batch only if it follows from the three recordings: every size is
a number, or grows with the batch by the same step; everything else is the same in all of them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from nnscratch.array import to_numpy
from nnscratch.errors import ConfigurationError, NNScratchError
from nnscratch.formulas import registry
from nnscratch.formulas.line_maps import LineMap
from nnscratch.formulas.observing import Observer
from nnscratch.graph import Graph, Node, Value, record
from nnscratch.graph.nested import leaves
from nnscratch.graph.recorder import Recorder
from nnscratch.nn import Module
from nnscratch.tensors import Tensor
from nnscratch.tensors.functions import cat
from nnscratch.tensors.grad_mode import no_grad

_FIXED = "export with dynamic_batch=False"
# What sizes are written in: the only options that may grow with the batch.
_SIZES = {"reshape": "shape", "broadcast_to": "shape", "split": "sizes"}
# Python's branches are those of the sample, as the docstring of ``export`` says.
_ALLOWED = ("a branch on its truth",)


class ExportWatch(Observer):
    """Notes what Python reads of the values that a model computes, or writes past its formulas.

    Attributes:
        reads: the values that were read, and by what.
        hidden: whether items were set in an array that formulas had used before.
    """

    def __init__(self) -> None:
        """Begin with nothing."""
        self.reads: list[tuple[Value, str]] = []
        self.hidden = False

    def on_read(self, array: Any, what: str) -> None:
        """Note a read."""
        for one in registry.observers():
            if isinstance(one, Recorder):
                value = one.value_of(array)
                self.reads.append((value, what))
                if what == "setting items":
                    used = {item.root() for node in one.graph.nodes for item in node.values()}
                    self.hidden = self.hidden or value.root() in used


def recorded(model: Any, inputs: list[Tensor]) -> Graph:
    """Return the graph of one run in evaluation mode; modes are as before afterwards.

    Raises:
        ConfigurationError: if Python read values that follow from the inputs: what it made of them
            would be a constant of the file.
    """
    modules = list(model.modules()) if isinstance(model, Module) else []
    trained = [one for one in modules if one.training]
    watch = ExportWatch()
    try:
        if modules:
            model.eval()
        with no_grad(), registry.observing(watch):
            graph = record(model, *inputs)
    finally:
        for one in trained:
            one.__dict__["training"] = True
    follows = set(graph.inputs)
    for node in graph.nodes:
        if not follows.isdisjoint(one for one in node.inputs if isinstance(one, Value)):
            made = [one for one in node.outputs if isinstance(one, Value)]
            follows.update(made)
            if node.direction == "update":
                follows.update(one.root() for one in made)
    for value, what in watch.reads:
        if what == "setting items" and (watch.hidden or value.root() in follows):
            raise ConfigurationError(
                "export: items of a tensor are set in place, which no formula records; write it "
                "as nnscratch.where(condition, a, b)"
            )
        if what not in _ALLOWED and value in follows:
            raise ConfigurationError(
                f"export: {what} reads values that follow from the input, and what Python makes "
                "of them would be that of the sample; compute it with tensors"
            )
    return graph


def of_more_rows(inputs: list[Tensor], rows: int, count: int) -> list[Tensor]:
    """Return the inputs with another number of rows, those of the sample again and again."""
    times, rest = divmod(count, max(rows, 1))
    return [
        cat([*[one] * times, one[:rest]]) if one.ndim and one.shape[0] == rows else one
        for one in inputs
    ]


def twin_of(model: Any, inputs: list[Tensor], graph: Graph) -> Graph:
    """Return the recording with one row more than the sample's.

    Raises:
        ConfigurationError: if sizes do not grow with the batch by a step of their own, or anything
            else depends on it.
    """
    rows = inputs[0].shape[0]
    # Of two recordings any two sizes lie on a line; a third shows whether they do. It is farther
    # off, so that a third of the batch, rounded down, is another one too.
    others = []
    for count in (rows + 1, 2 * rows + 3):
        try:
            others.append(recorded(model, of_more_rows(inputs, rows, count)))
        except ConfigurationError:
            raise
        except NNScratchError as error:
            raise ConfigurationError(
                f"export: the model does not run with a batch of {count}: {error}; {_FIXED}"
            ) from error
    _need_same(graph, others[0], others[1], rows + 3)
    return others[0]


def _need_same(graph: Graph, twin: Graph, third: Graph, apart: int) -> None:
    """Check that three recordings are one; the third has ``apart`` rows more than the first."""
    count = len(graph.nodes)
    if len(twin.nodes) != count or len(third.nodes) != count:
        raise _another("the model computes something else", None)
    for nodes in zip(graph.nodes, twin.nodes, third.nodes, strict=True):
        first = nodes[0]
        if any(one.formula is not first.formula for one in nodes):
            raise _another("the model computes something else", first)
        for what in ("inputs", "outputs"):
            given = [getattr(one, what) for one in nodes]
            if any(len(one) != len(given[0]) for one in given):
                raise _another(f"{first.formula.name} has another number of {what}", first)
            for values in zip(*given, strict=True):
                _need_same_value(values, apart, first)
        for name in {key for one in nodes for key in one.options}:
            options = [one.options.get(name) for one in nodes]
            if _SIZES.get(first.formula.name) == name:
                same = _on_a_line(options, apart)
            else:
                same = _same(options[0], options[1]) and _same(options[0], options[2])
            if not same:
                raise _another(f"{name} of {first.formula.name} depends on it", first)
    for values in zip(*(leaves(one.outputs) for one in (graph, twin, third)), strict=False):
        _need_same_value(values, apart, None)


def _another(what: str, node: Node | None) -> ConfigurationError:
    where = f"in {node.layer.label}: " if node is not None and node.layer else ""
    return ConfigurationError(f"export: {where}with another batch size, {what}; {_FIXED}")


def _need_same_value(values: tuple[Any, ...], apart: int, node: Node | None) -> None:
    first = values[0]
    if not isinstance(first, Value):
        if not (_same(first, values[1]) and _same(first, values[2])):
            raise _another("a number depends on it, or on what the inputs hold", node)
        return
    if not all(isinstance(one, Value) and one.kind == first.kind for one in values):
        raise _another("the model computes something else", node)
    if not _on_a_line([one.shape for one in values], apart):
        raise _another("a size is no multiple of the batch plus a number", node)
    if first.kind == "captured" and not all(_same_rows(first, one) for one in values[1:]):
        raise _another("an array that the model makes in its forward pass depends on it", node)


def _on_a_line(sizes: list[Any], apart: int) -> bool:
    """Say whether sizes (of 0, 1 and ``apart`` rows more) grow by the same step for each row."""
    if any(one is None or len(one) != len(sizes[0]) for one in sizes):
        return sizes == [None] * len(sizes)
    return all(c == a + (b - a) * apart for a, b, c in zip(*sizes, strict=True))


def _same_rows(value: Value, other: Value) -> bool:
    """Say whether two captured arrays are equal in what both have."""
    if value.array is other.array:
        return True
    both = tuple([slice(0, min(a, b)) for a, b in zip(value.shape, other.shape, strict=True)])
    one, two = (np.asarray(to_numpy(item.array))[both] for item in (value, other))
    return one.dtype == two.dtype and one.tobytes() == two.tobytes()


def _same(a: Any, b: Any) -> bool:
    """Say whether two options are the same, arrays and tuples in them too."""
    if a is b:
        return True
    if isinstance(a, Value) or isinstance(b, Value):
        return isinstance(a, Value) and isinstance(b, Value)
    if type(a) is not type(b):
        return False
    if isinstance(a, (tuple, list)):
        return len(a) == len(b) and all(map(_same, a, b))
    if isinstance(a, np.ndarray):
        return bool(a.dtype == b.dtype) and a.shape == b.shape and a.tobytes() == b.tobytes()
    if isinstance(a, LineMap):
        return a.size == b.size and _same((a.index, a.weight), (b.index, b.weight))
    if isinstance(a, slice):
        return _same((a.start, a.stop, a.step), (b.start, b.stop, b.step))
    return bool(a == b) or (a != a and b != b)


def outputs_of(graph: Graph) -> list[Value]:
    """Return the tensors that a model returned, in order."""
    return [one for one in leaves(graph.outputs) if isinstance(one, Value)]


def needed(graph: Graph, outputs: Iterable[Value]) -> set[int]:
    """Return the ids of the nodes whose results the outputs come from.

    A change in place is one of them if what it changes shares its memory with any that is.
    """
    wanted = set(outputs)
    roots = {one.root() for one in wanted}
    found: set[int] = set()
    for node in reversed(graph.nodes):
        made = [one for one in node.outputs if isinstance(one, Value)]
        if not wanted.isdisjoint(made) or (
            node.direction == "update" and not roots.isdisjoint(one.root() for one in made)
        ):
            found.add(id(node))
            read = [one for one in node.inputs if isinstance(one, Value)]
            wanted.update(read)
            roots.update(one.root() for one in read)
    return found
