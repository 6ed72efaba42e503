"""Dropout: elements that are 0 by chance in training."""

from __future__ import annotations

from typing import Any

from nnscratch import formulas as f
from nnscratch.array import Generator
from nnscratch.errors import ConfigurationError
from nnscratch.nn.module import Module
from nnscratch.tensors import Tensor, apply, as_tensor
from nnscratch.tensors.creation import seed_and_offset

__all__ = ["Dropout", "dropout"]


def dropout(
    input: Any,
    p: float = 0.5,
    training: bool = True,
    inplace: bool = False,
    *,
    generator: Generator | None = None,
) -> Tensor:
    """Return the input with each element 0 by probability p, the others times 1 / (1 - p).

    Without ``training`` it is the input as it is. The random numbers come from the default
    generator unless another is given; a compiled step draws new ones each time. ``inplace`` writes
    the result into the input too.

    Raises:
        ConfigurationError: if p is not from 0 to 1.
    """
    x = as_tensor(input)
    if not 0.0 <= p <= 1.0:
        raise ConfigurationError(f"dropout: p is a probability from 0 to 1, got {p}")
    if not training or p == 0.0:
        return x
    seed, offset = seed_and_offset("uniform", x.shape, "float32", generator)
    y = apply(f.DROPOUT, x, p=p, seed=seed, offset=offset)
    return x._replace(y) if inplace else y


class DropoutBase(Module):
    """What all layers of dropout have in common: the probability, and the random numbers."""

    def __init__(
        self, p: float = 0.5, inplace: bool = False, *, generator: Generator | None = None
    ) -> None:
        """Choose the probability; with ``inplace`` the input has the result afterwards."""
        super().__init__()
        if not 0.0 <= p <= 1.0:
            raise ConfigurationError(
                f"{type(self).__name__}: p is a probability from 0 to 1, got {p}"
            )
        self.p, self.inplace, self.generator = p, inplace, generator

    def extra_repr(self) -> str:
        """Return the probability, and whether it works in place."""
        return f"p={self.p}, inplace={self.inplace}"


class Dropout(DropoutBase):
    r"""In training, 0 by probability p and $x / (1 - p)$ otherwise; in evaluation, x.

    The random numbers come from the default generator, whose state a checkpoint holds, unless
    another generator is given.

    Raises:
        ConfigurationError: if p is not from 0 to 1.

    >>> from nnscratch import ones
    >>> Dropout(0.5).eval()(ones(3))
    tensor([1., 1., 1.])
    """

    def forward(self, input: Any) -> Tensor:
        """Return the input, in training with elements dropped."""
        return dropout(input, self.p, self.training, self.inplace, generator=self.generator)
