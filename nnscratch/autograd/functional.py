"""Jacobians, Hessians and their products with vectors, as in ``torch.autograd.functional``.

Each function takes ``func``, a function of one tensor or several that returns one tensor or
several, and ``inputs``, a tensor or a tuple of tensors. A result has the same structure: a tensor
for a tensor, a tuple for a tuple. The ``grad`` of no tensor is changed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nnscratch.absent import refuse_absent_names
from nnscratch.autograd.gradients import grad
from nnscratch.errors import ConfigurationError, GradientError, ShapeError
from nnscratch.tensors import Tensor, enable_grad
from nnscratch.tensors.creation import ones_like, zeros_like
from nnscratch.tensors.functions import stack

__all__ = ["hessian", "hvp", "jacobian", "jvp", "vhp", "vjp"]

Tensors = Any


def vjp(
    func: Callable[..., Any],
    inputs: Tensors,
    v: Tensors = None,
    create_graph: bool = False,
    strict: bool = False,
) -> tuple[Any, Any]:
    r"""Return the outputs of ``func``, and $v^\top J$, a vector times the Jacobian.

    Args:
        func: a function of tensors.
        inputs: a tensor or a tuple of tensors.
        v: a tensor for each output, of its shape; None, for 1, if the only output has one element.
        create_graph: whether the results can be differentiated again.
        strict: whether an input that no output depends on is an error; by default its product is
            zeros.

    Raises:
        ConfigurationError: if inputs or outputs are no tensors.
        ShapeError: if the shapes of v are not those of the outputs.
        GradientError: with ``strict``, if an output does not depend on an input.

    >>> import nnscratch
    >>> vjp(lambda x: x * x, nnscratch.tensor([1.0, 2.0]), nnscratch.tensor([1.0, 10.0]))[1]
    tensor([ 2., 40.])
    """
    with enable_grad():
        xs, one = _inputs("vjp", inputs, create_graph)
        ys, single = _outputs("vjp", func(*xs), strict)
        vs = _vectors("vjp", v, ys, "output")
        made = _grad("vjp", ys, xs, vs, create_graph, strict)
    return _back(ys, single, create_graph), _back(made, one, create_graph)


def jvp(
    func: Callable[..., Any],
    inputs: Tensors,
    v: Tensors = None,
    create_graph: bool = False,
    strict: bool = False,
) -> tuple[Any, Any]:
    r"""Return the outputs of ``func``, and $J v$, the Jacobian times a vector.

    $u^\top J$ is linear in u, so $J v$ is the gradient by u of $(u^\top J) v$: two backward passes,
    and no forward-mode derivatives. Arguments and errors are those of ``vjp``, but v has a tensor
    for each input.

    >>> import nnscratch
    >>> jvp(lambda x: (x * x).sum(), nnscratch.tensor([1.0, 2.0]), nnscratch.tensor([1.0, 10.0]))[1]
    tensor(42.)
    """
    with enable_grad():
        xs, _ = _inputs("jvp", inputs, create_graph)
        vs = _vectors("jvp", v, xs, "input")
        ys, single = _outputs("jvp", func(*xs), strict)
        us = [zeros_like(y).requires_grad_() for y in ys]
        first = _grad("jvp", ys, xs, us, True, strict)
        made = _grad("jvp", first, us, vs, create_graph, False)
    return _back(ys, single, create_graph), _back(made, single, create_graph)


def jacobian(
    func: Callable[..., Any],
    inputs: Tensors,
    create_graph: bool = False,
    strict: bool = False,
    vectorize: bool = False,
    strategy: str = "reverse-mode",
) -> Any:
    r"""Return $J = \partial Y/\partial X$, whose shape is the output's followed by the input's.

    Args:
        func: a function of tensors.
        inputs: a tensor or a tuple of tensors.
        create_graph: whether the results can be differentiated again.
        strict: whether an input that no output depends on is an error; by default its J is 0.
        vectorize: accepted as in PyTorch, without an effect.
        strategy: "reverse-mode" or "forward-mode", as in PyTorch, without an effect.

    Returns:
        A tensor for one input and one output. For a tuple of inputs, a tuple with a tensor for
        each input; for several outputs, a tuple with such a result for each output.

    Raises:
        ConfigurationError: if inputs or outputs are no tensors.
        GradientError: with ``strict``, if an output does not depend on an input.

    >>> import nnscratch
    >>> jacobian(lambda x: x * x, nnscratch.tensor([1.0, 2.0]))
    tensor([[2., 0.],
            [0., 4.]])
    """
    _need_strategy("jacobian", strategy)
    with enable_grad():
        xs, one = _inputs("jacobian", inputs, create_graph)
        ys, single = _outputs("jacobian", func(*xs), strict)
        made = []
        for y in ys:
            flat = y.reshape(-1)
            rows = [
                _grad("jacobian", [flat[k]], xs, [None], create_graph, strict)
                for k in range(y.numel())
            ]
            made.append(
                _back([_stacked(rows, i, y, x) for i, x in enumerate(xs)], one, create_graph)
            )
    return made[0] if single else tuple(made)


def hessian(
    func: Callable[..., Any],
    inputs: Tensors,
    create_graph: bool = False,
    strict: bool = False,
    vectorize: bool = False,
    outer_jacobian_strategy: str = "reverse-mode",
) -> Any:
    r"""Return $H = \partial^2 Y/\partial X_i \partial X_j$ of a function with one element.

    Arguments and errors are those of ``jacobian``.

    Returns:
        A tensor whose shape is the input's twice; for a tuple of inputs, a tuple of tuples with
        the second derivatives by inputs i and j at [i][j].

    Raises:
        ShapeError: if ``func`` returns more than one element.

    >>> import nnscratch
    >>> hessian(lambda x: (x**3).sum(), nnscratch.tensor([1.0, 2.0]))
    tensor([[ 6.,  0.],
            [ 0., 12.]])
    """
    _need_strategy("hessian", outer_jacobian_strategy)
    one = isinstance(inputs, Tensor)

    def first(*xs: Any) -> Any:
        y = func(*xs)
        _one_element("hessian", y)
        return tuple(_grad("hessian", [y], xs, [None], True, strict))

    made = jacobian(first, inputs, create_graph, strict)
    return made[0] if one else made


def vhp(
    func: Callable[..., Any],
    inputs: Tensors,
    v: Tensors = None,
    create_graph: bool = False,
    strict: bool = False,
) -> tuple[Any, Any]:
    r"""Return the output of ``func``, which has one element, and $v^\top H$ with its Hessian.

    The Hessian itself is not computed: the product takes two backward passes. Arguments and errors
    are those of ``vjp``, but v has a tensor for each input.

    >>> import nnscratch
    >>> vhp(lambda x: (x**3).sum(), nnscratch.tensor([1.0, 2.0]), nnscratch.tensor([1.0, 10.0]))[1]
    tensor([  6., 120.])
    """
    return _hessian_product("vhp", func, inputs, v, create_graph, strict)


def hvp(
    func: Callable[..., Any],
    inputs: Tensors,
    v: Tensors = None,
    create_graph: bool = False,
    strict: bool = False,
) -> tuple[Any, Any]:
    r"""Return the output of ``func``, which has one element, and $H v$ with its Hessian.

    A Hessian is symmetric, so the result is that of ``vhp``. Arguments and errors are the same.

    >>> import nnscratch
    >>> hvp(lambda x: (x**3).sum(), nnscratch.tensor([1.0, 2.0]), nnscratch.tensor([1.0, 10.0]))[1]
    tensor([  6., 120.])
    """
    return _hessian_product("hvp", func, inputs, v, create_graph, strict)


def _hessian_product(
    where: str,
    func: Callable[..., Any],
    inputs: Tensors,
    v: Tensors,
    create_graph: bool,
    strict: bool,
) -> tuple[Any, Any]:
    with enable_grad():
        xs, one = _inputs(where, inputs, create_graph)
        vs = _vectors(where, v, xs, "input")
        y = func(*xs)
        _one_element(where, y)
        ys, single = _outputs(where, y, strict)
        first = _grad(where, ys, xs, [None], True, strict)
        made = _grad(where, first, xs, vs, create_graph, strict)
    return _back(ys, single, create_graph), _back(made, one, create_graph)


# What the functions share.


def _inputs(where: str, inputs: Tensors, create_graph: bool) -> tuple[tuple[Any, ...], bool]:
    """Return the inputs as tensors that require gradients, and whether it was a single one."""
    one = isinstance(inputs, Tensor)
    several = (inputs,) if one else inputs
    if not isinstance(several, (tuple, list)) or not several:
        raise ConfigurationError(
            f"{where}: expected a tensor or a tuple of tensors as inputs, got "
            f"{type(inputs).__name__}"
        )
    made = []
    for index, x in enumerate(several):
        if not isinstance(x, Tensor):
            raise ConfigurationError(
                f"{where}: expected tensors as inputs, got {type(x).__name__} as input {index}"
            )
        if create_graph and x.requires_grad:
            made.append(x.reshape(x.shape))  # another node in the same graph
        else:
            made.append(x.detach().requires_grad_())
    return tuple(made), one


def _outputs(where: str, outputs: Any, strict: bool) -> tuple[list[Any], bool]:
    single = isinstance(outputs, Tensor)
    several = [outputs] if single else outputs
    if not isinstance(several, (tuple, list)) or not all(isinstance(y, Tensor) for y in several):
        raise ConfigurationError(
            f"{where}: expected func to return a tensor or a tuple of tensors, got "
            f"{type(outputs).__name__}"
        )
    for index, y in enumerate(several):
        if strict and not y.requires_grad:
            raise GradientError(
                f"{where}: output {index} of func does not depend on the inputs, which strict=True "
                "does not allow"
            )
    return list(several), single


def _vectors(where: str, v: Tensors, like: Any, what: str) -> list[Any]:
    """Return a vector for each output or input, checked for its shape."""
    if v is None:
        if len(like) != 1 or like[0].numel() != 1:
            raise ShapeError(f"{where}: v is needed unless there is one {what} with one element")
        return [ones_like(like[0])]
    several = [v] if isinstance(v, Tensor) else list(v)
    shapes = [tuple(one.shape) for one in several]
    expected = [tuple(one.shape) for one in like]
    if shapes != expected:
        raise ShapeError(
            f"{where}: expected v to have a tensor for each {what}, of shapes {expected}, got "
            f"{shapes}"
        )
    return several


def _grad(where: str, ys: Any, xs: Any, vs: Any, create_graph: bool, strict: bool) -> list[Any]:
    """Return the gradients by xs, zeros for an x on which no y depends."""
    # Outputs without a graph are constant.
    pairs = [(y, v) for y, v in zip(ys, vs, strict=True) if y.requires_grad]
    found: tuple[Any, ...] = (None,) * len(xs)
    if pairs:
        found = grad(
            [y for y, _ in pairs],
            xs,
            [v for _, v in pairs],
            retain_graph=True,
            create_graph=create_graph,
            allow_unused=True,
        )
    for index, one in enumerate(found):
        if one is None and strict:
            raise GradientError(
                f"{where}: the outputs of func, or their gradients, do not depend on input {index},"
                " which strict=True does not allow"
            )
    return [zeros_like(x) if one is None else one for one, x in zip(found, xs, strict=True)]


def _stacked(rows: list[list[Any]], index: int, y: Any, x: Any) -> Any:
    if not rows:
        return x.detach().reshape(1, -1)[:0].reshape(*y.shape, *x.shape)
    return stack([row[index] for row in rows]).reshape(*y.shape, *x.shape)


def _back(tensors: Any, single: bool, create_graph: bool) -> Any:
    made = tuple([one if create_graph else one.detach() for one in tensors])
    return made[0] if single else made


def _one_element(where: str, y: Any) -> None:
    if not isinstance(y, Tensor) or y.numel() != 1:
        got = f"shape {y.shape}" if isinstance(y, Tensor) else type(y).__name__
        raise ShapeError(
            f"{where}: expected func to return a tensor with one element, got {got}; reduce it "
            "with .sum() or .mean()"
        )


def _need_strategy(where: str, strategy: str) -> None:
    if strategy not in ("reverse-mode", "forward-mode"):
        raise ConfigurationError(
            f"{where}: a strategy is 'reverse-mode' or 'forward-mode', got {strategy!r}"
        )


refuse_absent_names(__name__)
