"""Weight and spectral normalisation as before parametrizations, for models that are saved so."""

from __future__ import annotations

from typing import Any

from nnscratch.errors import ConfigurationError
from nnscratch.nn import init
from nnscratch.nn.hooks import Table
from nnscratch.nn.layers import normalize
from nnscratch.nn.module import Module
from nnscratch.nn.parameter import Parameter
from nnscratch.nn.transposed_convolution import (
    ConvTranspose1d,
    ConvTranspose2d,
    ConvTranspose3d,
)
from nnscratch.nn.utils.parametrizations import norm_except_dim
from nnscratch.nn.utils.parametrize import ComputedParameters
from nnscratch.tensors import Tensor, no_grad
from nnscratch.tensors.creation import empty


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
    _restore(module, name, weight)
    return module


def _restore(module: Module, name: str, weight: Tensor) -> None:
    """Make a weight a parameter, in an ordinary table if no other one is computed."""
    own = module.__dict__
    if not own.get("_weight_norms") and not own.get("_spectral_norms"):
        own["_parameters"] = Table(module._parameters)
    module.register_parameter(name, Parameter(weight))


class SpectralNorm:
    """The hook that divides a weight by its largest singular value before each call."""

    def __init__(self, module: Any, name: str, iterations: int, eps: float, dim: int) -> None:
        self.name, self.count, self.eps, self.dim = name, iterations, eps, dim
        matrix = self.matrix(module)
        for end, size in zip("uv", matrix.shape, strict=True):
            start = init.normal_(empty(size, dtype=matrix.dtype, device=matrix.device))
            module.register_buffer(f"{name}_{end}", normalize(start, dim=0, eps=eps))

    def matrix(self, module: Any) -> Tensor:
        """Return the original weight as a matrix, whose rows are its dimension ``dim``."""
        weight: Tensor = getattr(module, f"{self.name}_orig").movedim(self.dim, 0)
        return weight.reshape(weight.shape[0], -1)

    def __call__(self, module: Any, inputs: Any) -> None:
        """Go on with the power iterations in training, and set the weight."""
        if module.training:
            self.iterate(module)
        module.__dict__[self.name] = self.compute(module)

    @no_grad()
    def iterate(self, module: Any) -> None:
        """Take v to Wᵀu and u to Wv, each of length 1."""
        u, v = (getattr(module, f"{self.name}_{end}") for end in "uv")
        matrix = self.matrix(module)
        for _ in range(self.count):
            v.copy_(normalize(matrix.t().mv(u), dim=0, eps=self.eps))
            u.copy_(normalize(matrix.mv(v), dim=0, eps=self.eps))

    def compute(self, module: Any) -> Any:
        """Return W / uᵀWv."""
        u, v = (getattr(module, f"{self.name}_{end}").clone() for end in "uv")
        return getattr(module, f"{self.name}_orig") / u.dot(self.matrix(module).mv(v))


def spectral_norm(
    module: Module,
    name: str = "weight",
    n_power_iterations: int = 1,
    eps: float = 1e-12,
    dim: int | None = None,
) -> Module:
    """Let a weight be ``weight_orig`` divided by its largest singular value.

    The buffers ``weight_u`` and ``weight_v`` estimate that by power iterations, which go on before
    each call in training. New models take ``parametrizations.spectral_norm``, which says what the
    arguments are.

    Raises:
        ConfigurationError: if the module has no such parameter, it has a spectral norm already, or
            there are no iterations.

    >>> from nnscratch import nn
    >>> sorted(spectral_norm(nn.Linear(3, 2)).state_dict())
    ['bias', 'weight_orig', 'weight_u', 'weight_v']
    """
    weight = module._parameters.get(name)
    if not isinstance(weight, Parameter):
        raise ConfigurationError(
            f"{type(module).__name__} has no parameter {name!r} that has no spectral_norm yet"
        )
    if n_power_iterations < 1:
        raise ConfigurationError(
            f"spectral_norm: n_power_iterations must be at least 1, got {n_power_iterations}"
        )
    if dim is None:
        dim = int(isinstance(module, (ConvTranspose1d, ConvTranspose2d, ConvTranspose3d)))
    delattr(module, name)
    module.__dict__["_parameters"] = ComputedParameters(module._parameters, module)
    module.register_parameter(f"{name}_orig", weight)
    module.__dict__[name] = weight.detach()
    hook = SpectralNorm(module, name, n_power_iterations, eps, dim)
    handle = module.register_forward_pre_hook(hook)
    module.__dict__.setdefault("_spectral_norms", {})[name] = (hook, handle)
    return module


def remove_spectral_norm(module: Module, name: str = "weight") -> Module:
    """Make such a weight an ordinary parameter again, of the value that it has now.

    Raises:
        ConfigurationError: if it has no spectral norm.
    """
    held = module.__dict__.get("_spectral_norms", {})
    if name not in held:
        raise ConfigurationError(f"{name!r} of {type(module).__name__} has no spectral_norm")
    hook, handle = held.pop(name)
    handle.remove()
    weight = hook.compute(module).detach()
    for own in (f"{name}_orig", f"{name}_u", f"{name}_v"):
        delattr(module, own)
    del module.__dict__[name]
    _restore(module, name, weight)
    return module
