"""Gradients held within bounds: by the norm of them all, or each element by itself."""

from __future__ import annotations

from collections.abc import Iterable

from nnscratch import formulas as f
from nnscratch.array.dtypes import HALVES, dtype_name
from nnscratch.errors import NonFiniteError
from nnscratch.formulas import registry
from nnscratch.tensors import Tensor, apply
from nnscratch.tensors.creation import zeros
from nnscratch.tensors.functions import stack
from nnscratch.tensors.grad_mode import no_grad
from nnscratch.tensors.ops.complexes import view_as_real


def _gradients(parameters: Iterable[Tensor] | Tensor) -> list[Tensor]:
    given = [parameters] if isinstance(parameters, Tensor) else list(parameters)
    registry.notify_seen(given)
    return [parameter.grad for parameter in given if parameter.grad is not None]


def _wide_norm(given: list[Tensor], norm_type: float, finite: bool) -> Tensor:
    """Return the norm, of 16-bit tensors in float32: squares pass the largest number of float16."""
    if not given:
        return zeros()
    power = float(norm_type)
    real = [one.abs() if one.is_complex() else one for one in given]
    wide = [one.float() if dtype_name(one.dtype) in HALVES else one for one in real]
    norm: Tensor
    if power == 2.0:
        norm = stack([apply(f.SQUARED_NORM, one) for one in wide]).sum().sqrt()
    else:
        norm = stack([one.norm(power) for one in wide]).norm(power)
    if finite and not bool(norm.isfinite()):
        raise NonFiniteError(f"the norm of the gradients is {norm.item()}")
    return norm


def _narrowed(norm: Tensor, given: list[Tensor]) -> Tensor:
    """Return the norm in the dtype that stacking the norms of all has: 16 bits only of those."""
    kinds = {dtype_name(one.dtype) for one in given}
    return norm.to(*kinds) if len(kinds) == 1 and kinds < HALVES else norm


def _scale(gradients: list[Tensor], max_norm: float, norm: Tensor) -> None:
    for gradient in gradients:
        own = norm.to(gradient.device)
        parts = view_as_real(gradient) if gradient.is_complex() else gradient
        registry.update(f.SCALE_BY_NORM, parts.array, own.array, max_norm=float(max_norm))
        gradient._version[0] += 1


@no_grad()
def clip_grad_norm_(
    parameters: Iterable[Tensor] | Tensor,
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Tensor:
    r"""Multiply all gradients by $\min(1, c / (|g| + 10^{-6}))$ and return their norm $|g|$ before.

    Args:
        parameters: whose gradients are taken together, as one long vector.
        max_norm: the most that the norm may be, c.
        norm_type: p of the norm (Σ |g|^p)^(1/p); infinity for the largest absolute value. Norms of
            float16 gradients are added up in float32.
        error_if_nonfinite: raise instead of going on with NaN.
        foreach: PyTorch's way to do the same; it changes nothing.

    Raises:
        NonFiniteError: if asked for, and the norm is NaN or infinite.
    """
    gradients = _gradients(parameters)
    norm = _wide_norm(gradients, norm_type, error_if_nonfinite)
    _scale(gradients, max_norm, norm)
    return _narrowed(norm, gradients)


@no_grad()
def get_total_norm(
    tensors: Iterable[Tensor] | Tensor,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Tensor:
    """Return the norm of some tensors, taken together as one long vector.

    Args:
        tensors: gradients, for example.
        norm_type: p of the norm (Σ |x|^p)^(1/p); infinity for the largest absolute value. Norms of
            float16 tensors are added up in float32; several dtypes give the widest of them.
        error_if_nonfinite: raise instead of returning NaN or an infinity.
        foreach: PyTorch's way to compute the same; it changes nothing.

    Raises:
        NonFiniteError: if asked for, and the norm is NaN or infinite.

    >>> from nnscratch import tensor
    >>> get_total_norm([tensor([3.0]), tensor([[4.0]])])
    tensor(5.)
    """
    given = [tensors] if isinstance(tensors, Tensor) else list(tensors)
    norm = _wide_norm(given, norm_type, error_if_nonfinite)
    return _narrowed(norm, given)


@no_grad()
def clip_grads_with_norm_(
    parameters: Iterable[Tensor] | Tensor,
    max_norm: float,
    total_norm: Tensor,
    foreach: bool | None = None,
) -> None:
    r"""Multiply all gradients by $\min(1, c / (|g| + 10^{-6}))$, given their norm $|g|$.

    Args:
        parameters: whose gradients are changed.
        max_norm: c.
        total_norm: their norm, as ``get_total_norm`` returns it.
        foreach: PyTorch's way to do the same; it changes nothing.
    """
    _scale(_gradients(parameters), max_norm, total_norm)


@no_grad()
def clip_grad_value_(
    parameters: Iterable[Tensor] | Tensor, clip_value: float, foreach: bool | None = None
) -> None:
    """Hold every element of every gradient between -clip_value and clip_value.

    ``foreach`` is PyTorch's way to do the same; it changes nothing.
    """
    for gradient in _gradients(parameters):
        registry.update(f.CLIP_BY_VALUE, gradient.array, limit=float(clip_value))
        gradient._version[0] += 1
