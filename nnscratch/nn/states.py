"""Parameters and buffers by path, out of a module and into it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from nnscratch.errors import CheckpointError
from nnscratch.nn.parameter import Parameter
from nnscratch.tensors import Tensor, as_tensor

if TYPE_CHECKING:
    from nnscratch.nn.module import Module


class IncompatibleKeys(NamedTuple):
    """What ``load_state_dict`` found too little or too much."""

    missing_keys: list[str]
    unexpected_keys: list[str]


def collect(module: Module, prefix: str, found: dict[str, Tensor], keep_vars: bool) -> None:
    """Write what is to be saved of a module and all inside it into a dictionary."""
    for name, held in (*module._parameters.items(), *module._buffers.items()):
        if held is not None and name not in module._unsaved:
            found[prefix + name] = held if keep_vars else held.detach()
    for name, child in module._modules.items():
        if child is not None:
            child.state_dict(destination=found, prefix=f"{prefix}{name}.", keep_vars=keep_vars)


def load(module: Module, state: Mapping[str, Any], strict: bool, assign: bool) -> IncompatibleKeys:
    """Do what ``Module.load_state_dict`` says."""
    if not isinstance(state, Mapping):
        raise TypeError(f"a state dict is a dictionary, got {type(state).__name__}")
    own = module.state_dict()
    missing = [key for key in own if key not in state]
    unexpected = [key for key in state if key not in own]
    problems = []
    if strict and missing:
        problems.append(f"missing keys: {', '.join(missing)}")
    if strict and unexpected:
        problems.append(f"unexpected keys: {', '.join(unexpected)}")
    values = {key: as_tensor(state[key]) for key in own if key in state}
    problems += [
        f"{key} has shape {value.shape}, the model needs {own[key].shape}"
        for key, value in values.items()
        if value.shape != own[key].shape
    ]
    if problems:
        raise CheckpointError(
            f"the weights do not fit this {type(module).__name__}: " + "; ".join(problems)
        )
    for key, value in values.items():
        if assign:
            _assign(module, key, value)
        else:
            own[key].copy_(value.detach())
    return IncompatibleKeys(missing, unexpected)


def _assign(module: Module, key: str, value: Tensor) -> None:
    where, _, name = key.rpartition(".")
    owner = module.get_submodule(where)
    before = owner._parameters.get(name)
    if before is not None:
        if not isinstance(value, Parameter):
            value = Parameter(value.detach(), requires_grad=before.requires_grad)
        value.requires_grad_(before.requires_grad)
    setattr(owner, name, value if before is not None else value.detach())
