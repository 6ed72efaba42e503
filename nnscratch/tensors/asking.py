"""Asking for gradients: of several tensors at once, with respect to some, as parts of a graph."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nnscratch.array import array_namespace, asarray, same_device
from nnscratch.array.addresses import on_device_of
from nnscratch.array.dtypes import cast, dtype_name
from nnscratch.errors import GradientError, ShapeError
from nnscratch.formulas import CAST
from nnscratch.tensors.base import TensorBase
from nnscratch.tensors.grad_mode import mode
from nnscratch.tensors.walking import Walk


def seed(tensor: Any, gradient: Any, who: str = "backward()") -> Any:
    """Return ∂L/∂tensor to start from, as an array, or as the tensor that was given.

    Raises:
        GradientError: if the tensor has no graph.
        ShapeError: if a gradient is needed, or has another shape.
        DeviceError: if the two live on two devices.
    """
    if not tensor.requires_grad:
        raise GradientError(
            f"{who} on a tensor without a graph: none of what it was computed from has "
            "requires_grad=True, or it was computed under no_grad()"
        )
    array = tensor.array
    if gradient is None:
        if tensor.numel() != 1:
            raise ShapeError(
                f"{who} without a gradient needs one element, got shape {tensor.shape}; "
                "reduce the loss with .sum() or .mean(), or pass gradient="
            )
        with on_device_of(array):
            return array_namespace(array).ones_like(array)
    given = gradient.array if isinstance(gradient, TensorBase) else asarray(gradient)
    if tuple(given.shape) != tensor.shape:
        raise ShapeError(f"gradient must have shape {tensor.shape}, got {tuple(given.shape)}")
    same_device("backward", tensor=array, gradient=given)
    if isinstance(gradient, TensorBase) and gradient.requires_grad:
        name = dtype_name(array.dtype)
        same = dtype_name(given.dtype) == name
        return gradient if same else gradient._apply(CAST, dtype=name)
    return cast(given, array.dtype)


def walk(
    outputs: Sequence[Any],
    gradients: Sequence[Any],
    wanted: Sequence[Any] | None,
    retain_graph: bool | None,
    create_graph: bool,
    who: str = "backward()",
) -> Walk:
    """Walk back from all outputs at once and return the walk, with what it found.

    Args:
        outputs: tensors of graphs.
        gradients: for each ∂L/∂output, or None where it has one element.
        wanted: the tensors whose gradients are asked for; None for all leaves.
        retain_graph: whether the graph can be walked again; None for where ``create_graph`` is.
        create_graph: whether gradients are parts of a graph.
        who: the call that errors name.
    """
    places = None if wanted is None else [place(one) for one in wanted]
    made = Walk(places, create_graph if retain_graph is None else retain_graph, create_graph)
    before, mode.enabled = mode.enabled, create_graph
    try:
        roots = []
        for output, gradient in zip(outputs, gradients, strict=True):
            start = seed(output, gradient, who)
            if create_graph and not isinstance(start, TensorBase):
                start = output._wrap(start)
            elif not create_graph and isinstance(start, TensorBase):
                start = start.array
            roots.append((place(output), start))
        made.run(roots)
    finally:
        mode.enabled = before
    return made


def place(tensor: Any) -> Any:
    """Return where a tensor stands in a graph: its node, or the leaf itself."""
    return tensor if tensor.node is None else tensor.node


def accumulate(made: Walk, tensors: Sequence[Any] | None) -> None:
    """Add what a walk found to ``grad``: of the leaves, or of the tensors that were asked for."""
    targets = [(one, one) for one in made.found] if tensors is None else []
    for tensor in tensors or ():
        if all(tensor is not other for other, _ in targets):
            targets.append((tensor, place(tensor)))
    before, mode.enabled = mode.enabled, made.recorded
    try:
        for tensor, spot in targets:
            gradient = made.found.get(spot)
            if gradient is None:
                continue
            if made.recorded:
                tensor.accumulate_recorded(gradient, spot in made.shared)
            else:
                tensor.accumulate(gradient, spot in made.shared)
    finally:
        mode.enabled = before
