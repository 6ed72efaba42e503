"""Parameters and buffers by path, out of a module and into it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from nnscratch.array.named import NamedValues
from nnscratch.errors import CheckpointError
from nnscratch.nn.parameter import Parameter
from nnscratch.tensors import Tensor, as_tensor

if TYPE_CHECKING:
    from nnscratch.nn.module import Module


class IncompatibleKeys(NamedValues):
    """What ``load_state_dict`` found too little or too much."""

    missing_keys: list[str]
    unexpected_keys: list[str]


_EXTRA = "_extra_state"


class ExtraState:
    """What a module keeps beside its parameters and buffers, if its class says how.

    >>> from nnscratch import nn
    >>> class Counting(nn.Module):
    ...     count = 0
    ...     def get_extra_state(self):
    ...         return {"count": self.count}
    ...     def set_extra_state(self, state):
    ...         self.count = state["count"]
    >>> Counting().state_dict()
    {'_extra_state': {'count': 0}}
    """

    def get_extra_state(self) -> Any:
        """Return what ``state_dict`` is to hold as ``_extra_state``; a subclass defines it.

        ``nnscratch.save`` writes tensors, numbers, texts, and lists and dictionaries of them.
        """
        raise TypeError(f"{type(self).__name__} defines no get_extra_state(self)")

    def set_extra_state(self, state: Any) -> None:
        """Take back what ``get_extra_state`` returned, in ``load_state_dict``."""
        raise TypeError(f"{type(self).__name__} defines no set_extra_state(self, state)")


def _saved(module: Module) -> Iterator[tuple[str, Tensor]]:
    for name, held in (*module._parameters.items(), *module._buffers.items()):
        if held is not None and name not in module._unsaved:
            yield name, held


def collect(module: Module, prefix: str, found: dict[str, Any], keep_vars: bool) -> None:
    """Write what is to be saved of a module and all inside it into a dictionary."""
    for name, held in _saved(module):
        found[prefix + name] = held if keep_vars else held.detach()
    if type(module).get_extra_state is not ExtraState.get_extra_state:
        found[prefix + _EXTRA] = module.get_extra_state()
    for name, child in module._modules.items():
        if child is not None:
            child.state_dict(destination=found, prefix=f"{prefix}{name}.", keep_vars=keep_vars)


def load(module: Module, state: Mapping[str, Any], strict: bool, assign: bool) -> IncompatibleKeys:
    """Do what ``Module.load_state_dict`` says."""
    if not isinstance(state, Mapping):
        raise TypeError(f"a state dict is a dictionary, got {type(state).__name__}")
    kept: dict[str, Any] = {}
    hooked = False
    for path, inner in module.named_modules(remove_duplicate=False):
        prefix = f"{path}." if path else ""
        kept |= {prefix + name: held.detach() for name, held in _saved(inner)}
        if type(inner).set_extra_state is not ExtraState.set_extra_state:
            kept[prefix + _EXTRA] = inner
        hooked = hooked or bool(inner._load_hooks)
    own = {key: one for key, one in kept.items() if isinstance(one, Tensor)}
    missing = [key for key in kept if key not in state]
    unexpected = [key for key in state if key not in kept]
    values = {key: as_tensor(state[key]) for key in own if key in state}
    shapes = [
        f"{key} has shape {value.shape}, the model needs {own[key].shape}"
        for key, value in values.items()
        if value.shape != own[key].shape
    ]
    if not hooked or shapes:
        _refuse(module, missing if strict else [], unexpected if strict else [], shapes)
    for key, value in values.items():
        if assign:
            _assign(module, key, value)
        else:
            own[key].copy_(value.detach())
    for key, one in kept.items():
        if key not in own and key in state:
            one.set_extra_state(state[key])
    found = IncompatibleKeys(missing, unexpected)
    _finish(module, found)
    _refuse(module, missing if strict else [], unexpected if strict else [], [])
    return found


def _refuse(module: Module, missing: list[str], unexpected: list[str], problems: list[str]) -> None:
    if unexpected:
        problems = [f"unexpected keys: {', '.join(unexpected)}", *problems]
    if missing:
        problems = [f"missing keys: {', '.join(missing)}", *problems]
    if problems:
        raise CheckpointError(
            f"the weights do not fit this {type(module).__name__}: " + "; ".join(problems)
        )


def _finish(module: Module, keys: IncompatibleKeys) -> None:
    """Call the hooks behind ``load_state_dict``: of the modules inside, then of this one."""
    for child in module._modules.values():
        if child is not None:
            _finish(child, keys)
    for hook in list(module._load_hooks):
        nothing("load_state_dict", hook.function(module, keys))


def nothing(name: str, returned: Any) -> None:
    """Refuse what a hook behind a method returned, since it changes things in place.

    Raises:
        TypeError: if it is not None.
    """
    if returned is not None:
        raise TypeError(
            f"a hook behind {name} changes what it is given in place and returns None, got "
            f"{type(returned).__name__}"
        )


def _assign(module: Module, key: str, value: Tensor) -> None:
    where, _, name = key.rpartition(".")
    owner = module.get_submodule(where)
    before = owner._parameters.get(name)
    if before is not None:
        if not isinstance(value, Parameter):
            value = Parameter(value.detach(), requires_grad=before.requires_grad)
        value.requires_grad_(before.requires_grad)
    setattr(owner, name, value if before is not None else value.detach())
