"""The gradient of a tensor: asking for it, walking back, hooks, and where it is added up."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from nnscratch import formulas as f
from nnscratch.array import (
    array_namespace,
    asarray,
    dtype_name,
    is_floating,
    same_device,
)
from nnscratch.array.addresses import on_device_of
from nnscratch.array.dtypes import cast
from nnscratch.errors import DTypeError, GradientError, ShapeError
from nnscratch.formulas import registry
from nnscratch.tensors.asking import accumulate, walk
from nnscratch.tensors.base import TensorBase
from nnscratch.tensors.tape import Handle, walk_back

# From this size on a gradient is written where it belongs. Copying a smaller one costs nothing on
# the CPU; on a GPU it is a launch, whatever its size.
LARGE = 1 << 14

# Two walks may come to one leaf at once: one adds at a time, and one writes into a slot.
_adding = threading.RLock()
_claimed: set[int] = set()

if TYPE_CHECKING:
    from nnscratch.tensors.tensor import Tensor


class TensorGradient(TensorBase):
    """A place in a graph; ``Tensor`` inherits it."""

    __slots__ = ()

    def requires_grad_(self, requires_grad: Any = True) -> Tensor:
        """Ask for a gradient, or no longer ask for it, and return the tensor itself.

        Raises:
            DTypeError: if it holds no floating-point numbers.
            GradientError: if a part of a graph shall no longer ask.
        """
        if requires_grad and not is_floating(self.array):
            raise DTypeError(
                f"only floating-point tensors can have a gradient, got {self.array.dtype}; "
                "call .float() first"
            )
        if not requires_grad and self.node is not None:
            raise GradientError("only a leaf can stop asking for a gradient; use x.detach()")
        self.requires_grad = requires_grad
        return self  # type: ignore[return-value]

    def detach(self) -> Tensor:
        """Return a tensor that shares the array but not the graph."""
        made = self._wrap(self.array)
        made._lies_in(self, detached=True)
        return made

    def clone(self) -> Tensor:
        """Return a copy that is part of the graph."""
        return self._apply(f.CAST, dtype=dtype_name(self.array.dtype))

    def contiguous(self) -> Tensor:
        """Return the tensor itself if its elements lie in order, else a copy where they do."""
        if self.is_contiguous():
            return self  # type: ignore[return-value]
        return self.reshape(-1).reshape(*self.shape)

    def is_contiguous(self) -> bool:
        """Say whether the elements lie in memory in order, without gaps."""
        flags = getattr(self.array, "flags", None)
        return flags is None or bool(flags.c_contiguous)

    def __deepcopy__(self, memo: dict[Any, Any]) -> Tensor:
        """Copy a leaf with its gradient; the copy belongs to no optimizer.

        Raises:
            GradientError: for a part of a graph.
        """
        if self.node is not None:
            raise GradientError("a part of a graph cannot be deep-copied; use x.detach().clone()")
        # By a formula, which a recorder sees.
        array = registry.forward(f.CAST, self.array, dtype=dtype_name(self.array.dtype))[0]
        made: Any = type(self)(array)  # type: ignore[call-arg]
        made.requires_grad = self.requires_grad
        memo[id(self)] = made
        if self.grad is not None:
            made.grad = self._wrap(_copied(self.grad.array))
        return made  # type: ignore[no-any-return]

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle a leaf with its gradient, without hooks and without the optimizer's buffers.

        Raises:
            GradientError: for a part of a graph.
        """
        parts = self._parts("pickled; use x.detach()")
        registry.notify_read(self.array, "pickling")
        return _restored, parts

    def __copy__(self) -> Any:
        """Return another tensor of a leaf's memory, with its gradient.

        Raises:
            GradientError: for a part of a graph.
        """
        return _restored(*self._parts("copied; use x.detach() or x.clone()"))

    def _parts(self, done: str) -> tuple[Any, ...]:
        if self.node is not None:
            raise GradientError(f"a part of a graph cannot be {done}")
        gradient = None if self.grad is None else self.grad.array
        return type(self), self.array, self.requires_grad, gradient

    def backward(
        self,
        gradient: Any = None,
        retain_graph: Any = None,
        create_graph: bool = False,
        inputs: Any = None,
    ) -> None:
        """Compute ∂self/∂leaf for every leaf that asks for it, and add it to its ``grad``.

        Args:
            gradient: ∂L/∂self; needed unless self has one element, where it is 1.
            retain_graph: keep what the backward needs, to walk the graph again; None for where
                ``create_graph`` is.
            create_graph: make the gradients parts of a graph, so that they have gradients too.
            inputs: a tensor or several whose gradients alone are computed.

        Raises:
            GradientError: if there is no graph, or it was used up.
            ShapeError: if ``gradient`` is needed or has another shape.

        >>> import nnscratch
        >>> x = nnscratch.tensor(2.0, requires_grad=True)
        >>> (x**3).backward(create_graph=True)
        >>> x.grad
        tensor(12., grad_fn=<multiply backward>)
        """
        if create_graph or inputs is not None:
            wanted = None if inputs is None else inputs if _several(inputs) else [inputs]
            made = walk([self], [gradient], wanted, retain_graph, create_graph)
            accumulate(made, wanted)
            return
        if not self.requires_grad:
            raise GradientError(
                "backward() on a tensor without a graph: none of what it was computed from has "
                "requires_grad=True, or it was computed under no_grad()"
            )
        if gradient is None:
            if self.numel() != 1:
                raise ShapeError(
                    f"backward() without a gradient needs one element, got shape {self.shape}; "
                    "reduce the loss with .sum() or .mean(), or pass gradient="
                )
            seed = _made_like(self.array, "ones")
        else:
            seed = gradient.array if isinstance(gradient, TensorBase) else asarray(gradient)
            if tuple(seed.shape) != self.shape:
                raise ShapeError(f"gradient must have shape {self.shape}, got {seed.shape}")
            same_device("backward", tensor=self.array, gradient=seed)
            seed = cast(seed, self.array.dtype)
            if getattr(seed, "base", None) is not None:
                # It may be an earlier gradient, whose place the new one will take.
                seed = _own(seed)
        walk_back(self.node if self.node is not None else self, seed, retain_graph)

    def accumulate(self, gradient: Any, shared: Any) -> None:
        """Add a gradient to ``grad``; the tape calls this on leaves.

        ``shared`` says that somebody else may hold the same array: ``grad`` is changed in place
        later, and therefore needs one of its own.
        """
        with _adding:
            for observer in registry.observers():
                observer.on_gradient(self, "added")
            if self.grad is not None:
                registry.update(f.ACCUMULATE, self.grad.array, gradient)
                self.grad._version[0] += 1
            elif self.grad_slot is not None and id(self) not in _claimed:
                self._reclaim_slot()
                registry.update(f.COPY_INTO, self.grad_slot, gradient)
                self._lend_slot()
            elif shared:
                self.grad = self._wrap(_own(gradient))
            else:
                self.grad = self._wrap(gradient)

    def accumulate_recorded(self, gradient: Any, shared: Any) -> None:
        """Add a gradient that is part of a graph to ``grad``, which becomes part of it too."""
        with _adding:
            for observer in registry.observers():
                observer.on_gradient(self, "added")
            if self.grad is not None:
                self.grad = self.grad._apply(f.ADD, gradient)
            else:
                self.grad = gradient.clone() if shared else gradient

    def claim_slot(self) -> Any:
        """Return ``grad_slot``, to be written, if the next gradient will be all of ``grad``.

        None where there is no slot, it is too small to matter, a hook changes the gradient, or
        another walk writes to it. ``take_slot`` or ``release_slot`` has to follow.
        """
        with _adding:
            slot = self.grad_slot
            if slot is None or self.grad is not None or self.hooks:
                return None
            if slot.size < LARGE and isinstance(slot, np.ndarray):
                return None
            if id(self) in _claimed:
                return None
            _claimed.add(id(self))
            self._reclaim_slot()
        return slot

    def take_slot(self, gradient: Any) -> None:
        """Take the gradient that a formula has written into ``grad_slot``."""
        with _adding:
            _claimed.discard(id(self))
            if self.grad is not None:  # another walk has brought one meanwhile
                self.accumulate(gradient, True)
                return
            for observer in registry.observers():
                observer.on_gradient(self, "added")
            registry.note_update(f.COPY_INTO, self.grad_slot, gradient)
            self._lend_slot()

    def release_slot(self) -> None:
        """Give a claim on ``grad_slot`` back."""
        _claimed.discard(id(self))

    def _lend_slot(self) -> None:
        if self._lent is not None:
            # A graph that holds the earlier gradient must not go on with the values of this one.
            self._lent[1][0] += 1
        self.grad = self._wrap(self.grad_slot)
        self._lent = weakref.ref(self.grad), self.grad._version

    def _reclaim_slot(self) -> None:
        """Make ``grad_slot`` free for the next gradient.

        Whoever still holds an earlier ``grad`` that lies in it keeps the values, in an array of
        its own.
        """
        lent = None if self._lent is None else self._lent[0]()
        if lent is not None and lent.array is self.grad_slot:
            lent.array = _copied(lent.array)

    def retain_grad(self) -> None:
        """Keep the gradient of a tensor that is not a leaf in its ``grad`` too, as hooks left it.

        Raises:
            GradientError: if the tensor does not ask for a gradient.
        """
        if not self.requires_grad:
            raise GradientError("retain_grad() needs a tensor with requires_grad=True")
        if self.node is not None and not self.retains_grad:
            self._hooks().append(_Keep(self))

    @property
    def retains_grad(self) -> bool:
        """Whether it is no leaf and its gradient is kept all the same."""
        hooks = None if self.node is None else self.node.hooks
        return bool(hooks) and type(hooks[-1]) is _Keep  # type: ignore[index]

    def register_hook(self, hook: Callable[[Tensor], Tensor | None]) -> Handle:
        """Call ``hook(gradient)`` when the gradient is known; what it returns replaces it.

        Raises:
            GradientError: if the tensor does not ask for a gradient.
        """
        if not self.requires_grad:
            raise GradientError("a hook needs a tensor with requires_grad=True")

        def call(gradient: Any) -> Any:
            recorded = isinstance(gradient, TensorBase)
            replaced = hook(gradient if recorded else self._wrap(gradient))
            if replaced is None:
                return gradient
            array = replacement("a hook", replaced, gradient.array if recorded else gradient)
            return replaced if recorded else array

        hooks = self._hooks()
        # What is kept in ``grad`` is the gradient behind all hooks.
        hooks.insert(len(hooks) - (bool(hooks) and type(hooks[-1]) is _Keep), call)
        return Handle(hooks, call)

    def _hooks(self) -> list[Callable[[Any], Any]]:
        holder: Any = self if self.node is None else self.node
        if holder.hooks is None:
            holder.hooks = []
        found: list[Callable[[Any], Any]] = holder.hooks
        return found


