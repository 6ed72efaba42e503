"""``Tensor`` with its tape, its methods and the functions of PyTorch's top-level namespace.

No derivative is written here: ``apply`` calls a formula and records it, and the tape applies the
chain rule to the formulas' backwards. (The package is not named ``tensor``, because
``nnscratch.tensor`` is a function.)
"""

from nnscratch.tensors.grad_mode import (
    enable_grad,
    inference_mode,
    is_grad_enabled,
    no_grad,
    set_grad_enabled,
)
from nnscratch.tensors.tensor import (
    Tensor,
    apply,
    apply_first,
    as_tensor,
    clear_gradient,
    made_on,
    wrap,
)

__all__ = [
    "Tensor",
    "apply",
    "apply_first",
    "as_tensor",
    "clear_gradient",
    "enable_grad",
    "inference_mode",
    "is_grad_enabled",
    "made_on",
    "no_grad",
    "set_grad_enabled",
    "wrap",
]
