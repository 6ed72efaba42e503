"""What stands for tensors while ``torch.fx`` traces a ``forward``, and what is done with it."""

from __future__ import annotations

import dis
import operator
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

_IN_PLACE = ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "and", "or", "xor", "matmul")
_OWN = (__name__, "copy", "inspect")
_FACTORIES = {"arange", "as_tensor", "empty", "eye", "full", "linspace", "logspace", "ones", "rand",
              "randint", "randn", "randperm", "tensor", "zeros"}  # fmt: skip
_BUILTIN = type(len)
IN_PLACE_SAID = "it changes a tensor in place that is no parameter and no buffer"


class Untraceable(Exception):
    """What a graph cannot show of a ``forward``."""


def stand_in_kind(torch: Any) -> Any:
    """Return the class of stand-ins: with what changes tensors in place, and a type for inputs."""

    class TensorProxy(torch.fx.Proxy):  # type: ignore[misc]
        """What stands for a tensor."""

        def __setitem__(self, key: Any, value: Any) -> None:
            self.tracer.create_proxy("call_function", operator.setitem, (self, key, value), {})

        def __float__(self) -> float:
            self.tracer.found.caught = f"float() of a result ({self.node.name})"
            raise TypeError(self.tracer.found.caught)

        def __int__(self) -> int:
            self.tracer.found.caught = f"int() of a result ({self.node.name})"
            raise TypeError(self.tracer.found.caught)

        @property  # type: ignore[misc]
        def __class__(self) -> Any:
            """Answer isinstance: of an input that it is a tensor, of results nothing."""
            if not _asks_for_type(sys._getframe(1)):
                return TensorProxy
            if self.node.op == "placeholder":
                self.tracer.found.asked.add(self.node.target)
                return torch.Tensor
            raise Untraceable(f"it asks for the type of a result ({self.node.name})")

    for name in _IN_PLACE:
        setattr(TensorProxy, f"__i{name}__", _in_place(getattr(operator, f"i{name}")))
    return TensorProxy


def _asks_for_type(frame: FrameType) -> bool:
    """Say whether a line is a call of isinstance, and none of PyTorch's own.

    PyTorch's functions in C ask for the types of their arguments in the name of their caller.
    """
    home = frame.f_globals.get("__name__", "")
    if home.startswith("torch.") or home in _OWN:
        return False
    code = list(dis.get_instructions(frame.f_code))
    now = next((one for one in code if one.offset == frame.f_lasti), None)
    if now is None or now.opname == "MATCH_CLASS":
        return now is not None
    return any(
        one.argval == "isinstance"
        and one.positions is not None
        and now.positions is not None
        and one.positions[::2] == now.positions[::2]  # the line and the column where both begin
        for one in code
    )


def _in_place(function: Callable[..., Any]) -> Callable[[Any, Any], Any]:
    def change(self: Any, other: Any) -> Any:
        return self.tracer.create_proxy("call_function", function, (self, other), {})

    return change


def factories(torch: Any, tracer: Any) -> Any:
    """Return a mode in which functions that make tensors are written down, not called.

    Each call of ``forward`` has a new tensor then, random numbers too. It also refuses what changes
    a tensor in place that is none in the graph: what is done with it later is not seen.
    """

    class FactoryMode(torch.overrides.TorchFunctionMode):  # type: ignore[misc]
        """Sees each function of PyTorch's that is called."""

        def __torch_function__(
            self, function: Any, types: Any, args: Any = (), kwargs: Any = None
        ) -> Any:
            options, name = kwargs or {}, getattr(function, "__name__", "")
            values = [*args, *options.values()]
            held = [type(x) is torch.Tensor for x in values]
            if name in _FACTORIES and type(function) is _BUILTIN and not any(held):
                return tracer.create_proxy("call_function", function, args, options)
            changes = name in ("__setitem__", "set_") or re.fullmatch(r"(?!_).*[^_]_", name)
            stand_ins = any(type(x).__name__ == "TensorProxy" for x in values)
            if changes and stand_ins and held[0]:
                raise Untraceable(IN_PLACE_SAID)
            return function(*args, **options)

    return FactoryMode()


@contextmanager
def patched_factories(torch: Any, tracer: Any) -> Iterator[None]:
    """Write down torch.ones(n, n) too, whose sizes PyTorch reads before a mode sees the call."""
    originals = {name: getattr(torch, name) for name in _FACTORIES}

    def patched(original: Any) -> Any:
        def make(*args: Any, **options: Any) -> Any:
            if any(type(x).__name__ == "TensorProxy" for x in (*args, *options.values())):
                return tracer.create_proxy("call_function", original, args, options)
            return original(*args, **options)

        return make

    try:
        for name, original in originals.items():
            setattr(torch, name, patched(original))
        yield
    finally:
        for name, original in originals.items():
            setattr(torch, name, original)
