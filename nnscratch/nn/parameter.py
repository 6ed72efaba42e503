"""``Parameter``: a tensor that a module learns."""

from __future__ import annotations

from typing import Any

from nnscratch.tensor import Tensor


class Parameter(Tensor):
    """A leaf tensor that a module registers when it becomes one of its attributes."""

    __slots__ = ()

    def __init__(self, data: Any, requires_grad: bool = True) -> None:
        """Take the array of a tensor, or an array, as the parameter's values."""
        super().__init__(data.array if isinstance(data, Tensor) else data, requires_grad)

    def __repr__(self) -> str:
        return f"Parameter containing:\n{super().__repr__()}"
