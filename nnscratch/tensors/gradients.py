"""The gradient of a tensor: asking for it, walking back, hooks, and where it is added up."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from nnscratch import formulas as f
from nnscratch.array import (
    array_namespace,
    asarray,
    dtype_name,
    same_device,
)
from nnscratch.array.addresses import on_device_of
from nnscratch.array.dtypes import cast, is_inexact
from nnscratch.errors import DTypeError, GradientError, ShapeError
from nnscratch.formulas import registry
from nnscratch.tensors.backward_pass import accumulate, run_backward
from nnscratch.tensors.base import TensorBase
from nnscratch.tensors.tape import Handle, unchanged, walk_back

# From this many elements on, a formula writes the gradient into the leaf's slot itself. On the CPU
# a copy of fewer costs next to nothing; on a GPU a copy is a kernel launch, whatever its size.
LARGE = 1 << 14

# Backward passes of several threads may reach the same leaf at once. The lock lets one accumulate
# at a time; the set, of ids of leaves, lets one claim a leaf's slot at a time.
_accumulation_lock = threading.RLock()
_slots_in_use: set[int] = set()

if TYPE_CHECKING:
    from nnscratch.tensors.tensor import Tensor


class TensorGradient(TensorBase):
    """The methods of ``Tensor`` for gradients: ``backward``, ``detach``, hooks, ``grad``."""

    __slots__ = ()

    def requires_grad_(self, requires_grad: Any = True) -> Tensor:
        """Set ``requires_grad``, and return the tensor itself.

        Raises:
            DTypeError: if it is set to True and the dtype is not floating.
            GradientError: if it is set to False and the tensor is not a leaf.
        """
        if requires_grad and not is_inexact(self.array):
            raise DTypeError(
                f"only floating-point tensors can have a gradient, got {self.array.dtype}; "
                "call .float() first"
            )
        if not requires_grad and self.node is not None:
            raise GradientError(
                "requires_grad can be set to False on a leaf only, and this tensor was computed "
                "from others; use x.detach()"
            )
        self.requires_grad = requires_grad
        return self  # type: ignore[return-value]

    def detach(self) -> Tensor:
        """Return a tensor over the same memory that is not part of the graph."""
        made = self._wrap(self.array)
        made._share_memory_with(self, detached=True)
        return made

    def clone(self, *, memory_format: Any = None) -> Tensor:
        """Return a copy; it is recorded, so gradients flow back through it.

        ``memory_format`` is accepted as in PyTorch; elements are in row-major order.
        """
        return self._apply(f.CAST, dtype=dtype_name(self.array.dtype))

    def contiguous(self, *, memory_format: Any = None) -> Tensor:
        """Return the tensor itself if it is C-contiguous, else a C-contiguous copy.

        ``memory_format`` is accepted as in PyTorch; elements are in row-major order.
        """
        if self.is_contiguous():
            return self  # type: ignore[return-value]
        return self.reshape(-1).reshape(*self.shape)

    def is_contiguous(self, memory_format: Any = None) -> bool:
        """Say whether the tensor is C-contiguous: elements in row-major order without gaps.

        ``memory_format`` is accepted as in PyTorch, and is that order.
        """
        flags = getattr(self.array, "flags", None)
        return flags is None or bool(flags.c_contiguous)

    def __deepcopy__(self, memo: dict[Any, Any]) -> Tensor:
        """Copy a leaf with its gradient; the copy belongs to no optimizer.

        Raises:
            GradientError: if the tensor is not a leaf.
        """
        if self.node is not None:
            raise GradientError(
                "only a leaf can be deep-copied, and this tensor was computed from others; use "
                "x.detach().clone()"
            )
        # The copy is made by a formula, so that the recorder of a compiled step sees it.
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
            GradientError: if the tensor is not a leaf.
        """
        parts = self._parts("pickled", "use x.detach()")
        registry.notify_read(self.array, "pickling")
        return _restored, parts

    def __copy__(self) -> Any:
        """Return another tensor of a leaf's memory, with its gradient.

        Raises:
            GradientError: for a part of a graph.
        """
        return _restored(*self._parts("copied", "use x.detach() or x.clone()"))

    def _parts(self, done: str, mend: str) -> tuple[Any, ...]:
        if self.node is not None:
            raise GradientError(
                f"only a leaf can be {done}, and this tensor was computed from others; {mend}"
            )
        gradient = None if self.grad is None else self.grad.array
        return type(self), self.array, self.requires_grad, gradient

    def backward(
        self,
        gradient: Any = None,
        retain_graph: Any = None,
        create_graph: bool = False,
        inputs: Any = None,
    ) -> None:
        """Add ∂L/∂leaf to the ``grad`` of every leaf with ``requires_grad`` behind this tensor.

        Args:
            gradient: ∂L/∂self, of the shape of self; None, for 1, if self has one element.
            retain_graph: whether to keep the graph for another backward pass; by default it is
                freed unless ``create_graph`` is True.
            create_graph: whether to record the backward pass, so that the gradients can be
                differentiated again.
            inputs: one tensor or several; only their ``grad`` is computed. None for all leaves.

        Raises:
            GradientError: if there is no graph, or it was freed by an earlier ``backward``.
            ShapeError: if ``gradient`` is missing although self has several elements, or it has
                another shape.

        >>> import nnscratch
        >>> x = nnscratch.tensor(2.0, requires_grad=True)
        >>> (x**3).backward(create_graph=True)
        >>> x.grad
        tensor(12., grad_fn=<multiply backward>)
        """
        if create_graph or inputs is not None:
            wanted = None if inputs is None else inputs if _several(inputs) else [inputs]
            made = run_backward([self], [gradient], wanted, retain_graph, create_graph)
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
            array = self.array
            if type(seed) is not np.ndarray or type(array) is not np.ndarray:
                same_device("backward", tensor=array, gradient=seed)
            if seed.dtype != array.dtype:
                seed = cast(seed, array.dtype)
            if getattr(seed, "base", None) is not None:
                # A view may lie in a leaf's slot, which this backward pass will overwrite.
                seed = _own(seed)
        walk_back(self.node if self.node is not None else self, seed, retain_graph)

    def accumulate(self, gradient: Any, shared: Any) -> None:
        """Add a gradient to ``grad``; the tape calls this on leaves.

        Args:
            gradient: an array of this tensor's shape and dtype.
            shared: whether other tensors may hold the same array. Then ``grad`` gets a copy,
                because later gradients are added to it in place.
        """
        with _accumulation_lock:
            for observer in registry.observers():
                observer.on_gradient(self, "added")
            if self.grad is not None:
                registry.add_to(self.grad.array, gradient)
                self.grad._version[0] += 1
            elif self.grad_slot is not None and id(self) not in _slots_in_use:
                self._copy_grad_out_of_slot()
                registry.write(self.grad_slot, gradient)
                self._set_grad_to_slot()
            elif shared:
                self.grad = self._wrap(_own(gradient))
            else:
                self.grad = self._wrap(gradient)

    def accumulate_recorded(self, gradient: Any, shared: Any) -> None:
        """Add a gradient that is a tensor of a graph to ``grad``, and record the addition."""
        with _accumulation_lock:
            for observer in registry.observers():
                observer.on_gradient(self, "added")
            if self.grad is not None:
                self.grad = self.grad._apply(f.ADD, gradient)
            else:
                self.grad = gradient.clone() if shared else gradient

    def claim_slot(self) -> Any:
        """Return ``grad_slot`` for a formula to write the gradient into; None if it must not.

        It must not if there is no slot, the slot is too small for that to matter, ``grad`` has a
        value already that the gradient must be added to, a hook may change the gradient, or another
        thread has claimed the slot. After a claim, ``take_slot`` or ``release_slot`` must follow.
        """
        with _accumulation_lock:
            slot = self.grad_slot
            if slot is None or self.grad is not None or self.hooks:
                return None
            if slot.size < LARGE and isinstance(slot, np.ndarray):
                return None
            if id(self) in _slots_in_use:
                return None
            _slots_in_use.add(id(self))
            self._copy_grad_out_of_slot()
        return slot

    def take_slot(self, gradient: Any) -> None:
        """Make ``grad`` of the gradient that a formula wrote into ``grad_slot``; end the claim."""
        with _accumulation_lock:
            _slots_in_use.discard(id(self))
            if self.grad is not None:  # another thread has set one meanwhile
                self.accumulate(gradient, True)
                return
            for observer in registry.observers():
                observer.on_gradient(self, "added")
            registry.note_update(f.COPY_INTO, self.grad_slot, gradient)
            self._set_grad_to_slot()

    def release_slot(self) -> None:
        """End a claim on ``grad_slot`` without a gradient."""
        _slots_in_use.discard(id(self))

    def _set_grad_to_slot(self) -> None:
        if self._slot_grad is not None:
            # The version counter of the earlier ``grad`` in this slot: its values are overwritten,
            # so a graph that saved it must refuse to use them.
            self._slot_grad[1][0] += 1
        self.grad = self._wrap(self.grad_slot)
        self._slot_grad = weakref.ref(self.grad), self.grad._version

    def _copy_grad_out_of_slot(self) -> None:
        """Copy on write: if the previous ``grad`` is still alive, move its values out of the slot.

        The next gradient overwrites ``grad_slot``. A tensor that a caller kept from an earlier step
        gets an array of its own, with the values that it had.
        """
        previous = None if self._slot_grad is None else self._slot_grad[0]()
        if previous is not None and previous.array is self.grad_slot:
            previous.array = _copied(previous.array)

    def retain_grad(self) -> None:
        """Store the gradient of a tensor that is not a leaf in its ``grad`` too, after all hooks.

        Raises:
            GradientError: if the tensor has ``requires_grad=False``.
        """
        if not self.requires_grad:
            raise GradientError("retain_grad() needs a tensor with requires_grad=True")
        if self.node is not None and not self.retains_grad:
            self._hooks().append(_RetainGrad(self))

    @property
    def retains_grad(self) -> bool:
        """Whether the tensor is not a leaf and ``retain_grad`` was called on it."""
        hooks = None if self.node is None else self.node.hooks
        return bool(hooks) and type(hooks[-1]) is _RetainGrad  # type: ignore[index]

    def register_hook(self, hook: Callable[[Tensor], Tensor | None]) -> Handle:
        """Call ``hook(gradient)`` in every backward pass, once this tensor's gradient is complete.

        Args:
            hook: takes ∂L/∂self, and returns None, or the tensor that replaces it.

        Returns:
            A handle that removes the hook.

        Raises:
            GradientError: if the tensor has ``requires_grad=False``; in the backward pass, if the
                hook returns something else than None or a tensor of the gradient's shape and dtype.
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
        # retain_grad's own hook stays the last: ``grad`` is the gradient after all hooks.
        hooks.insert(len(hooks) - (bool(hooks) and type(hooks[-1]) is _RetainGrad), call)
        return Handle(hooks, call)

    def register_post_accumulate_grad_hook(self, hook: Callable[[Tensor], None]) -> Handle:
        """Call ``hook(self)`` in every backward pass, once ``grad`` of this leaf is updated.

        Returns:
            A handle that removes the hook.

        Raises:
            GradientError: if the tensor has ``requires_grad=False`` or is not a leaf; in the
                backward pass, if the hook returns something.

        >>> import nnscratch
        >>> x = nnscratch.tensor([1.0, 2.0], requires_grad=True)
        >>> handle = x.register_post_accumulate_grad_hook(lambda x: print(x.grad))
        >>> (x * x).sum().backward()
        tensor([2., 4.])
        """
        if not self.requires_grad or self.node is not None:
            raise GradientError(
                "a post-accumulate hook needs a leaf with requires_grad=True; register_hook takes "
                "hooks of other tensors"
            )
        waiting = partial(unchanged, hook)
        self._hooks().append(waiting)
        return Handle(self._hooks(), waiting)

    def _hooks(self) -> list[Callable[[Any], Any]]:
        holder: Any = self if self.node is None else self.node
        if holder.hooks is None:
            holder.hooks = []
        found: list[Callable[[Any], Any]] = holder.hooks
        return found


class _RetainGrad:
    """The hook of ``retain_grad``: it adds the gradient to the tensor's ``grad``."""

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
    """Return the array of the gradient with which a hook replaces another gradient.

    Args:
        who: what the errors call the hook.
        given: what the hook returned.
        gradient: the array that the hook was given.

    Raises:
        GradientError: if ``given`` is no tensor of the same shape and dtype.
        DeviceError: if it is on another device.
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
    """Return a copy made by a formula, so that a compiled step records it and copies again."""
    made = _made_like(array, "empty")
    registry.update(f.COPY_INTO, made, array)
    return made


def _made_like(array: Any, kind: str) -> Any:
    """Return "ones" or an "empty" array, of the shape, dtype and device of another."""
    if type(array) is np.ndarray:
        return np.ones(array.shape, array.dtype) if kind == "ones" else np.empty_like(array)
    with on_device_of(array):
        return getattr(array_namespace(array), f"{kind}_like")(array)


def _copied(array: Any) -> Any:
    with on_device_of(array):
        return array_namespace(array).asarray(array, copy=True)


def clear_gradient(tensor: TensorGradient, set_to_none: bool) -> None:
    """Set ``grad`` to None, or to zeros if ``set_to_none`` is False."""
    for observer in registry.observers():
        observer.on_gradient(tensor, "cleared" if set_to_none else "zeroed")
    if set_to_none:
        tensor.grad = None
    elif tensor.grad is not None:
        tensor.grad.node, tensor.grad.requires_grad = None, False
        tensor.grad.zero_()
