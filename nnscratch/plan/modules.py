"""Modules whose calls are replayed, where nobody differentiates them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import chain
from typing import Any

from nnscratch.absent import AbsentNameError
from nnscratch.graph.nested import leaves
from nnscratch.nn.module import Module
from nnscratch.plan.compiled import Compiled
from nnscratch.plan.plan import Plan
from nnscratch.tensors import Tensor
from nnscratch.tensors.grad_mode import mode


class ModuleCall(Compiled):
    """The call of a module: replayed, but eager where its result is to have a graph."""

    def __init__(self, module: Module, strict: bool, name: str | None, freeze: bool) -> None:
        """Wrap the call of a module, its hooks included."""
        super().__init__(module._run, strict, name, freeze)
        self._module = module
        self._made_graphs = False

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Replay the call, or run it eagerly.

        Raises:
            PlanError: if the module does something that a replay could not repeat.
        """
        if mode.enabled and (self._made_graphs or self._has_graph(args, kwargs)):
            return self.function(*args, **kwargs)
        return super().__call__(*args, **kwargs)

    def _has_graph(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
        own = chain(self._module.parameters(), self._module.buffers())
        return _asks(chain(leaves((args, kwargs)), own))

    def _keeps_graph(self, result: Any) -> bool:
        """Say whether a result has a graph, of tensors that are neither given nor registered.

        An attribute that is no parameter, or a module in a list: it will have one again.
        """
        if mode.enabled and _asks(leaves(result)):
            self._made_graphs = True
        return mode.enabled and self._made_graphs


def _asks(items: Iterable[Any]) -> bool:
    return any(isinstance(one, Tensor) and one.requires_grad for one in items)


class CompiledModule(Module):
    """A module whose calls are those of another one, replayed; ``compile`` makes it.

    It has the other one's parameters, buffers and modes, under PyTorch's name ``_orig_mod``, and
    all other attributes are read and assigned there. The other one stays as it was.
    """

    def __init__(
        self, module: Module, strict: bool = True, name: str | None = None, freeze: bool = False
    ) -> None:
        """Wrap a module."""
        super().__init__()
        self.__dict__["_how"] = strict, name or type(module).__name__, freeze
        self._modules["_orig_mod"] = module
        self.__setstate__({})

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take a copy's or a pickle's state: it is compiled anew."""
        self.__dict__.update(state)
        self.__dict__["_compiled_call"] = self.call_of(self)

    def call_of(self, module: Module) -> ModuleCall:
        """Return what replays the calls of a module with the settings of this one."""
        return ModuleCall(module, *self._how)

    @property
    def training(self) -> bool:  # type: ignore[override]
        """Whether the other module is in training mode."""
        return bool(self._modules["_orig_mod"].training)

    @property
    def plans(self) -> list[Plan]:
        """The plans that are kept, in the order in which they were made."""
        return list(self._compiled_call.plans)

    def bound(self, *inputs: Any) -> Callable[[list[Any]], Any] | None:
        """Return what replays the call of these inputs at once, see ``Compiled.bound``."""
        call: ModuleCall = self._compiled_call
        return call.bound(*inputs)

    def forward(self, *inputs: Any, **options: Any) -> Any:
        """Call the module."""
        return self._orig_mod(*inputs, **options)

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AbsentNameError:
            return getattr(self._orig_mod, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._orig_mod, name, value)

    def __delattr__(self, name: str) -> None:
        delattr(self._orig_mod, name)
