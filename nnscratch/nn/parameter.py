"""``Parameter``, a tensor that a module learns, and ``Buffer``, one that it only keeps."""

from __future__ import annotations

from typing import Any

from nnscratch.array import is_array
from nnscratch.errors import DTypeError
from nnscratch.tensors import Tensor

__all__ = ["Buffer", "Parameter"]


class Parameter(Tensor):
    """A leaf tensor that a module registers when it becomes one of its attributes."""

    __slots__ = ()

    def __init__(self, data: Any, requires_grad: bool = True) -> None:
        """Take the array of a tensor, or an array, as the parameter's values.

        Raises:
            DTypeError: of anything else, such as a list; write ``Parameter(tensor([...]))``.
        """
        super().__init__(_array_of("Parameter", data))
        self.requires_grad_(requires_grad)

    def __deepcopy__(self, memo: dict[Any, Any]) -> Any:
        """Copy the values without the gradient, as PyTorch does; the copy belongs to no optimizer.

        What a copied model accumulates is its own.
        """
        made = super().__deepcopy__(memo)
        made.grad = None
        return made

    def __repr__(self) -> str:
        return f"Parameter containing:\n{super().__repr__()}"


class Buffer(Tensor):
    """A tensor that a module registers as its buffer when it becomes one of its attributes.

    Attributes:
        persistent: whether it is saved with the module.

    >>> import nnscratch
    >>> from nnscratch import nn
    >>> layer = nn.Linear(2, 1)
    >>> layer.steps = Buffer(nnscratch.zeros(1), persistent=False)
    >>> [name for name, _ in layer.named_buffers()], "steps" in layer.state_dict()
    (['steps'], False)
    """

    __slots__ = ("persistent",)

    def __init__(self, data: Any, *, persistent: bool = True) -> None:
        """Take the array of a tensor, or an array, as the buffer's values.

        Raises:
            DTypeError: of anything else, such as a list; write ``Buffer(tensor([...]))``.
        """
        super().__init__(_array_of("Buffer", data))
        self.persistent = persistent
        if isinstance(data, Tensor):
            self.requires_grad_(data.requires_grad)

    def __deepcopy__(self, memo: dict[Any, Any]) -> Any:
        made: Any = super().__deepcopy__(memo)
        made.persistent = self.persistent
        return made

    def __reduce__(self) -> tuple[Any, ...]:
        _, (_, *parts) = super().__reduce__()
        array, requires_grad, gradient = parts
        return _restored, (array, requires_grad, gradient, self.persistent)

    def __copy__(self) -> Buffer:
        _, array, requires_grad, gradient = self._parts("copied", "use x.detach() or x.clone()")
        return _restored(array, requires_grad, gradient, self.persistent)


def _restored(array: Any, requires_grad: bool, gradient: Any, persistent: bool) -> Buffer:
    made = Buffer(array, persistent=persistent)
    made.requires_grad_(requires_grad)
    made.grad = None if gradient is None else made._wrap(gradient)
    return made


def _array_of(kind: str, data: Any) -> Any:
    if not isinstance(data, Tensor) and not is_array(data):
        raise DTypeError(
            f"{kind} takes a tensor or an array, got {type(data).__name__}; write "
            f"{kind}(nnscratch.tensor(...))"
        )
    return data.array if isinstance(data, Tensor) else data
