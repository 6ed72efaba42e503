"""``gradcheck`` and ``gradgradcheck`` as PyTorch has them, over nnscratch's own checker.

The checker stands above this room, and is imported at the first check.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from importlib import import_module
from typing import Any

from nnscratch.errors import ConfigurationError
from nnscratch.formulas.widening import is_brain
from nnscratch.tensors import Tensor

_CHECKER = "nnscratch.verify.gradients"


def gradcheck(
    func: Callable[..., Any],
    inputs: Any,
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    raise_exception: bool = True,
    nondet_tol: float = 0.0,
    check_undefined_grad: bool = True,
    check_grad_dtypes: bool = False,
    check_batched_grad: bool = False,
    check_batched_forward_grad: bool = False,
    check_forward_ad: bool = False,
    check_backward_ad: bool = True,
    fast_mode: bool = False,
    masked: bool | None = None,
) -> bool:
    """Say whether the gradients of a function are right, with the arguments of PyTorch's.

    The verdict is that of ``nnscratch.gradcheck``, which chooses its own steps, measures how much
    rounding explains, and allows for kinks: a gradient that is wrong by 0.1 % is wrong, however
    small it is, and float32 inputs are no reason to fail. So ``eps``, ``atol`` and ``rtol`` change
    nothing. Where even that checker cannot tell, the check fails.

    Args:
        func: a function of tensors that returns a tensor or several; a module is checked in the
            mode in which it is.
        inputs: a tensor or several; those with ``requires_grad=True`` are checked. Complex ones,
            and complex outputs, are checked as pairs of real numbers.
        eps: accepted as in PyTorch, as are ``atol`` and ``rtol``.
        atol: see ``eps``.
        rtol: see ``eps``.
        raise_exception: whether to raise a ``GradcheckError``, with a report of what is wrong and
            why, instead of returning False.
        nondet_tol: by how much the gradients of two runs may differ.
        check_undefined_grad: whether the backward must also be right where only one of several
            outputs has a gradient; with False it always gets those of all.
        check_grad_dtypes: accepted as in PyTorch; dtypes are always checked.
        check_batched_grad: must be False, for there is no ``vmap``.
        check_batched_forward_grad: must be False, as must ``check_forward_ad``: there are no
            forward-mode derivatives.
        check_forward_ad: see ``check_batched_forward_grad``.
        check_backward_ad: must be True: there is nothing else to check.
        fast_mode: whether to check random directions in the place of single elements, as for all
            inputs of more than 256.
        masked: accepted as in PyTorch; it is about sparse tensors, which are not there.

    Returns:
        True if the gradients are right.

    Raises:
        GradcheckError: if they are not; it is a RuntimeError and an AssertionError.
        ConfigurationError: if no input has ``requires_grad=True``, one is of bfloat16, or for an
            argument that must not be as it is.

    >>> import nnscratch
    >>> x = nnscratch.randn(3, dtype=nnscratch.float64, requires_grad=True)
    >>> gradcheck(nnscratch.tanh, x)
    True
    """
    _refuse(
        "gradcheck",
        check_batched_grad=check_batched_grad,
        check_batched_forward_grad=check_batched_forward_grad,
        check_forward_ad=check_forward_ad,
    )
    if not check_backward_ad:
        raise ConfigurationError(
            "gradcheck: check_backward_ad=False leaves nothing to check, for there are no "
            "forward-mode derivatives"
        )
    given, names = _checked("gradcheck", inputs)
    checking = import_module(f"{_CHECKER}.checking")
    problems = checking.problems_of(func, given, None, {}, None, (_mode_of(func),), names)
    return _verdict(problems, raise_exception, nondet_tol, check_undefined_grad, fast_mode)


def gradgradcheck(
    func: Callable[..., Any],
    inputs: Any,
    grad_outputs: Any = None,
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    gen_non_contig_grad_outputs: bool = False,
    raise_exception: bool = True,
    nondet_tol: float = 0.0,
    check_undefined_grad: bool = True,
    check_grad_dtypes: bool = False,
    check_batched_grad: bool = False,
    check_fwd_over_rev: bool = False,
    check_rev_over_rev: bool = True,
    fast_mode: bool = False,
    masked: bool = False,
) -> bool:
    """Say whether the derivatives of a function's gradients are right, as ``gradcheck`` does.

    Args:
        func: a function of tensors that returns a tensor or several; a module is checked in the
            mode in which it is.
        inputs: a tensor or several; gradients of those with ``requires_grad=True`` are checked.
        grad_outputs: the gradient of each output; random ones if not given.
        eps: accepted as in PyTorch, as are ``atol`` and ``rtol``.
        atol: see ``eps``.
        rtol: see ``eps``.
        gen_non_contig_grad_outputs: accepted as in PyTorch; strides change no result.
        raise_exception: whether to raise a ``GradcheckError`` instead of returning False.
        nondet_tol: by how much the derivatives of two runs may differ.
        check_undefined_grad: as for ``gradcheck``.
        check_grad_dtypes: accepted as in PyTorch; dtypes are always checked.
        check_batched_grad: must be False, as must ``check_fwd_over_rev``.
        check_fwd_over_rev: see ``check_batched_grad``.
        check_rev_over_rev: must be True: there is nothing else to check.
        fast_mode: whether to check random directions in the place of single elements.
        masked: accepted as in PyTorch.

    Returns:
        True if the second derivatives are right.

    Raises:
        GradcheckError: if they are not.
        ConfigurationError: as for ``gradcheck``.

    >>> import nnscratch
    >>> x = nnscratch.randn(3, dtype=nnscratch.float64, requires_grad=True)
    >>> gradgradcheck(nnscratch.tanh, x)
    True
    """
    _refuse(
        "gradgradcheck",
        check_batched_grad=check_batched_grad,
        check_fwd_over_rev=check_fwd_over_rev,
    )
    if not check_rev_over_rev:
        raise ConfigurationError(
            "gradgradcheck: check_rev_over_rev=False leaves nothing to check, for there are no "
            "forward-mode derivatives"
        )
    given, names = _checked("gradgradcheck", inputs)
    second = import_module(f"{_CHECKER}.second")
    modes = (_mode_of(func),)
    problems = second.second_problems(func, given, grad_outputs, modes=modes, check=names)
    return _verdict(problems, raise_exception, nondet_tol, check_undefined_grad, fast_mode)


def _mode_of(func: Any) -> str:
    """Return the mode in which a module is, which is the one that is checked."""
    return "train" if getattr(func, "training", True) else "eval"


def _refuse(name: str, **asked: bool) -> None:
    """Raise for an option that needs what is not there.

    Raises:
        ConfigurationError: if one is True.
    """
    for option, value in asked.items():
        if value:
            missing = "no vmap" if "batched" in option else "no forward-mode derivatives"
            raise ConfigurationError(
                f"{name}: {option} must be False, got {value!r}: there are {missing}; backward "
                "gradients are what is checked"
            )


def _checked(name: str, inputs: Any) -> tuple[list[Any], list[str]]:
    """Return the inputs as a list, and what the checker calls those with ``requires_grad=True``.

    Raises:
        ConfigurationError: if there are none, or one is of bfloat16.
    """
    given = list(inputs) if isinstance(inputs, (tuple, list)) else [inputs]
    names = ["input"] if len(given) == 1 else [f"input {i}" for i in range(len(given))]
    asking = [isinstance(one, Tensor) and one.requires_grad for one in given]
    names = [name for name, asks in zip(names, asking, strict=True) if asks]
    if not names:
        raise ConfigurationError(
            f"{name}: expected at least one input with requires_grad=True, got "
            f"{len(given)} without; call requires_grad_() on those to be checked"
        )
    refuse_bfloat16(name, [one for one in given if isinstance(one, Tensor) and one.requires_grad])
    return given, names


def refuse_bfloat16(name: str, inputs: Iterable[Any]) -> None:
    """Raise if one of the inputs is of bfloat16, of which there are no numeric gradients.

    Raises:
        ConfigurationError: if so.
    """
    if any(is_brain(getattr(one, "array", one)) for one in inputs):
        raise ConfigurationError(f"{name}: bfloat16 inputs cannot be checked; call .float() first")


def _verdict(
    problems: Any, raise_exception: bool, nondet_tol: float, undefined: bool, fast: bool
) -> bool:
    checking = import_module(f"{_CHECKER}.checking")
    for problem in problems:
        problem.together = problem.together if undefined else True
    limit = 0 if fast else 256
    report = checking.check_problems(problems, None, limit=limit, nondet_tol=nondet_tol)
    if raise_exception and not report:
        raise checking.GradcheckError(report)
    return bool(report)


def __getattr__(name: str) -> Any:
    if name == "GradcheckError":
        return import_module(f"{_CHECKER}.checking").GradcheckError
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
