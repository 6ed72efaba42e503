"""``grad`` and ``backward``, the functions of ``torch.autograd`` that compute gradients."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nnscratch.errors import ConfigurationError, GradientError
from nnscratch.tensors import Tensor
from nnscratch.tensors.backward_pass import accumulate, gradient_edge, run_backward


def grad(
    outputs: Any,
    inputs: Any,
    grad_outputs: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    only_inputs: bool = True,
    allow_unused: bool | None = None,
    is_grads_batched: bool = False,
    materialize_grads: bool = False,
) -> tuple[Any, ...]:
    r"""Return for each input the gradient of the outputs, $\sum_k v_k \partial Y_k/\partial X$.

    The ``grad`` of no tensor is changed.

    Args:
        outputs: one tensor with a graph, or several: $Y_k$.
        inputs: the tensors X to differentiate with respect to, leaves or not.
        grad_outputs: $v_k$ for each output, of its shape; None, for 1, if it has one element.
        retain_graph: whether to keep the graph for another backward pass; None for the value of
            ``create_graph``.
        create_graph: whether to record the pass, so that gradients can be differentiated again.
        only_inputs: must be True; to add to the ``grad`` of leaves, call ``backward``.
        allow_unused: whether the gradient of an input that no output depends on is None instead of
            an error; None for the value of ``materialize_grads``.
        is_grads_batched: must be False; call ``grad`` once for each gradient instead.
        materialize_grads: whether the gradient of such an input is zeros.

    Returns:
        A tuple with a tensor for each input, of its shape and dtype.

    Raises:
        GradientError: if an output has no graph, an input has ``requires_grad=False`` or is not
            used, or the graph was freed.
        ShapeError: if a gradient is missing, or has another shape than its output.
        ConfigurationError: if the arguments contradict one another.

    >>> import nnscratch
    >>> x = nnscratch.tensor([1.0, 2.0], requires_grad=True)
    >>> (first,) = grad((x**3).sum(), x, create_graph=True)
    >>> first.detach()
    tensor([ 3., 12.])
    >>> grad(first.sum(), x)
    (tensor([ 6., 12.]),)
    """
    ys, xs = _tensors("grad", "outputs", outputs), _tensors("grad", "inputs", inputs)
    if is_grads_batched:
        raise ConfigurationError(
            "grad: is_grads_batched=True is not supported; call grad once for each gradient, with "
            "retain_graph=True"
        )
    if not only_inputs:
        raise ConfigurationError(
            "grad: only_inputs=False is not supported; to add to grad of all leaves call backward()"
        )
    if materialize_grads and allow_unused is False:
        raise ConfigurationError(
            "grad: materialize_grads=True gives unused inputs zeros, so allow_unused=False cannot "
            "hold; leave one of the two out"
        )
    for index, x in enumerate(xs):
        if not x.requires_grad:
            raise GradientError(
                f"grad: expected inputs with requires_grad=True, got input {index} of shape "
                f"{x.shape} without; call requires_grad_() on it before it is used"
            )
    seeds = _gradients("grad", "grad_outputs", grad_outputs, ys)
    made = run_backward(ys, seeds, xs, retain_graph, create_graph, "grad()")
    found: list[Any] = []
    given: set[int] = set()
    for index, x in enumerate(xs):
        gradient = made.found.get(gradient_edge(x))
        if gradient is None:
            if not (allow_unused or materialize_grads):
                raise GradientError(
                    f"grad: no output depends on input {index} of shape {x.shape}; pass "
                    "allow_unused=True to get None for it, or materialize_grads=True for zeros"
                )
            found.append(x.__array_namespace__().zeros_like(x) if materialize_grads else None)
            continue
        if not create_graph:
            gradient = x._wrap(gradient)
            if gradient_edge(x) in made.shared or id(gradient.array) in given:
                # Another tensor may hold the same array, and the caller may change it in place.
                gradient = gradient.clone()
            given.add(id(gradient.array))
        found.append(gradient)
    return tuple(found)


def backward(
    tensors: Any,
    grad_tensors: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    grad_variables: Any = None,
    inputs: Any = None,
) -> None:
    """Add the gradients of one tensor or several to the ``grad`` of the leaves behind them.

    Args:
        tensors: one tensor with a graph, or several.
        grad_tensors: for each of them ∂L/∂tensor, of its shape; None, for 1, if it has one element.
        retain_graph: whether to keep the graph for another backward pass; None for the value of
            ``create_graph``.
        create_graph: whether to record the pass, so that gradients can be differentiated again.
        grad_variables: PyTorch's earlier name of ``grad_tensors``.
        inputs: the tensors whose ``grad`` to compute; None for all leaves.

    Raises:
        GradientError: if a tensor has no graph, or the graph was freed.
        ShapeError: if a gradient is missing, or has another shape than its tensor.
        ConfigurationError: if ``inputs`` is empty, or both names of ``grad_tensors`` are used.

    >>> import nnscratch
    >>> x = nnscratch.tensor(3.0, requires_grad=True)
    >>> backward([x * x, 2 * x])
    >>> x.grad
    tensor(8.)
    """
    ys = _tensors("backward", "tensors", tensors)
    if grad_tensors is None:
        grad_tensors = grad_variables
    elif grad_variables is not None:
        raise ConfigurationError(
            "backward: grad_variables is an earlier name of grad_tensors; give one of the two"
        )
    wanted = None if inputs is None else _tensors("backward", "inputs", inputs)
    seeds = _gradients("backward", "grad_tensors", grad_tensors, ys)
    accumulate(run_backward(ys, seeds, wanted, retain_graph, create_graph), wanted)


def _tensors(where: str, what: str, given: Any) -> list[Any]:
    """Return one tensor or several as a list.

    Raises:
        ConfigurationError: if there are none, or one is no tensor.
    """
    several = [given] if isinstance(given, Tensor) or not _iterable(given) else list(given)
    if not several:
        raise ConfigurationError(f"{where}: expected at least one tensor in {what}, got none")
    for one in several:
        if not isinstance(one, Tensor):
            raise ConfigurationError(
                f"{where}: expected a tensor or several in {what}, got {type(one).__name__}"
            )
    return several


def _gradients(where: str, what: str, given: Any, tensors: Sequence[Any]) -> list[Any]:
    """Return a gradient, or None, for each tensor.

    Raises:
        ConfigurationError: if there are not as many gradients as tensors.
    """
    if given is None:
        return [None] * len(tensors)
    several = [given] if isinstance(given, Tensor) or not _iterable(given) else list(given)
    if len(several) != len(tensors):
        raise ConfigurationError(
            f"{where}: expected a gradient for each of {len(tensors)} tensors in {what}, got "
            f"{len(several)}"
        )
    return several


def _iterable(given: Any) -> bool:
    return hasattr(given, "__iter__") and not hasattr(given, "dtype")
