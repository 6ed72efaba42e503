"""``Tensor``, an array with a gradient, and ``apply``, which computes and records a formula."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from nnscratch import formulas as f
from nnscratch.absent import AbsentMethod
from nnscratch.array import (
    asarray,
    default_dtype,
    dtype_name,
    is_array,
    move,
    to_numpy,
)
from nnscratch.array.addresses import owner
from nnscratch.array.device import namespace_on
from nnscratch.array.dtypes import cast, is_complex, is_inexact
from nnscratch.errors import ConfigurationError, DTypeError
from nnscratch.formulas import Formula, registry
from nnscratch.formulas.complex_numbers import for_complex
from nnscratch.formulas.observing import WATCHING
from nnscratch.instead import METHODS
from nnscratch.tensors.conversions import TensorConversions
from nnscratch.tensors.grad_mode import mode
from nnscratch.tensors.gradients import TensorGradient, clear_gradient
from nnscratch.tensors.indexing import TensorIndexing
from nnscratch.tensors.methods import TensorMethods
from nnscratch.tensors.namespace import Namespace
from nnscratch.tensors.nested import floats_of, numbers_in
from nnscratch.tensors.nodes import FirstOutputNode, MultiOutputNode, Node, Origin
from nnscratch.tensors.operators import TensorOperators
from nnscratch.tensors.printing import text_of
from nnscratch.tensors.promotion import refuse_booleans, to_common_dtype
from nnscratch.tensors.reductions import TensorReductions
from nnscratch.tensors.shapes import TensorShapes

if TYPE_CHECKING:  # the methods that ``tensors.ops`` makes of its functions once it is loaded
    from nnscratch.tensors.ops.methods import FunctionMethods
else:
    FunctionMethods = object

__all__ = ["Tensor", "apply", "as_tensor", "clear_gradient", "made_on", "wrap"]


class Tensor(
    TensorOperators,
    TensorMethods,
    TensorReductions,
    TensorShapes,
    TensorIndexing,
    TensorConversions,
    TensorGradient,
    FunctionMethods,
):
    """An array with a gradient, with PyTorch's names, semantics and defaults.

    Attributes:
        array: the NumPy or CuPy array.
        requires_grad: whether ``backward`` computes a gradient for this tensor.
        grad: ∂L/∂self after ``backward``, a tensor of the same shape and dtype, or None.
        grad_slot: an array into which the values of ``grad`` are written, such as a part of an
            optimizer's flat gradient buffer; None if there is none.
        node: the recorded formula that computed this tensor; None for a leaf.

    >>> x = Tensor(np.asarray([1.0, 2.0, 3.0]), requires_grad=True)
    >>> (x * x).sum().backward()
    >>> x.grad
    tensor([2., 4., 6.], dtype=float64)
    """

    __slots__ = ()
    __array_priority__ = 1000

    def __init__(self, *data: Any, requires_grad: bool = False) -> None:
        """Make a tensor of an array without a copy, or of data or a shape as ``torch.Tensor`` does.

        ``Tensor(array)`` shares memory with the array and has its dtype. ``Tensor([1, 2])`` has the
        default dtype whatever the numbers are; ``Tensor(2, 3)`` has that shape and is filled with
        zeros.

        Args:
            *data: an array, nested lists of numbers, or the sizes of the dimensions; a second
                argument True or False after an array is ``requires_grad``.
            requires_grad: whether ``backward`` computes a gradient for the tensor.

        Raises:
            DTypeError: if the data holds no numbers, or ``requires_grad`` is True for a dtype that
                is not floating.
        """
        given: list[Any] = [*data]
        if len(given) == 2 and isinstance(given[1], bool):
            requires_grad = given.pop()
        wraps = len(given) == 1 and is_array(given[0])
        self.array = asarray(given[0] if wraps else _legacy(given))
        self.node = self.grad = self.grad_slot = self.hooks = self._slot_grad = None
        self._version = [0]
        self.requires_grad = False
        if requires_grad:
            self.requires_grad_()

    def _wrap(self, array: Any) -> Tensor:
        return wrap(array)

    def __array_namespace__(self, *, api_version: str | None = None) -> Namespace:
        """Return the namespace of array API functions on tensors, which record what they do."""
        return _NAMESPACE

    def __repr__(self) -> str:
        registry.notify_read(self.array, "its text")
        text = text_of(to_numpy(self.array), "tensor(")
        name = dtype_name(self.array.dtype)
        extra = "" if name in (default_dtype(), "int64", "bool") else f", dtype={name}"
        if self.device.type != "cpu":
            extra += f", device='{self.device}'"
        if self.node is not None:
            extra += f", grad_fn={self.node!r}"
        elif self.requires_grad:
            extra += ", requires_grad=True"
        return f"tensor({text}{extra})"

    def __dir__(self) -> list[str]:
        return [name for name in super().__dir__() if name not in METHODS]

    def __format__(self, spec: str) -> str:
        return format(self.item(), spec) if spec and self.ndim == 0 else format(repr(self), spec)

    # Applying formulas.

    def _apply(self, formula: Formula, *others: Any, **options: Any) -> Tensor:
        return apply(formula, self, *others, **options)

    def _binary(self, formula: Formula, other: Any, reverse: Any = False) -> Tensor:
        if isinstance(other, np.generic):
            other = other.item()
        if formula is f.DIVIDE and isinstance(other, (bool, int)):
            # As a float, or an integer beyond the range of the tensor's dtype would wrap around.
            left, right = to_common_dtype(self._as_float(), other)
        else:
            left, right = to_common_dtype(self, other)
        if formula is f.DIVIDE and not is_inexact(left.array):
            left, right = (
                left.to(default_dtype()),
                to_common_dtype(left.to(default_dtype()), right)[1],
            )
        if formula is f.SUBTRACT:
            refuse_booleans(self, other)
        return apply(formula, right, left) if reverse else apply(formula, left, right)


for _name in METHODS:
    setattr(Tensor, _name, AbsentMethod(_name))

_new = Tensor.__new__


def wrap(array: Any) -> Tensor:
    """Return a tensor of an array that a formula returned: ``Tensor(array)`` without its checks."""
    made = _new(Tensor)
    made.array = array
    made.node = made.grad = made.grad_slot = made.hooks = made._slot_grad = None
    made._version = [0]
    made.requires_grad = False
    return made


def apply(formula: Formula, *inputs: Any, **options: Any) -> Tensor:
    """Compute a formula on tensors, arrays and numbers, and record it if an input needs a gradient.

    All code records formulas through this function, and so can users for formulas of their own.

    Args:
        formula: the formula, such as ``nnscratch.formulas.RELU``.
        *inputs: its inputs, in order.
        **options: its options, by name.

    Returns:
        The output as a tensor, or a tuple of tensors if the formula has several outputs.

    Raises:
        ShapeError: if the shapes do not fit the formula.
        DTypeError: if the formula has no meaning for a dtype.
        DeviceError: if the inputs are on different devices.

    >>> from nnscratch import formulas as f
    >>> apply(f.RELU, Tensor(np.asarray([-1.0, 2.0])))
    tensor([0., 2.], dtype=float64)
    """
    for observer in WATCHING.observers:
        observer.on_inputs(inputs)
    arrays = [item.array if isinstance(item, Tensor) else item for item in inputs]
    Y, saved = registry.forward(formula, *arrays, **options)
    if formula.outputs:
        return _several(formula, inputs, Y, saved, options)  # type: ignore[no-any-return]
    result = wrap(Y)
    if formula.aliases and owner(Y) is owner(arrays[0]) and isinstance(inputs[0], Tensor):
        # A view: writing into it changes the tensor that it is a view of, and the other way round.
        result._share_memory_with(inputs[0])
    if mode.enabled and formula.backward is not None:
        for item in inputs:
            if isinstance(item, Tensor) and item.requires_grad:
                if is_inexact(Y):
                    result.node = _node((result,), formula, inputs, saved, options)
                    result.requires_grad = result.node is not None
                break
    return result


def apply_first(formula: Formula, *inputs: Any, **options: Any) -> tuple[Tensor, tuple[Any, ...]]:
    """``apply`` a formula with several outputs of which only the first is a part of the graph.

    Args:
        formula: the formula; its first output is no view of an input.
        *inputs: its inputs, in order.
        **options: its options, by name.

    Returns:
        The first output as a tensor, and the others as arrays, which nobody changes.

    Raises:
        ShapeError, DTypeError, DeviceError: as ``apply``.

    >>> apply_first(f.VAR_MEAN, Tensor(np.asarray([1.0, 3.0])), axis=(0,))
    (tensor(2., dtype=float64), (array(2.),))
    """
    for observer in WATCHING.observers:
        observer.on_inputs(inputs)
    arrays = [item.array if isinstance(item, Tensor) else item for item in inputs]
    (Y, *others), saved = registry.forward(formula, *arrays, **options)
    result = wrap(Y)
    if mode.enabled and formula.backward is not None:
        for item in inputs:
            if isinstance(item, Tensor) and item.requires_grad:
                if is_inexact(Y):
                    count = 1 + len(others)
                    result.node = _node((result,), formula, inputs, saved, options, count)
                    result.requires_grad = result.node is not None
                break
    return result, tuple(others)


def _several(
    formula: Formula, inputs: tuple[Any, ...], arrays: Any, saved: Any, options: dict[str, Any]
) -> Any:
    """Return the outputs of a formula with several, each with a node of its own if recorded."""
    results = tuple([wrap(Y) for Y in arrays])
    source: Any = inputs[0] if inputs else None
    for result in results if formula.aliases and isinstance(source, Tensor) else ():
        if owner(result.array) is owner(source.array):
            result._share_memory_with(source)
    if not mode.enabled or formula.backward is None:
        return results
    if any(isinstance(item, Tensor) and item.requires_grad for item in inputs):
        node = _node(results, formula, inputs, saved, options, len(results))
        for index, result in enumerate(results if node is not None else ()):
            if is_inexact(result.array):
                result.node, result.requires_grad = node.output(index), True
    return results


def _node(
    results: tuple[Tensor, ...],
    formula: Formula,
    inputs: tuple[Any, ...],
    saved: Any,
    options: dict[str, Any],
    count: int = 1,
) -> Any:
    """Return the node of a call; None if no differentiable input requires a gradient.

    Args:
        results: the outputs that shall have one: all, or the first.
        formula: what was called.
        inputs: what it was given.
        saved: what its forward saved.
        options: its options.
        count: how many outputs it has.
    """
    edges: list[Any] = []
    forms: list[Any] = []
    differentiable = formula.differentiable
    if formula.variadic:
        differentiable = differentiable * len(inputs)
    asked = complexes = False
    for item, can in zip(inputs, differentiable, strict=False):
        if can and isinstance(item, Tensor) and item.requires_grad:
            asked = True
            edges.append(item if item.node is None else item.node)
            array = item.array
            forms.append((array.shape, array.dtype))
            if array.dtype.kind == "c":
                complexes = True
        else:
            edges.append(None)
            forms.append(None)
    if not asked:
        return None
    for result in results:
        if result.array.dtype.kind == "c":
            complexes = True
    if complexes:
        formula = for_complex(formula)
    guards = []
    origin = None
    for position, kept in enumerate(saved):
        if type(kept) in _PLAIN:
            continue
        for made, result in enumerate(results):
            if kept is result.array:
                guards.append((result._version, result._version[0], position, -1 - made))
                break
        else:
            for source, item in enumerate(inputs):
                if isinstance(item, Tensor) and item.array is kept:
                    cell = item._version
                    guards.append((cell, cell[0], position, source))
                    break
            else:
                if origin is None and _of_floats(kept):
                    origin = _origin(inputs, options)
    kind: type[Node] = Node
    if formula.outputs:
        kind = MultiOutputNode if len(results) == count else FirstOutputNode
    node: Any = kind(formula, saved, tuple(edges), tuple(forms), tuple(guards), origin)
    if formula.outputs:
        node.count = count
    return node


def _of_floats(kept: Any) -> bool:
    return hasattr(kept, "dtype") and is_inexact(kept)


def _origin(inputs: tuple[Any, ...], options: dict[str, Any]) -> Origin:
    """Return the arguments of a call, for a node that saves intermediate floating-point arrays."""
    arrays = tuple([item.array if isinstance(item, Tensor) else item for item in inputs])
    versions = [(i._version, i._version[0]) if isinstance(i, Tensor) else None for i in inputs]
    return Origin(arrays, tuple(versions), options)


_NAMESPACE = Namespace(wrap, apply)
_PLAIN = frozenset({int, float, bool, str, tuple, type(None)})


def as_tensor(data: Any, dtype: Any = None, device: Any = None) -> Tensor:
    """Return a tensor of anything array-like, without a copy if that is possible.

    Args:
        data: a tensor, an array, an object with DLPack, a number, or nested lists of them.
            Python floats become the default dtype, Python integers int64.
        dtype: the dtype of the result; by default that of ``data``.
        device: the device of the result; by default that of ``data``.

    Raises:
        DTypeError: if ``data`` holds no numbers, or its lists are ragged.
        DeviceError: if this machine has no such device.

    >>> as_tensor([1.5, 2.5])
    tensor([1.5, 2.5])
    """
    if isinstance(data, Tensor):
        return data if dtype is None and device is None else data.to(dtype=dtype, device=device)
    if is_array(data):
        array = asarray(data)
    elif hasattr(data, "__dlpack_device__"):
        from nnscratch.array import from_dlpack

        array = from_dlpack(data)
    else:
        array = asarray(numbers_in(data))
        if dtype is None and is_inexact(array):
            dtype = floats_of(data) or default_dtype()
            if is_complex(array):
                dtype = "complex128" if dtype == "float64" else "complex64"
        elif is_complex(array) and not dtype_name(dtype).startswith("complex"):
            raise DTypeError(
                f"a tensor of {dtype_name(dtype)} cannot hold complex numbers; leave dtype out, or "
                "give their real parts"
            )
    given = array
    if dtype is not None:
        array = cast(array, dtype)
    array = array if device is None else move(array, device)
    if array is not given:
        registry.notify_copied(given)
    registry.notify_create(array, "tensor(...)")
    return Tensor(array)


def _legacy(data: list[Any]) -> Any:
    """Return the array for ``Tensor(data)`` or ``Tensor(2, 3)``, as PyTorch's constructor does."""
    if len(data) == 1 and isinstance(data[0], Tensor):
        return data[0].array
    if len(data) == 1 and not isinstance(data[0], int):
        return cast(asarray(numbers_in(data[0])), default_dtype())
    return np.zeros(tuple(data) or (0,), default_dtype())


def made_on(device: Any) -> Any:
    """Return the array namespace of a device argument; None means the CPU.

    Raises:
        DeviceError: if there is no such device.
        ConfigurationError: if the argument is no device at all.
    """
    try:
        return namespace_on("cpu" if device is None else device)
    except TypeError as error:
        raise ConfigurationError(
            f"expected a device such as 'cpu' or 'cuda', got {device!r}"
        ) from error
