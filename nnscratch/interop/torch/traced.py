"""A module that runs the calls which ``torch.fx`` found in a PyTorch module's ``forward``."""

from __future__ import annotations

import operator
from collections.abc import Iterator
from typing import Any

from nnscratch import nn


class TracedModule(nn.Module):
    """A module with the calls of a PyTorch module's ``forward``, in their order.

    Attributes:
        source: the name of PyTorch's class.

    Args:
        source: the name of the class.
        steps: each call: the name of its result, what is called, its arguments and keywords, in
            which ``Result`` stands for an earlier result.
    """

    def __init__(self, source: str, steps: list[TraceStep]) -> None:
        """Take the calls; layers are assigned afterwards."""
        super().__init__()
        self.source = source
        self._steps = steps

    def forward(self, *inputs: Any, **named: Any) -> Any:
        """Run the calls."""
        values: dict[str, Any] = {}
        given = iter(inputs)
        for step in self._steps:
            if step.kind == "placeholder":
                values[step.name] = _given(step, given, named)
                continue
            args = _filled(step.args, values)
            if step.kind == "output":
                return args[0]
            options = {key: _filled(value, values) for key, value in step.options.items()}
            if "training" in options:  # which the trace has as it was
                options["training"] = self.training
            if step.kind == "get_attr":
                values[step.name] = operator.attrgetter(step.target)(self)
            elif step.kind == "call_module":
                values[step.name] = self.get_submodule(step.target)(*args, **options)
            elif step.kind == "call_method":
                values[step.name] = getattr(args[0], step.target)(*args[1:], **options)
            else:
                values[step.name] = step.target(*args, **options)
        return None

    def extra_repr(self) -> str:
        """Return the name of PyTorch's class."""
        return f"of {self.source}"


class TraceStep:
    """One call."""

    def __init__(self, name: str, kind: str, target: Any, args: Any, options: dict[str, Any]):
        self.name, self.kind, self.target = name, kind, target
        self.args, self.options = args, options


class Result(str):
    """The name of an earlier result."""

    __slots__ = ()


def _given(step: TraceStep, given: Iterator[Any], named: dict[str, Any]) -> Any:
    for value in given:
        return value
    if step.target in named:
        return named[step.target]
    if step.args:
        return step.args[0]
    raise TypeError(f"forward() lacks the argument {step.target!r}")


def _filled(item: Any, values: dict[str, Any]) -> Any:
    if type(item) is Result:
        return values[item]
    if isinstance(item, (tuple, list)):
        return type(item)(_filled(one, values) for one in item)
    if isinstance(item, dict):
        return {key: _filled(one, values) for key, one in item.items()}
    if isinstance(item, slice):
        return slice(*(_filled(one, values) for one in (item.start, item.stop, item.step)))
    return item