class _Keep:
    """The last hook of a tensor whose gradient is kept."""

    def __init__(self, tensor: TensorGradient) -> None:
        # The node must not keep its tensor alive.
        self._tensor = weakref.ref(tensor)

    def __call__(self, gradient: Any) -> Any:
        tensor = self._tensor()
        if tensor is not None:
            if isinstance(gradient, TensorBase):
                tensor.accumulate_recorded(gradient, True)
            else:
                tensor.accumulate(gradient, True)
        return gradient


def _several(inputs: Any) -> bool:
    return isinstance(inputs, (tuple, list))


def replacement(who: str, given: Any, gradient: Any) -> Any:
    """Return the array of a gradient that a hook has given for another one.

    Raises:
        GradientError: if it is no tensor of the same shape and dtype.
        DeviceError: if it lives on another device.
    """
    array = getattr(given, "array", None)
    if array is None:
        raise GradientError(
            f"{who} must return None or a tensor, got {type(given).__name__}; return the gradient "
            "that replaces the one it was given"
        )
    same_device(who, gradient=gradient, replaced=array)
    if array.shape != gradient.shape or array.dtype != gradient.dtype:
        raise GradientError(
            f"{who} was given a gradient of shape {tuple(gradient.shape)} and dtype "
            f"{gradient.dtype}, and returned one of shape {tuple(array.shape)} and dtype "
            f"{array.dtype}; the two must be the same"
        )
    return array


