"""``Parameter``: a tensor that a module learns."""

from __future__ import annotations

from typing import Any

from nnscratch.array import is_array
from nnscratch.errors import DTypeError
from nnscratch.tensors import Tensor

__all__ = ["Parameter"]


class Parameter(Tensor):
    """A leaf tensor that a module registers when it becomes one of its attributes."""

    __slots__ = ()

    def __init__(self, data: Any, requires_grad: bool = True) -> None:
        """Take the array of a tensor, or an array, as the parameter's values.

        Raises:
            DTypeError: of anything else, such as a list; write ``Parameter(tensor([...]))``.
        """
        if not isinstance(data, Tensor) and not is_array(data):
            raise DTypeError(
                f"Parameter takes a tensor or an array, got {type(data).__name__}; write "
                "Parameter(nnscratch.tensor(...))"
            )
        super().__init__(data.array if isinstance(data, Tensor) else data)
        self.requires_grad_(requires_grad)

    def __repr__(self) -> str:
        return f"Parameter containing:\n{super().__repr__()}"
