"""Outputs that a caller may write into: they share no memory with what is the model's."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from nnscratch.array.addresses import copied, owner
from nnscratch.interop.onnx.graphs import GraphStep, Steps
from nnscratch.tensors import Tensor


def apart(outputs: Iterable[Any], others: Iterable[Any]) -> list[Any]:
    """Return outputs, copies of those in whose memory something else lies.

    An operator such as Slice, Identity or Reshape may return a view of what it is given. Inside a
    graph nobody writes into it; whoever gets it as an output may.

    Args:
        outputs: tensors, arrays and None.
        others: likewise: weights, constants and inputs. Another output is one of these, too.
    """
    taken = {id(owner(_array(one))) for one in others if one is not None}
    made = []
    for one in outputs:
        array = _array(one)
        if array is not None and array.size and id(owner(array)) in taken:
            one = one.clone() if isinstance(one, Tensor) else copied(one)
        taken.add(id(owner(array)))
        made.append(one)
    return made


def _array(value: Any) -> Any:
    return value.array if isinstance(value, Tensor) else value


def arrays_inside(steps: Iterable[GraphStep]) -> Iterator[np.ndarray]:
    """Go through the arrays in steps, in the graphs of their control flow and their functions."""
    for step in steps:
        graphs = [*step.made.values()]
        for value in step.attributes.values():
            if isinstance(value, np.ndarray):
                yield value
            elif isinstance(value, Steps):
                graphs.append(value)
        for graph in graphs:
            yield from (one for one in graph.values.values() if isinstance(one, np.ndarray))
            yield from arrays_inside(graph.steps)
