"""Weights as a length and a direction, and weights of spectral norm 1."""

from __future__ import annotations

from typing import Any

from nnscratch.absent import refuse_absent_names
from nnscratch.errors import ConfigurationError, ShapeError
from nnscratch.nn import init
from nnscratch.nn.module import Module
from nnscratch.nn.transposed_convolution import ConvTranspose1d, ConvTranspose2d, ConvTranspose3d
from nnscratch.nn.utils.parametrize import register_parametrization
from nnscratch.tensors import Tensor
from nnscratch.tensors.creation import empty
from nnscratch.tensors.grad_mode import no_grad

__all__ = ["norm_except_dim", "spectral_norm", "weight_norm"]


def norm_except_dim(v: Tensor, pow: float = 2.0, dim: int | None = 0) -> Tensor:
    """Return the norm over all dimensions but one, which are kept; of None and -1 over all.

    Raises:
        ShapeError: if there is no such dimension.
    """
    if dim is None or dim == -1:
        found: Tensor = v.norm(pow)
        return found
    if not -v.ndim <= dim < max(1, v.ndim):
        raise ShapeError(f"norm_except_dim: dim={dim} is out of range for {v.shape}")
    dim %= max(1, v.ndim)
    rest = tuple(axis for axis in range(v.ndim) if axis != dim)
    if not rest:
        return v.abs()
    found = v.norm(pow, rest, keepdim=True)
    return found


class _WeightNorm(Module):
    def __init__(self, dim: int | None = 0) -> None:
        super().__init__()
        self.dim = -1 if dim is None else dim

    def forward(self, weight_g: Tensor, weight_v: Tensor) -> Tensor:
        found: Tensor = weight_v * (weight_g / norm_except_dim(weight_v, 2.0, self.dim))
        return found

    def right_inverse(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        return norm_except_dim(weight, 2.0, self.dim), weight


def weight_norm(module: Module, name: str = "weight", dim: int | None = 0) -> Module:
    r"""Let a weight be $g\, v / \|v\|$ of a length g and a direction v, trained in its place.

    Both are in ``module.parametrizations.weight``, as ``original0`` and ``original1`` (Salimans
    and Kingma 2016).

    Args:
        module: whose weight it is.
        name: of the parameter.
        dim: the dimension along which each slice has a length of its own; None for one length.

    >>> from nnscratch import nn
    >>> layer = weight_norm(nn.Linear(3, 2))
    >>> layer.parametrizations.weight.original0.shape
    (2, 1)
    """
    return register_parametrization(module, name, _WeightNorm(dim), unsafe=True)


class _SpectralNorm(Module):
    def __init__(
        self, weight: Tensor, n_power_iterations: int = 1, dim: int = 0, eps: float = 1e-12
    ) -> None:
        super().__init__()
        if n_power_iterations < 1:
            raise ConfigurationError(
                f"spectral_norm: n_power_iterations must be at least 1, got {n_power_iterations}"
            )
        if not -weight.ndim <= dim < weight.ndim:
            raise ShapeError(f"spectral_norm: dim={dim} is out of range for {weight.shape}")
        self.dim, self.eps = dim % weight.ndim, eps
        self.n_power_iterations = n_power_iterations
        self.several = weight.ndim > 1
        if self.several:
            matrix = self._matrix(weight.detach())
            form: dict[str, Any] = {"dtype": matrix.dtype, "device": matrix.device}
            rows, columns = matrix.shape
            self.register_buffer("_u", self._unit(init.normal_(empty(rows, **form))))
            self.register_buffer("_v", self._unit(init.normal_(empty(columns, **form))))
            self._iterate(matrix, 15)

    def _matrix(self, weight: Tensor) -> Tensor:
        if self.dim:
            rest = [axis for axis in range(weight.ndim) if axis != self.dim]
            weight = weight.permute(self.dim, *rest)
        return weight.reshape(weight.shape[0], -1)

    def _unit(self, x: Tensor) -> Tensor:
        found: Tensor = x / x.norm().clamp(min=self.eps)
        return found

    @no_grad()
    def _iterate(self, matrix: Tensor, count: int) -> None:
        for _ in range(count):
            self._u.copy_(self._unit((matrix @ self._v.unsqueeze(1)).squeeze(1)))
            self._v.copy_(self._unit((matrix.t() @ self._u.unsqueeze(1)).squeeze(1)))

    def forward(self, weight: Tensor) -> Tensor:
        if not self.several:
            return self._unit(weight)
        matrix = self._matrix(weight)
        if self.training:
            self._iterate(matrix.detach(), self.n_power_iterations)
        u, v = self._u.clone(), self._v.clone()
        sigma = u.dot((matrix @ v.unsqueeze(1)).squeeze(1))
        found: Tensor = weight / sigma
        return found

    def right_inverse(self, value: Tensor) -> Tensor:
        return value


def spectral_norm(
    module: Module,
    name: str = "weight",
    n_power_iterations: int = 1,
    eps: float = 1e-12,
    dim: int | None = None,
) -> Module:
    r"""Let a weight be divided by its largest singular value (Miyato and others 2018).

    That is estimated by power iterations, which go on in each step of training from where the last
    one was: its vectors are buffers.

    Args:
        module: whose weight it is.
        name: of the parameter.
        n_power_iterations: iterations each time.
        eps: the least norm that is divided by.
        dim: the dimension that counts as rows, 1 of transposed convolutions and else 0 unless
            given.

    Raises:
        ConfigurationError: if the module has no such parameter.

    >>> from nnscratch import nn
    >>> layer = spectral_norm(nn.Linear(3, 2))
    >>> [name for name, _ in layer.named_buffers()]
    ['parametrizations.weight.0._u', 'parametrizations.weight.0._v']
    """
    weight: Any = getattr(module, name, None)
    if not isinstance(weight, Tensor):
        raise ConfigurationError(f"{type(module).__name__} has no parameter or buffer {name!r}")
    if dim is None:
        transposed = (ConvTranspose1d, ConvTranspose2d, ConvTranspose3d)
        dim = 1 if isinstance(module, transposed) else 0
    made = _SpectralNorm(weight, n_power_iterations, dim, eps)
    return register_parametrization(module, name, made)


refuse_absent_names(__name__)
