"""``summary``: the layers of a model, and what they cost."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from nnscratch.inspect.costs import LayerCost, example_inputs, layer_costs
from nnscratch.inspect.table import bytes_text, count_text, plain_table, shape_text, show_table
from nnscratch.nn.module import Module
from nnscratch.train.markup import html_table

_HEAD = ("layer", "kind", "output", "parameters", "FLOPs", "kept")
_RIGHT = (3, 4, 5)


@dataclass(frozen=True)
class Row:
    """One line of a summary.

    Attributes:
        path: of the module; empty for the model itself.
        kind: its class.
        depth: how deep it lies.
        outputs: the shapes it returned; empty if it was not called.
        parameters: how many numbers it learns by itself, without its children; parameters that
            an earlier line has are not counted again.
        flops: operations of its own forward.
        kept: bytes that its own forward keeps for the backward.
    """

    path: str
    kind: str
    depth: int
    outputs: tuple[tuple[int, ...], ...]
    parameters: int
    flops: int
    kept: int


@dataclass(frozen=True)
class Summary:
    """What ``summary`` returns; its ``repr`` is the table.

    Attributes:
        title: the model's class and what it was called with.
        rows: a line for each call of a module, then the modules that were not called.
        parameters: how many numbers the model holds in its parameters.
        trainable: how many of them ask for a gradient.
        parameter_bytes: the memory of the parameters and buffers.
        gradient_bytes: the memory of all gradients.
        kept_bytes: what one forward keeps for the backward, beside parameters and inputs.
        flops: operations of one forward.
    """

    title: str
    rows: tuple[Row, ...]
    parameters: int
    trainable: int
    parameter_bytes: int
    gradient_bytes: int
    kept_bytes: int
    flops: int

    def __repr__(self) -> str:
        table = plain_table(_HEAD, self._cells(), _RIGHT)
        rule = "-" * max(map(len, table.splitlines()))
        return "\n".join([self.title, "", table, rule, *self.totals()])

    def show(self) -> None:
        """Print the table, with rich if it is installed."""
        show_table(_HEAD, self._cells(), _RIGHT, self.title)
        print(*self.totals(), sep="\n")

    def _repr_html_(self) -> str:
        return html_table(_HEAD, self._cells(), _RIGHT, self.title, self.totals())

    def totals(self) -> list[str]:
        """Return what stands below the table."""
        frozen = self.parameters - self.trainable
        return [
            f"parameters  {self.parameters:,}" + (f", {frozen:,} of them frozen" if frozen else ""),
            f"memory      {bytes_text(self.parameter_bytes)} parameters and buffers, "
            f"{bytes_text(self.gradient_bytes)} gradients, "
            f"{bytes_text(self.kept_bytes)} kept for the backward",
            f"forward     {count_text(self.flops)} FLOPs",
        ]

    def _cells(self) -> list[list[str]]:
        return [
            [
                "  " * row.depth + (row.path.rpartition(".")[2] or "(the model)"),
                row.kind,
                shape_text(row.outputs) if row.outputs else "not called",
                f"{row.parameters:,}" if row.parameters else "-",
                count_text(row.flops) if row.flops else "-",
                bytes_text(row.kept) if row.kept else "-",
            ]
            for row in self.rows
        ]


def summary(model: Module, input_shape: Any, dtype: Any = None) -> Summary:
    """Call a model once and return its layers, shapes, parameters, memory and operations.

    Args:
        model: which is called in its present mode, and left as it was.
        input_shape: with the batch dimension; a list of shapes for several inputs; or tensors.
        dtype: of the zeros that it is called with; the parameters' own if not given.

    Returns:
        A summary to print, or to ``show()`` with rich. An operation is a product, a sum, or a
        function of one entry; what only moves entries counts nothing.

    Raises:
        ConfigurationError: if ``input_shape`` is no shape.
        NNScratchError: whatever the model says of such an input.

    >>> from nnscratch import nn
    >>> print(summary(nn.Sequential(nn.Linear(10, 10), nn.ReLU(), nn.Linear(10, 2)), (1000, 10)))
    Sequential with an input of shape (1000, 10)
    <BLANKLINE>
    layer        kind        output      parameters    FLOPs      kept
    ------------------------------------------------------------------
    (the model)  Sequential  (1000, 2)            -        -         -
      0          Linear      (1000, 10)         110  210.0 K         -
      1          ReLU        (1000, 10)           -   10.0 K  39.1 KiB
      2          Linear      (1000, 2)           22   42.0 K         -
    ------------------------------------------------------------------
    parameters  132
    memory      528 B parameters and buffers, 528 B gradients, 39.1 KiB kept for the backward
    forward     262.0 K FLOPs
    """
    inputs = example_inputs(model, input_shape, dtype)
    costs = layer_costs(model, *inputs)
    counted: set[int] = set()
    rows = [_row(cost, counted) for cost in costs]
    called = {id(cost.call.module) for cost in costs}
    for path, module in model.named_modules():
        if id(module) not in called:
            depth = path.count(".") + 1
            kind = type(module).__name__
            rows.append(Row(path, kind, depth, (), _parameters(module, counted), 0, 0))
    parameters = list(model.parameters())
    shapes = shape_text([tuple(item.shape) for item in inputs])
    words = "an input of shape" if len(inputs) == 1 else "inputs of shapes"
    return Summary(
        title=f"{type(model).__name__} with {words} {shapes}",
        rows=tuple(rows),
        parameters=sum(p.numel() for p in parameters),
        trainable=sum(p.numel() for p in parameters if p.requires_grad),
        parameter_bytes=sum(map(_bytes, [*parameters, *model.buffers()])),
        gradient_bytes=sum(_bytes(p) for p in parameters if p.requires_grad),
        kept_bytes=sum(cost.kept for cost in costs),
        flops=sum(cost.flops for cost in costs),
    )


def _row(cost: LayerCost, counted: set[int]) -> Row:
    call = cost.call
    own = _parameters(call.module, counted)
    kind = type(call.module).__name__ + (" (again)" if call.again else "")
    return Row(call.path, kind, call.depth, call.outputs, own, cost.flops, cost.kept)


def _parameters(module: Module, counted: set[int]) -> int:
    total = 0
    for parameter in module.parameters(recurse=False):
        if id(parameter) not in counted:
            counted.add(id(parameter))
            total += parameter.numel()
    return total


def _bytes(tensor: Any) -> int:
    return int(math.prod(tensor.shape) * tensor.array.dtype.itemsize)
