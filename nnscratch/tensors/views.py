"""In-place changes of a tensor whose memory other tensors view: how the views join the graph."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from nnscratch import formulas as f
from nnscratch.array import is_array, to_device_of, to_numpy
from nnscratch.array.addresses import address
from nnscratch.array.dtypes import is_complex
from nnscratch.errors import GradientError, ShapeError
from nnscratch.formulas import registry
from nnscratch.formulas.checks import broadcast_shape
from nnscratch.tensors.pairs import viewed


def write_through(tensor: Any, result: Any) -> None:
    """Write a computed result into a tensor's memory, and connect its views to the result.

    The gradient of a view then flows to the result for the elements that overlap with the changed
    tensor, and to the view's earlier node for the rest. Detached tensors over the same memory see
    the new values, but stay outside of the graph.

    Args:
        tensor: the tensor that is changed in place.
        result: the tensor of new values, part of a graph, of the same shape and dtype.

    Raises:
        GradientError: if one of the views is a leaf that requires a gradient, or if there are both
            views and detached tensors and ``tensor`` was not part of a graph before.
    """
    views, detached = tensor._aliases()
    followers = [one for one in views if one.requires_grad == tensor.requires_grad]
    if any(one.requires_grad and one.node is None for one in followers):
        raise GradientError(
            "a view of a leaf with requires_grad=True cannot be changed in place; do it under "
            "no_grad(), or change x.clone()"
        )
    if detached and followers and not tensor.requires_grad:
        raise GradientError(
            f"a tensor of shape {tensor.shape} shares its memory with a detached one, which must "
            "not become part of a graph; write x = x + y, or change x.clone()"
        )
    registry.notify_read(tensor.array, "changing a tensor that shares its memory with another")
    nodes = [(one, _follow(one, tensor, result)) for one in followers]
    registry.update(f.COPY_INTO, tensor.array, result.array)
    tensor._version[0] += 1
    for one, node in [*nodes, (tensor, result.node)]:
        if node is not None:
            one.node, one.requires_grad = node, True


def overwritten(tensor: Any, place: Any, value: Any) -> Any:
    """Return a copy of a tensor with other values at an index, recorded for both.

    The gradient of each element flows to the tensor or the value, whichever it was taken from.

    Args:
        tensor: the tensor.
        place: an index of arrays, slices and integers.
        value: a tensor that broadcasts to the shape of the indexed elements.

    Raises:
        ShapeError: if the value does not broadcast.
        IndexError: if the index is out of range.
    """
    size = tensor.numel()
    place = tuple(to_numpy(item) if is_array(item) else item for item in place)
    source = np.arange(size).reshape(tensor.shape)
    shape = source[place].shape
    if broadcast_shape("setting items", value.array, shape) != shape:
        raise ShapeError(f"setting items: {value.shape} does not broadcast to {shape}")
    source[place] = size + np.arange(math.prod(shape)).reshape(shape)
    given = value._apply(f.BROADCAST_TO, shape=shape).reshape(-1)
    both = tensor.reshape(-1)._apply(f.CONCATENATE, given, axis=0)
    return both._apply(f.TAKE, tensor._wrap(to_device_of(source, tensor.array)), axis=0)


def _follow(view: Any, changed: Any, result: Any) -> Any:
    """Return the new node of a view of ``changed``, None if the two have no element in common.

    It takes each element of the view from the result if their addresses are equal, else from the
    view itself. Where one of the two is complex, these are the elements of its pairs: a complex
    number has the address of its real part alone.
    """
    if is_complex(view.array) != is_complex(changed.array):
        if not is_complex(view.array):
            return _follow(view, *(viewed(f.VIEW_AS_REAL, one) for one in (changed, result)))
        pairs = viewed(f.VIEW_AS_REAL, view)
        pairs.node = _follow(pairs, changed, result)
        if pairs.node is None:
            return None
        pairs.requires_grad = True
        return viewed(f.VIEW_AS_COMPLEX, pairs).node
    own, new = _element_addresses(view.array), _element_addresses(changed.array)
    if not (own.size and new.size):
        return None
    order = np.argsort(new)
    nearest = order[np.minimum(np.searchsorted(new, own, sorter=order), new.size - 1)]
    hit = new[nearest] == own
    if not hit.any():
        return None
    index = np.where(hit, own.size + nearest, np.arange(own.size)).reshape(view.shape)
    both = view.reshape(-1)._apply(f.CONCATENATE, result.reshape(-1), axis=0)
    return both._apply(f.TAKE, view._wrap(to_device_of(index, view.array)), axis=0).node


def _element_addresses(array: Any) -> Any:
    """Return the addresses of all elements in row-major order, a vector."""
    places = np.asarray(address(array) or 0)
    for size, stride in zip(array.shape, array.strides, strict=True):
        places = places[..., None] + np.arange(size) * stride
    return places.reshape(-1)
