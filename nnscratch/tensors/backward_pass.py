"""Backward passes from several tensors, to chosen tensors only, or recorded (``create_graph``).

``run_backward`` is behind ``autograd.grad``, ``autograd.backward`` and ``Tensor.backward`` with
``create_graph`` or ``inputs``; the engine itself is in ``engine.py``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nnscratch.array import array_namespace, asarray, same_device
from nnscratch.array.addresses import on_device_of
from nnscratch.array.dtypes import cast, dtype_name
from nnscratch.errors import GradientError, ShapeError
from nnscratch.formulas import CAST
from nnscratch.tensors.base import TensorBase
from nnscratch.tensors.engine import BackwardPass
from nnscratch.tensors.grad_mode import mode
from nnscratch.tensors.tape import call_hooks_after


def initial_gradient(tensor: Any, gradient: Any, who: str = "backward()") -> Any:
    """Return ∂L/∂tensor with which a backward pass starts, checked and in the tensor's dtype.

    Args:
        tensor: the tensor that the pass starts from.
        gradient: a tensor or array of its shape; None, for 1, if it has one element.
        who: the call that errors name.

    Returns:
        An array; or a tensor, if ``gradient`` is a tensor that requires a gradient itself.

    Raises:
        GradientError: if the tensor has no graph.
        ShapeError: if a gradient is missing, or has another shape.
        DeviceError: if tensor and gradient are on different devices.
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


def run_backward(
    outputs: Sequence[Any],
    gradients: Sequence[Any],
    wanted: Sequence[Any] | None,
    retain_graph: bool | None,
    create_graph: bool,
    who: str = "backward()",
) -> BackwardPass:
    """Run one backward pass from all outputs, and return it with the gradients that it found.

    Args:
        outputs: tensors that were computed from others.
        gradients: for each output ∂L/∂output; None, for 1, if the output has one element.
        wanted: the tensors whose gradients to compute; None for all leaves.
        retain_graph: whether to keep the graph for another pass; None for the value of
            ``create_graph``.
        create_graph: whether to record the pass, so that gradients can be differentiated again.
        who: the call that errors name.

    Raises:
        GradientError: if an output has no graph, or the graph was freed.
        ShapeError: if a gradient is missing, or has another shape.
        DeviceError: if an output and its gradient are on different devices.
    """
    edges = None if wanted is None else [gradient_edge(one) for one in wanted]
    retain_graph = create_graph if retain_graph is None else retain_graph
    made = BackwardPass(edges, retain_graph, create_graph)
    before, mode.enabled = mode.enabled, create_graph
    try:
        roots = []
        for output, gradient in zip(outputs, gradients, strict=True):
            start = initial_gradient(output, gradient, who)
            if create_graph and not isinstance(start, TensorBase):
                start = output._wrap(start)
            elif not create_graph and isinstance(start, TensorBase):
                start = start.array
            roots.append((gradient_edge(output), start))
        made.run(roots)
    finally:
        mode.enabled = before
    return made


def gradient_edge(tensor: Any) -> Any:
    """Return what an edge to a tensor leads to: its node, or the tensor if it is a leaf."""
    return tensor if tensor.node is None else tensor.node


def accumulate(made: BackwardPass, tensors: Sequence[Any] | None) -> None:
    """Add the gradients that a pass found to ``grad`` of ``tensors``, or of all leaves if None."""
    targets = [(one, one) for one in made.found] if tensors is None else []
    for tensor in tensors or ():
        if all(tensor is not other for other, _ in targets):
            targets.append((tensor, gradient_edge(tensor)))
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
            call_hooks_after(tensor)
    finally:
        mode.enabled = before
