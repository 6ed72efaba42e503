"""Gradients held within bounds: by the norm of them all, or each element by itself."""

from __future__ import annotations

from collections.abc import Iterable

from nnscratch import formulas as f
from nnscratch.errors import NonFiniteError
from nnscratch.formulas import registry
from nnscratch.tensors import Tensor, apply
from nnscratch.tensors.creation import zeros
from nnscratch.tensors.functions import stack
from nnscratch.tensors.grad_mode import no_grad


def _gradients(parameters: Iterable[Tensor] | Tensor) -> list[Tensor]:
    given = [parameters] if isinstance(parameters, Tensor) else list(parameters)
    registry.notify_seen(given)
    return [parameter.grad for parameter in given if parameter.grad is not None]


@no_grad()
def clip_grad_norm_(
    parameters: Iterable[Tensor] | Tensor,
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
) -> Tensor:
    r"""Multiply all gradients by $\min(1, c / (|g| + 10^{-6}))$ and return their norm $|g|$ before.

    Args:
        parameters: whose gradients are taken together, as one long vector.
        max_norm: the most that the norm may be, c.
        norm_type: p of the norm (Σ |g|^p)^(1/p); infinity for the largest absolute value. Norms of
            float16 gradients are added up in float32.
        error_if_nonfinite: raise instead of going on with NaN.

    Raises:
        NonFiniteError: if asked for, and the norm is NaN or infinite.
    """
    gradients = _gradients(parameters)
    if not gradients:
        return zeros()
    power = float(norm_type)
    wide = [g.float() if g.dtype == "float16" else g for g in gradients]
    if power == 2.0:
        norm = stack([apply(f.SQUARED_NORM, gradient) for gradient in wide]).sum().sqrt()
    else:
        norm = stack([gradient.norm(power) for gradient in wide]).norm(power)
    if error_if_nonfinite and not bool(norm.isfinite()):
        raise NonFiniteError(f"the norm of the gradients is {norm.item()}")
    for gradient in gradients:
        registry.update(f.SCALE_BY_NORM, gradient.array, norm.array, max_norm=float(max_norm))
        gradient._version[0] += 1
    return norm.to(gradients[0].dtype) if wide[0] is not gradients[0] else norm


@no_grad()
def clip_grad_value_(parameters: Iterable[Tensor] | Tensor, clip_value: float) -> None:
    """Hold every element of every gradient between -clip_value and clip_value."""
    for gradient in _gradients(parameters):
        registry.update(f.CLIP_BY_VALUE, gradient.array, limit=float(clip_value))
        gradient._version[0] += 1
