"""``Variable``, in which scripts for early versions of PyTorch wrap tensors."""

from __future__ import annotations

from typing import Any

from nnscratch.tensors import Tensor, as_tensor


class _Variables(type):
    def __call__(cls, data: Any, requires_grad: bool = False, volatile: Any = None) -> Tensor:
        return as_tensor(data).detach().requires_grad_(requires_grad)

    def __instancecheck__(cls, value: object) -> bool:
        return isinstance(value, Tensor)


class Variable(metaclass=_Variables):
    """A tensor: ``Variable(x)`` is a tensor over the memory of x that is not part of its graph.

    >>> import nnscratch
    >>> x = Variable(nnscratch.tensor([1.0, 2.0]), requires_grad=True)
    >>> x
    tensor([1., 2.], requires_grad=True)
    >>> isinstance(x, Variable)
    True
    """
