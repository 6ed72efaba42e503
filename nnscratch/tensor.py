"""``Tensor``: an array that remembers which formula made it, with PyTorch's names and habits."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from nnscratch import formulas as f
from nnscratch.array import (
    Device,
    array_namespace,
    as_device,
    asarray,
    default_dtype,
    device_of,
    dtype_name,
    is_array,
    is_floating,
    is_integer,
    move,
    promote,
    to_numpy,
)
from nnscratch.array.device import namespace_on
from nnscratch.array.dtypes import cast
from nnscratch.errors import ConfigurationError, DTypeError, GradientError, ShapeError
from nnscratch.formulas import Formula, registry
from nnscratch.methods import TensorMethods
from nnscratch.tape import Node, is_grad_enabled, walk_back

_WEAK = (bool, int, float)


class Tensor(TensorMethods):
    """An array with a gradient.

    Attributes:
        array: the raw NumPy or CuPy array.
        requires_grad: whether ``backward`` should reach it.
        grad: ∂L/∂self after ``backward``, a tensor of the same shape, or None.
        node: the recorded formula that made it; None for a leaf.

    >>> x = Tensor(np.asarray([1.0, 2.0, 3.0]), requires_grad=True)
    >>> (x * x).sum().backward()
    >>> x.grad
    tensor([2., 4., 6.], dtype=float64)
    """

    __slots__ = ("__weakref__", "_version", "array", "grad", "grad_slot", "node", "requires_grad")
    __array_priority__ = 1000

    def __init__(self, array: Any, requires_grad: bool = False) -> None:
        """Wrap an array without copying it.

        Raises:
            DTypeError: if it is no array, or must have a gradient but holds no floats.
        """
        self.array = asarray(array)
        self.node: Node | None = None
        self.grad: Tensor | None = None
        self.grad_slot: Any = None
        self._version = [0]
        self.requires_grad = False
        if requires_grad:
            self.requires_grad_()

    # What it is.

    @property
    def shape(self) -> tuple[int, ...]:
        """The size of each dimension."""
        return tuple(self.array.shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype, as NumPy's object for it whatever the backend."""
        return np.dtype(dtype_name(self.array.dtype))

    @property
    def ndim(self) -> int:
        """The number of dimensions."""
        return int(self.array.ndim)

    @property
    def device(self) -> Device:
        """Where the array lives."""
        return device_of(self.array)

    @property
    def is_leaf(self) -> bool:
        """Whether no recorded formula made it."""
        return self.node is None

    @property
    def grad_fn(self) -> Node | None:
        """The recorded formula that made it, by PyTorch's name."""
        return self.node

    @property
    def T(self) -> Tensor:  # noqa: N802
        """The tensor with its dimensions in reverse order."""
        return self.permute(*range(self.ndim)[::-1])

    @property
    def data(self) -> Tensor:
        """A tensor that shares the array but not the graph."""
        return self.detach()

    @data.setter
    def data(self, value: Tensor) -> None:
        self.array = value.array
        self._version[0] += 1

    def dim(self) -> int:
        """Return the number of dimensions."""
        return self.ndim

    def size(self, dim: int | None = None) -> Any:
        """Return the shape, or the size of one dimension."""
        return self.shape if dim is None else self.shape[dim]

    def numel(self) -> int:
        """Return the number of elements."""
        return int(np.prod(self.array.shape, dtype=np.int64))

    def __len__(self) -> int:
        if self.ndim == 0:
            raise ShapeError("a 0-d tensor has no length; use item() to read its value")
        return self.shape[0]

    def __repr__(self) -> str:
        text = np.array2string(to_numpy(self.array), separator=", ", prefix="tensor(")
        name = dtype_name(self.array.dtype)
        extra = "" if name in (default_dtype(), "int64", "bool") else f", dtype={name}"
        if self.device.type != "cpu":
            extra += f", device='{self.device}'"
        if self.node is not None:
            extra += f", grad_fn={self.node!r}"
        elif self.requires_grad:
            extra += ", requires_grad=True"
        return f"tensor({text}{extra})"

    def __hash__(self) -> int:
        return id(self)

    # Reading values.

    def item(self) -> Any:
        """Return the only element as a Python number.

        Raises:
            ShapeError: if there is more or less than one element.
        """
        if self.numel() != 1:
            raise ShapeError(f"item() needs exactly one element, got shape {self.shape}")
        registry.notify_read(self.array, "item()")
        return to_numpy(self.array).reshape(())[()].item()

    def tolist(self) -> Any:
        """Return the elements as nested Python lists."""
        registry.notify_read(self.array, "tolist()")
        return to_numpy(self.array).tolist()

    def numpy(self) -> np.ndarray:
        """Return the elements as a NumPy array that shares memory with a tensor on the CPU.

        Raises:
            GradientError: if the tensor is part of a graph.
            DeviceError: if it is on a GPU; say ``.cpu()`` first.
        """
        if self.requires_grad:
            raise GradientError("a tensor with a gradient has no numpy(); use x.detach().numpy()")
        if self.device.type != "cpu":
            from nnscratch.errors import DeviceError

            raise DeviceError(f"the tensor is on {self.device}; use x.cpu().numpy()")
        registry.notify_read(self.array, "numpy()")
        return to_numpy(self.array)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        array = self.numpy()
        return array if dtype is None else array.astype(dtype)

    def __dlpack__(self, **options: Any) -> Any:
        return self.array.__dlpack__(**options)

    def __dlpack_device__(self) -> Any:
        return self.array.__dlpack_device__()

    def __bool__(self) -> bool:
        if self.numel() != 1:
            raise ShapeError(
                f"the truth of a tensor of shape {self.shape} is ambiguous; use .any() or .all()"
            )
        registry.notify_read(self.array, "a branch on its truth")
        return bool(to_numpy(self.array).reshape(())[()])

    def __float__(self) -> float:
        return float(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __index__(self) -> int:
        if not is_integer(self.array):
            raise DTypeError(f"only an integer tensor can be an index, got {self.array.dtype}")
        return int(self.item())

    def __iter__(self) -> Iterator[Tensor]:
        return (self[i] for i in range(len(self)))

    # Dtypes and devices.

    def to(self, *target: Any, device: Any = None, dtype: Any = None) -> Tensor:
        """Return the tensor on a device, in a dtype, or like another tensor.

        The same tensor comes back if nothing has to change.
        """
        for item in target:
            if isinstance(item, Tensor):
                device, dtype = item.device, item.dtype
            elif isinstance(item, Device) or (isinstance(item, str) and _names_device(item)):
                device = item
            elif item is not None:
                dtype = item
        result = self
        if dtype is not None and dtype_name(dtype) != dtype_name(self.array.dtype):
            result = result._apply(f.CAST, dtype=dtype_name(dtype))
        if device is not None:
            moved = move(result.array, as_device(device))
            if moved is not result.array:
                if result.requires_grad and is_grad_enabled() and not result.is_leaf:
                    raise GradientError(
                        "moving a tensor in the middle of a graph is not recorded; move the model "
                        "and its inputs before the forward, or use x.detach().to(...)"
                    )
                requires_grad = result.requires_grad
                result = Tensor(moved, requires_grad=requires_grad)
        return result

    def cpu(self) -> Tensor:
        """Return the tensor on the CPU."""
        return self.to(device="cpu")

    def cuda(self, index: int | None = None) -> Tensor:
        """Return the tensor on a GPU."""
        return self.to(device="cuda" if index is None else f"cuda:{index}")

    def float(self) -> Tensor:
        """Return the tensor as float32."""
        return self.to("float32")

    def double(self) -> Tensor:
        """Return the tensor as float64."""
        return self.to("float64")

    def half(self) -> Tensor:
        """Return the tensor as float16."""
        return self.to("float16")

    def long(self) -> Tensor:
        """Return the tensor as int64."""
        return self.to("int64")

    def int(self) -> Tensor:
        """Return the tensor as int32."""
        return self.to("int32")

    def bool(self) -> Tensor:
        """Return the tensor as booleans."""
        return self.to("bool")

    def type(self, dtype: Any) -> Tensor:
        """Return the tensor in a dtype."""
        return self.to(dtype_name(dtype))

    # The graph.

    def requires_grad_(self, requires_grad: Any = True) -> Tensor:
        """Ask for a gradient, or no longer ask for it, and return the tensor itself.

        Raises:
            DTypeError: if it holds no floating-point numbers.
        """
        if requires_grad and not is_floating(self.array):
            raise DTypeError(
                f"only floating-point tensors can have a gradient, got {self.array.dtype}; "
                "call .float() first"
            )
        if not requires_grad and self.node is not None:
            raise GradientError("only a leaf can stop asking for a gradient; use x.detach()")
        self.requires_grad = requires_grad
        return self

    def detach(self) -> Tensor:
        """Return a tensor that shares the array but not the graph."""
        made = Tensor(self.array)
        made._version = self._version
        return made

    def clone(self) -> Tensor:
        """Return a copy that is part of the graph."""
        return self._apply(f.ADD, 0) if is_floating(self.array) else Tensor(_copied(self.array))

    def backward(self, gradient: Any = None, retain_graph: Any = False) -> None:
        """Compute ∂self/∂leaf for every leaf that asks for it, and add it to its ``grad``.

        Args:
            gradient: ∂L/∂self; needed unless self has one element, where it is 1.
            retain_graph: keep what the backward needs, to walk the graph again.

        Raises:
            GradientError: if there is no graph, or it was used up.
            ShapeError: if ``gradient`` is needed or has another shape.
        """
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
            xp = array_namespace(self.array)
            seed = xp.ones(self.shape, dtype=self.array.dtype, device=self.array.device)
        else:
            seed = gradient.array if isinstance(gradient, Tensor) else asarray(gradient)
            if tuple(seed.shape) != self.shape:
                raise ShapeError(f"gradient must have shape {self.shape}, got {seed.shape}")
            seed = cast(seed, self.array.dtype)
        walk_back(self.node if self.node is not None else self, seed, retain_graph)

    def accumulate(self, gradient: Any, shared: Any) -> None:
        """Add a gradient to ``grad``; the tape calls this on leaves."""
        for observer in registry.observers():
            observer.on_gradient(self, "added")
        if self.grad is not None:
            registry.update(f.ACCUMULATE, self.grad.array, gradient)
        elif self.grad_slot is not None:
            registry.update(f.COPY_INTO, self.grad_slot, gradient)
            self.grad = Tensor(self.grad_slot)
        elif shared:
            # Somebody else may hold this array, and grad is changed in place later.
            xp = array_namespace(gradient)
            own = xp.empty_like(gradient)
            registry.update(f.COPY_INTO, own, gradient)
            self.grad = Tensor(own)
        else:
            self.grad = Tensor(gradient)

    def retain_grad(self) -> None:
        """Keep the gradient of a tensor that is not a leaf in its ``grad`` too."""
        if self.node is not None:

            def keep(gradient: Any) -> Any:
                self.accumulate(gradient, shared=True)
                return gradient

            self._hooks().append(keep)

    def register_hook(self, hook: Callable[[Tensor], Tensor | None]) -> None:
        """Call ``hook(gradient)`` when the gradient is known; what it returns replaces it."""
        if self.node is None:
            raise GradientError("hooks are for tensors that a formula made; a leaf has its grad")

        def call(gradient: Any) -> Any:
            replaced = hook(Tensor(gradient))
            return gradient if replaced is None else replaced.array

        self._hooks().append(call)

    def _hooks(self) -> list[Callable[[Any], Any]]:
        assert self.node is not None
        if self.node.hooks is None:
            self.node.hooks = []
        return self.node.hooks

    # Applying formulas.

    def _apply(self, formula: Formula, *others: Any, **options: Any) -> Tensor:
        return apply(formula, self, *others, **options)

    def _binary(self, formula: Formula, other: Any, reverse: Any = False) -> Tensor:
        left: Any = self
        right: Any = other
        if not isinstance(other, _WEAK):
            if not isinstance(other, Tensor):
                right = Tensor(asarray(other))
            if left.array.dtype != right.array.dtype:
                common = promote(left.array, right.array)
                left, right = left.to(common), right.to(common)
        elif isinstance(other, float) and not is_floating(self.array):
            left = left.to(default_dtype())
        if reverse:
            left, right = right, left
        return apply(formula, left, right)

    def __add__(self, other: Any) -> Tensor:
        return self._binary(f.ADD, other)

    __radd__ = __add__

    def __sub__(self, other: Any) -> Tensor:
        return self._binary(f.SUBTRACT, other)

    def __rsub__(self, other: Any) -> Tensor:
        return self._binary(f.SUBTRACT, other, reverse=True)

    def __mul__(self, other: Any) -> Tensor:
        return self._binary(f.MULTIPLY, other)

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> Tensor:
        return self._as_float()._binary(f.DIVIDE, other)

    def __rtruediv__(self, other: Any) -> Tensor:
        return self._as_float()._binary(f.DIVIDE, other, reverse=True)

    def __pow__(self, other: Any) -> Tensor:
        return self._binary(f.POWER, other)

    def __rpow__(self, other: Any) -> Tensor:
        return self._binary(f.POWER, other, reverse=True)

    def __matmul__(self, other: Any) -> Tensor:
        return self._binary(f.MATMUL, other)

    def __rmatmul__(self, other: Any) -> Tensor:
        return self._binary(f.MATMUL, other, reverse=True)

    def __neg__(self) -> Tensor:
        return self._apply(f.NEGATIVE)

    def __abs__(self) -> Tensor:
        return self.abs()

    def __eq__(self, other: object) -> Tensor:  # type: ignore[override]
        return self._binary(f.EQUAL, other)

    def __ne__(self, other: object) -> Tensor:  # type: ignore[override]
        return self._binary(f.NOT_EQUAL, other)

    def __lt__(self, other: Any) -> Tensor:
        return self._binary(f.LESS, other)

    def __le__(self, other: Any) -> Tensor:
        return self._binary(f.LESS_EQUAL, other)

    def __gt__(self, other: Any) -> Tensor:
        return self._binary(f.GREATER, other)

    def __ge__(self, other: Any) -> Tensor:
        return self._binary(f.GREATER_EQUAL, other)

    def __getitem__(self, index: Any) -> Tensor:
        return getitem(self, index)

    # Changing values in place.

    def _assign(self, value: Any) -> Tensor:
        if self.requires_grad and is_grad_enabled():
            what = "a leaf that asks for a gradient" if self.is_leaf else "a part of a graph"
            raise GradientError(
                f"{what} cannot be changed in place; do it under no_grad(), or write x = x + y"
            )
        registry.update(f.COPY_INTO, self.array, value)
        self._version[0] += 1
        return self

    def _in_place(self, formula: Formula, other: Any) -> Tensor:
        if is_grad_enabled() and not self.is_leaf:
            return self._binary(formula, other)
        asks = isinstance(other, Tensor) and other.requires_grad
        if is_grad_enabled() and asks and not self.requires_grad:
            return self._binary(formula, other)
        with_graph_off = self.detach()._binary(
            formula, other.detach() if isinstance(other, Tensor) else other
        )
        if with_graph_off.shape != self.shape:
            raise ShapeError(
                f"the result of shape {with_graph_off.shape} does not fit in place into {self.shape}"
            )
        return self._assign(cast(with_graph_off.array, self.array.dtype))

    def __iadd__(self, other: Any) -> Tensor:
        return self._in_place(f.ADD, other)

    def __isub__(self, other: Any) -> Tensor:
        return self._in_place(f.SUBTRACT, other)

    def __imul__(self, other: Any) -> Tensor:
        return self._in_place(f.MULTIPLY, other)

    def __itruediv__(self, other: Any) -> Tensor:
        return self._in_place(f.DIVIDE, other)

    add_, sub_, mul_, div_ = __iadd__, __isub__, __imul__, __itruediv__

    def copy_(self, source: Any) -> Tensor:
        """Write the values of another tensor or array into this one."""
        value = source.array if isinstance(source, Tensor) else asarray(source)
        if tuple(value.shape) != self.shape:
            raise ShapeError(f"copy_ needs values of shape {self.shape}, got {value.shape}")
        return self._assign(cast(move(value, self.device), self.array.dtype))

    def fill_(self, value: Any) -> Tensor:
        """Write one value into every element."""
        xp = array_namespace(self.array)
        full = xp.full(self.shape, value, dtype=self.array.dtype, device=self.array.device)
        return self._assign(full)

    def zero_(self) -> Tensor:
        """Write 0 into every element."""
        return self.fill_(0)

    def __setitem__(self, index: Any, value: Any) -> None:
        if self.requires_grad and is_grad_enabled():
            raise GradientError("items of a tensor with a gradient cannot be set; see nnscratch.where")
        registry.notify_read(self.array, "setting items")
        self.array[_raw_index(index)] = value.array if isinstance(value, Tensor) else value
        self._version[0] += 1


def apply(formula: Formula, *inputs: Any, **options: Any) -> Tensor:
    """Compute a formula on tensors, arrays and numbers, and record it if a gradient is asked for.

    This is how any code, a user's own formulas included, puts a formula on the tape.

    >>> apply(f.RELU, Tensor(np.asarray([-1.0, 2.0])))
    tensor([0., 2.], dtype=float64)
    """
    for observer in registry.observers():
        observer.on_inputs(inputs)
    arrays = [item.array if isinstance(item, Tensor) else item for item in inputs]
    Y, saved = registry.forward(formula, *arrays, **options)
    result = Tensor(Y)
    if not is_grad_enabled() or formula.backward is None:
        return result
    edges: list[Any] = []
    forms: list[Any] = []
    asked = False
    for position, item in enumerate(inputs):
        wanted = (
            isinstance(item, Tensor)
            and item.requires_grad
            and formula.differentiable[min(position, len(formula.differentiable) - 1)]
        )
        edges.append((item if item.node is None else item.node) if wanted else None)
        forms.append((item.array.shape, dtype_name(item.array.dtype)) if wanted else None)
        asked = asked or wanted
    if asked:
        result.requires_grad = True
        guards = [
            (item._version, item._version[0])
            for item in (*inputs, result)
            if isinstance(item, Tensor) and any(item.array is kept for kept in saved)
        ]
        result.node = Node(formula, saved, tuple(edges), tuple(forms), guards)
    return result


def _names_device(text: str) -> bool:
    return text == "cpu" or text.startswith("cuda")


def _copied(array: Any) -> Any:
    return array_namespace(array).asarray(array, copy=True)


def _raw_index(index: Any) -> Any:
    if isinstance(index, tuple):
        return tuple(_raw_index(item) for item in index)
    if isinstance(index, Tensor):
        registry.notify_read(index.array, "indexing by it")
        return index.array
    return index


def getitem(tensor: Tensor, index: Any) -> Tensor:
    """Return the elements at an index: slices and integers, integer arrays, or a mask.

    Raises:
        ShapeError: for several arrays in one index, or a mask of another shape.
        IndexError: if an integer is out of range.
    """
    items = index if isinstance(index, tuple) else (index,)
    arrays = [i for i, item in enumerate(items) if isinstance(item, (Tensor, list)) or is_array(item)]
    if not arrays:
        return apply(f.GETITEM, tensor, index=index)
    if len(arrays) > 1:
        return _paired(tensor, items)
    at = arrays[0]
    chosen = items[at]
    chosen = chosen if isinstance(chosen, Tensor) else Tensor(asarray(chosen))
    if chosen.array.ndim == 0 and is_integer(chosen.array):
        items = (*items[:at], int(chosen), *items[at + 1 :])
        return apply(f.GETITEM, tensor, index=items)
    if dtype_name(chosen.array.dtype) == "bool":
        registry.notify_read(chosen.array, "indexing by a mask")
        lead = tensor.shape[at : at + chosen.ndim]
        if lead != chosen.shape:
            raise ShapeError(f"a mask of shape {chosen.shape} does not fit dimensions {lead}")
        merged = tensor.reshape(*tensor.shape[:at], -1, *tensor.shape[at + chosen.ndim :])
        tensor, chosen = merged, Tensor(chosen.reshape(-1).nonzero_positions()[0])
    if any(not (isinstance(item, slice) and item == slice(None)) for item in items[:at]):
        raise ShapeError("an array index may only follow full slices; index in two steps")
    taken = apply(f.TAKE, tensor, chosen, axis=at)
    rest = items[at + 1 :]
    if all(isinstance(item, slice) and item == slice(None) for item in rest):
        return taken
    lead_slices = (slice(None),) * (at + chosen.ndim)
    return apply(f.GETITEM, taken, index=(*lead_slices, *rest))


def _paired(tensor: Tensor, items: tuple[Any, ...]) -> Tensor:
    """Index by one integer array a dimension, as in ``z[arange(n), labels]``."""
    positions = [item if isinstance(item, Tensor) else Tensor(asarray(item)) for item in items]
    if not all(is_integer(position.array) for position in positions):
        raise ShapeError("an index of several parts needs integers in each; index in two steps")
    flat: Tensor | None = None
    for size, position in zip(tensor.shape, positions, strict=False):
        wrapped = position + (position < 0).long() * size
        flat = wrapped if flat is None else flat * size + wrapped
    assert flat is not None
    merged = tensor.reshape(-1, *tensor.shape[len(positions) :])
    return apply(f.TAKE, merged, flat, axis=0)


def as_tensor(value: Any, dtype: Any = None, device: Any = None) -> Tensor:
    """Return a tensor of anything array-like, sharing memory where that is possible.

    Python floats become the default dtype, Python integers int64.

    Raises:
        DTypeError: if ``value`` holds no numbers.

    >>> as_tensor([1.5, 2.5])
    tensor([1.5, 2.5])
    """
    if isinstance(value, Tensor):
        return value.to(dtype=dtype, device=device)
    if is_array(value):
        array = asarray(value)
    elif hasattr(value, "__dlpack_device__"):
        from nnscratch.array import from_dlpack

        array = from_dlpack(value)
    else:
        if isinstance(value, (list, tuple)) and any(isinstance(item, Tensor) for item in value):
            value = [item.tolist() if isinstance(item, Tensor) else item for item in value]
        array = asarray(value)
        if dtype is None and is_floating(array):
            dtype = default_dtype()
    registry.notify_create(array, "tensor(...)")
    if dtype is not None:
        array = cast(array, dtype)
    return Tensor(array if device is None else move(array, device))


def made_on(device: Any) -> Any:
    """Return the namespace of a device given by the user, None meaning the CPU."""
    try:
        return namespace_on("cpu" if device is None else device)
    except TypeError as error:
        raise ConfigurationError(f"expected a device such as 'cpu' or 'cuda', got {device!r}") from error


def clear_gradient(parameter: Tensor, set_to_none: bool) -> None:
    """Forget a gradient, or set it to 0."""
    for observer in registry.observers():
        observer.on_gradient(parameter, "cleared")
    if set_to_none:
        parameter.grad = None
    elif parameter.grad is not None:
        parameter.grad.zero_()
