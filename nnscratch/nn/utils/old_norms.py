"""Weight normalisation as PyTorch had it before parametrizations, for models that are saved so."""

from __future__ import annotations

from typing import Any

from nnscratch.errors import ConfigurationError
from nnscratch.nn.hooks import Table
from nnscratch.nn.module import Module
from nnscratch.nn.parameter import Parameter
from nnscratch.nn.utils.parametrizations import norm_except_dim
from nnscratch.nn.utils.parametrize import ComputedParameters


class WeightNorm:
    """The hook that computes a weight of its length and its direction before each call."""

    def __init__(self, name: str, dim: int | None) -> None:
        self.name, self.dim = name, -1 if dim is None else dim

    def __call__(self, module: Any, inputs: Any) -> None:
        """Set the weight."""
        module.__dict__[self.name] = self.compute(module)

    def compute(self, module: Any) -> Any:
        """Return g v / |v|."""
        g, v = getattr(module, f"{self.name}_g"), getattr(module, f"{self.name}_v")
        return v * (g / norm_except_dim(v, 2.0, self.dim))


def weight_norm(module: Module, name: str = "weight", dim: int | None = 0) -> Module:
    """Let a weight be of a length and a direction, the parameters ``weight_g`` and ``weight_v``.

    New models take ``parametrizations.weight_norm``.

    Raises:
        ConfigurationError: if the module has no such parameter, or it has a weight norm already.

    >>> from nnscratch import nn
    >>> sorted(weight_norm(nn.Linear(3, 2)).state_dict())
    ['bias', 'weight_g', 'weight_v']
    """
    if name in module.__dict__.get("_weight_norms", {}):
        raise ConfigurationError(
            f"{name!r} of {type(module).__name__} has a weight_norm already; remove_weight_norm "
            "takes it away"
        )
    weight = module._parameters.get(name)
    if weight is None:
        raise ConfigurationError(f"{type(module).__name__} has no parameter {name!r}")
    hook = WeightNorm(name, dim)
    length = norm_except_dim(weight.detach(), 2.0, hook.dim)
    delattr(module, name)
    module.__dict__["_parameters"] = ComputedParameters(module._parameters, module)
    module.register_parameter(f"{name}_g", Parameter(length))
    module.register_parameter(f"{name}_v", Parameter(weight.detach()))
    module.__dict__[name] = hook.compute(module)
    handle = module.register_forward_pre_hook(hook)
    module.__dict__.setdefault("_weight_norms", {})[name] = (hook, handle)
    return module


def remove_weight_norm(module: Module, name: str = "weight") -> Module:
    """Make such a weight an ordinary parameter again.

    Raises:
        ConfigurationError: if it has no length and direction.
    """
    held = module.__dict__.get("_weight_norms", {})
    if name not in held:
        raise ConfigurationError(f"{name!r} of {type(module).__name__} has no weight_norm")
    hook, handle = held.pop(name)
    handle.remove()
    weight = hook.compute(module).detach()
    delattr(module, f"{name}_g")
    delattr(module, f"{name}_v")
    del module.__dict__[name]
    if not held:
        module.__dict__["_parameters"] = Table(module._parameters)
    module.register_parameter(name, Parameter(weight))
    return module
