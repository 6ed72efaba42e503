r"""Activations as modules: those that are more than their formula, and all the others.

With ``inplace=True`` the input has the result afterwards, as in PyTorch. In a graph that saves no
memory: what the derivatives need is kept all the same.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from nnscratch.nn import activation_modules
from nnscratch.nn import functional as F
from nnscratch.nn.module import Module
from nnscratch.nn.options import FunctionModule
from nnscratch.nn.parameter import Parameter
from nnscratch.tensors import Tensor
from nnscratch.tensors.creation import full

__all__ = ["GELU", "Hardtanh", "LogSoftmax", "PReLU", "Softmax"]

if TYPE_CHECKING:
    from nnscratch.nn.activation_modules import *  # noqa: F403
else:

    def __getattr__(name: str) -> Any:
        """Return a module that is made of its formula."""
        return getattr(activation_modules, name)


class PReLU(Module):
    r"""$y = x$ where x is positive, $a x$ elsewhere; a is learned, one or one a channel (dim 1).

    Raises:
        ShapeError: when called with an input of another number of channels.

    >>> from nnscratch import tensor
    >>> PReLU()(tensor([-1.0, 2.0])).detach()
    tensor([-0.25,  2.  ])
    """

    def __init__(
        self, num_parameters: int = 1, init: float = 0.25, device: Any = None, dtype: Any = None
    ) -> None:
        """Start every a at ``init``."""
        super().__init__()
        self.num_parameters = num_parameters
        self.init = init
        self.weight = Parameter(full((num_parameters,), float(init), dtype=dtype, device=device))

    def forward(self, input: Any) -> Tensor:
        """Return the activation of the input."""
        return F.prelu(input, self.weight)

    def extra_repr(self) -> str:
        """Return the number of learned slopes."""
        return f"num_parameters={self.num_parameters}"


class GELU(FunctionModule, function=F.gelu, approximate="none"):
    r"""$y = x \Phi(x)$ with the normal distribution; ``approximate="tanh"`` is the older form."""


def hardtanh(input: Any, *args: Any, **options: Any) -> Tensor:
    """Call the function of that name, which is made when it is first asked for."""
    return F.hardtanh(input, *args, **options)


class Hardtanh(
    FunctionModule,
    function=hardtanh,
    min_val=-1.0,
    max_val=1.0,
    inplace=False,
    min_value=None,
    max_value=None,
):
    r"""$y = \min(\max(x, a), b)$.

    ``min_value`` and ``max_value`` are PyTorch's words of old, taken with a warning.
    """

    unkept = ("min_value", "max_value")

    def _read(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        found = super()._read(args, kwargs)
        for old, name in zip(self.unkept, ("min_val", "max_val"), strict=True):
            value = found.pop(old)
            if value is not None:
                message = f"Hardtanh({old}=) is PyTorch's word of old; write {name}={value!r}"
                warnings.warn(message, FutureWarning, stacklevel=4)
                found[name] = value
        return found


class Softmax(FunctionModule, function=F.softmax, dim=None):
    r"""$y_i = e^{x_i} / \sum_j e^{x_j}$ along a dimension; see ``functional.softmax``.

    >>> from nnscratch import tensor
    >>> Softmax(dim=1)(tensor([[0.0, 0.0]]))
    tensor([[0.5, 0.5]])
    """


class LogSoftmax(FunctionModule, function=F.log_softmax, dim=None):
    r"""$y_i = x_i - \log \sum_j e^{x_j}$ along a dimension."""
