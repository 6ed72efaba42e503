"""``grad`` and ``backward``, PyTorch's functions that ask for gradients."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nnscratch.errors import ConfigurationError, GradientError
from nnscratch.tensors import Tensor
from nnscratch.tensors.asking import accumulate, place, walk


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

    No ``grad`` is changed.

    Args:
        outputs: a tensor of a graph, or several.
        inputs: the tensors to differentiate with respect to: leaves, or others of the graph.
        grad_outputs: $v_k$ for each output, of its shape; None where it has one element, for 1.
        retain_graph: whether the graph can be walked again; None for where ``create_graph`` is.
        create_graph: whether the gradients are parts of a graph, so that they have gradients too.
        only_inputs: must be True: ``backward`` adds to ``grad``.
        allow_unused: whether an input that no output depends on has the gradient None instead of
            being an error; None for where ``materialize_grads`` is.
        is_grads_batched: must be False; call it once for each gradient instead.
        materialize_grads: whether such an input has a gradient of zeros.

    Returns:
        A tuple with a tensor for each input, of its shape and dtype.

    Raises:
        GradientError: if an output has no graph, an input asks for no gradient or is not used, or
            the graph was used up.
        ShapeError: if the shapes do not fit.
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
                f"grad: input {index} of shape {x.shape} asks for no gradient; call "
                "requires_grad_() on it before it is used"
            )
    seeds = _gradients("grad", "grad_outputs", grad_outputs, ys)
    made = walk(ys, seeds, xs, retain_graph, create_graph, "grad()")
    found: list[Any] = []
    given: set[int] = set()
    for index, x in enumerate(xs):
        gradient = made.found.get(place(x))
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
            if place(x) in made.shared or id(gradient.array) in given:
                # It may be held elsewhere too, and be changed in place here.
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
    """Walk back from one tensor or several at once, and add gradients to ``grad`` of the leaves.

    Args:
        tensors: a tensor of a graph, or several.
        grad_tensors: the gradient of each, of its shape; None where it has one element, for 1.
        retain_graph: whether the graph can be walked again; None for where ``create_graph`` is.
        create_graph: whether the gradients are parts of a graph.
        grad_variables: PyTorch's earlier name of ``grad_tensors``.
        inputs: the tensors whose ``grad`` is added to; None for all leaves.

    Raises:
        GradientError: if one has no graph, or it was used up.
        ShapeError: if the shapes do not fit.
        ConfigurationError: if ``inputs`` is empty.

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
    accumulate(walk(ys, seeds, wanted, retain_graph, create_graph), wanted)


def _tensors(where: str, what: str, given: Any) -> list[Any]:
    """Return one tensor, or several, as a list.

    Raises:
        ConfigurationError: if there are none, or something else is among them.
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
        ConfigurationError: if there are not as many.
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
