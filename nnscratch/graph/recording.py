"""``record``: run a function once and return its graph."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from nnscratch.array import asarray, is_array
from nnscratch.formulas import registry
from nnscratch.graph.graph import Graph
from nnscratch.graph.nested import mapped
from nnscratch.graph.recorder import Recorder
from nnscratch.tensors import Tensor


def record(function: Callable[..., Any], *inputs: Any, **options: Any) -> Graph:
    """Call a function or a module once, and return the graph of what it computed.

    It is a real call: a training step that is recorded has been taken. Python that is no
    computation on tensors (branches, numbers read with ``item()``) is not in the graph, which is
    that of these inputs.

    Args:
        function: what is called: a module, a function of tensors, a whole training step.
        inputs: its arguments; arrays and tensors anywhere in them are the inputs of the graph,
            arrays are passed on as tensors.
        options: its keyword arguments, likewise.

    Returns:
        A graph of any direction that ran: forwards, backwards, updates of optimizers. ``print``
        shows a line for each call, with parameters by their names, other captured arrays as
        ``@0``, dynamic scalars (a learning rate, a counter of random numbers) as ``<0.001>``.

    Raises:
        Exception: whatever the function raises.

    >>> from nnscratch import nn, ones
    >>> class Net(nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.fc1, self.fc2 = nn.Linear(4, 3), nn.Linear(3, 2, bias=False)
    ...
    ...     def forward(self, x):
    ...         return self.fc2(self.fc1(x).relu() * 2)
    >>> print(record(Net(), ones(5, 4)))
    graph(%0: float32 (5, 4)):
      %1 = linear(%0, fc1.weight, fc1.bias)  # fc1
      %2 = relu(%1)
      %3 = multiply(%2, B=2)
      %4 = linear(%3, fc2.weight)  # fc2
      return %4
    """
    arrays: list[Any] = []

    def given(item: Any) -> Any:
        if isinstance(item, Tensor) or (is_array(item) and not isinstance(item, np.generic)):
            tensor = item if isinstance(item, Tensor) else Tensor(asarray(item))
            if not any(tensor.array is one for one in arrays):
                arrays.append(tensor.array)
            return tensor
        return item

    inputs, options = mapped(given, (inputs, options))
    recorder = Recorder(arrays)
    with registry.observing(recorder):
        result = function(*inputs, **options)
    recorder.graph.outputs = mapped(
        lambda item: recorder.value_of(item.array) if isinstance(item, Tensor) else item, result
    )
    recorder.name_captured()
    return recorder.graph