def _restored(kind: Any, array: Any, requires_grad: bool, gradient: Any) -> Any:
    made = kind(array, requires_grad)
    made.grad = None if gradient is None else made._wrap(gradient)
    return made


def _own(array: Any) -> Any:
    """Return a copy by a formula, which a compiled step makes again at every replay."""
    made = _made_like(array, "empty")
    registry.update(f.COPY_INTO, made, array)
    return made


def _made_like(array: Any, kind: str) -> Any:
    """Return ones, or what is to be written, beside an array and in its form."""
    if type(array) is np.ndarray:
        return np.ones(array.shape, array.dtype) if kind == "ones" else np.empty_like(array)
    with on_device_of(array):
        return getattr(array_namespace(array), f"{kind}_like")(array)


def _copied(array: Any) -> Any:
    with on_device_of(array):
        return array_namespace(array).asarray(array, copy=True)


def clear_gradient(tensor: TensorGradient, set_to_none: bool) -> None:
    """Forget a gradient, or set it to 0."""
    for observer in registry.observers():
        observer.on_gradient(tensor, "cleared" if set_to_none else "zeroed")
    if set_to_none:
        tensor.grad = None
    elif tensor.grad is not None:
        tensor.grad.node, tensor.grad.requires_grad = None, False
        tensor.grad.zero_()
