"""Activations that draw random numbers: a leaky ReLU of random slopes, and Gumbel's softmax."""

from __future__ import annotations

from typing import Any

from nnscratch.array import Generator
from nnscratch.errors import ConfigurationError
from nnscratch.nn.derived_functions import leaky_relu
from nnscratch.nn.module import Module
from nnscratch.tensors import Tensor, as_tensor
from nnscratch.tensors.creation import arange, rand
from nnscratch.tensors.functions import where

__all__ = ["RReLU", "gumbel_softmax", "rrelu"]


def _uniform(x: Tensor, generator: Generator | None) -> Tensor:
    return rand(*x.shape, dtype=x.dtype, device=x.device, generator=generator)


def rrelu(
    input: Any,
    lower: float = 1.0 / 8,
    upper: float = 1.0 / 3,
    training: bool = False,
    inplace: bool = False,
    *,
    generator: Generator | None = None,
) -> Tensor:
    """Return x where it is positive, else a x with a uniform between two bounds for each element.

    Without ``training`` every a is the middle of the bounds. The numbers come from the default
    generator unless another is given; a compiled step draws new ones each time.

    Raises:
        ConfigurationError: if the upper bound is the lower one.

    >>> rrelu([-6.0, 2.0], 0.25, 0.75)
    tensor([-3.,  2.])
    """
    x = as_tensor(input)
    if lower > upper:
        raise ConfigurationError(
            f"rrelu: lower must not be above upper, got {lower} and {upper}; exchange them"
        )
    if not training:
        y = leaky_relu(x, negative_slope=(lower + upper) / 2)
    else:
        slope = _uniform(x, generator) * (upper - lower) + lower
        y = where(x > 0, x, x * slope)
    return x._replace(y) if inplace else y


class RReLU(Module):
    r"""In training $y = a x$ below 0 with random a from l to u, then $a = (l + u) / 2$.

    Xu, Wang, Chen and Li 2015.

    >>> from nnscratch import tensor
    >>> RReLU(0.25, 0.75).eval()(tensor([-2.0, 1.0]))
    tensor([-1.,  1.])
    """

    def __init__(
        self, lower: float = 1.0 / 8, upper: float = 1.0 / 3, inplace: bool = False
    ) -> None:
        """Choose the bounds; with ``inplace`` the input has the result afterwards."""
        super().__init__()
        self.lower, self.upper, self.inplace = lower, upper, inplace

    def forward(self, input: Any) -> Tensor:
        """Return the activation of the input."""
        return rrelu(input, self.lower, self.upper, self.training, self.inplace)

    def extra_repr(self) -> str:
        """Return the bounds."""
        rest = ", inplace=True" if self.inplace else ""
        return f"lower={self.lower}, upper={self.upper}{rest}"


def gumbel_softmax(
    logits: Any,
    tau: float = 1.0,
    hard: bool = False,
    eps: float = 1e-10,
    dim: int = -1,
    *,
    generator: Generator | None = None,
) -> Tensor:
    r"""Return a sample of the classes as $\mathrm{softmax}((x + g) / \tau)$, g of Gumbel's.

    Args:
        logits: logarithms of probabilities, up to a constant.
        tau: the temperature; towards 0 the samples are towards one-hot.
        hard: return the sample one-hot, with the derivative of the soft one.
        eps: of no effect, as in PyTorch.
        dim: of the classes.
        generator: of the random numbers, the default one unless another is given.

    >>> gumbel_softmax([[0.0, 0.0, 0.0]], hard=True).sum().item()
    1.0
    """
    x = as_tensor(logits)
    exponential = (-(1.0 - _uniform(x, generator)).log()).clamp(min=1e-30)
    soft: Tensor = ((x - exponential.log()) / tau).softmax(dim)
    if not hard:
        return soft
    axis = dim % max(x.ndim, 1)
    count = x.shape[axis] if x.ndim else 1
    shape = [count if at == axis else 1 for at in range(x.ndim)]
    places = arange(count, device=x.device).reshape(shape)
    chosen = (places == soft.detach().argmax(dim, keepdim=True)).to(x.dtype)
    found: Tensor = chosen - soft.detach() + soft
    return found
