"""What the parameters of both estimators may be."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from numbers import Integral, Real
from typing import Any

import numpy as np

from nnscratch.errors import ConfigurationError
from nnscratch.train.choices import OPTIMIZERS, SCHEDULES, choose
from nnscratch.train.mlp import ACTIVATIONS

RATES = (*SCHEDULES, "invscaling", "adaptive")
OPEN_ENDED = ("constant", "invscaling", "adaptive", "plateau")
"""The learning rates with which training goes on until nothing gets better.

The others are schedules over all of ``max_iter``: their end is no lack of convergence.
"""
SPELLINGS = {"logistic": "sigmoid"}
"""What MLPClassifier calls an activation, and what it is called here."""
NUMBERS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "alpha": (lambda value: value >= 0, "a number of at least 0"),
    "learning_rate_init": (lambda value: value > 0, "a number above 0"),
    "power_t": (lambda value: value >= 0, "a number of at least 0"),
    "max_iter": (
        lambda value: isinstance(value, Integral) and int(value) >= 1,
        "a whole number above 0",
    ),
    "tol": (lambda value: value >= 0, "a number of at least 0"),
    "momentum": (lambda value: 0 <= value <= 1, "a number from 0 to 1"),
    "validation_fraction": (lambda value: 0 < value < 1, "a number between 0 and 1"),
    "beta_1": (lambda value: 0 <= value < 1, "a number from 0 to below 1"),
    "beta_2": (lambda value: 0 <= value < 1, "a number from 0 to below 1"),
    "epsilon": (lambda value: value > 0, "a number above 0"),
    "dropout": (lambda value: 0 <= value < 1, "a number from 0 to below 1"),
    "n_iter_no_change": (lambda value: value >= 1, "a number of at least 1"),
    "max_fun": (lambda value: value >= 1, "a number of at least 1"),
}
FLAGS = ("shuffle", "warm_start", "nesterovs_momentum", "early_stopping")


def check_parameters(estimator: Any) -> None:
    """Check what does not depend on the data.

    Raises:
        ValueError: naming the parameter, what it may be and what it is.
    """
    for name, (fits, what) in NUMBERS.items():
        value = getattr(estimator, name)
        if isinstance(value, bool) or not isinstance(value, Real) or not fits(value):
            raise ValueError(f"{name}: expected {what}, got {value!r}")
    for name in FLAGS:
        if not isinstance(getattr(estimator, name), bool | np.bool_):
            raise ValueError(f"{name}: expected True or False, got {getattr(estimator, name)!r}")
    if estimator.compile is not None and not isinstance(estimator.compile, bool | np.bool_):
        raise ValueError(f"compile: expected True, False or None, got {estimator.compile!r}")
    if not isinstance(estimator.solver, str) and not callable(estimator.solver):
        raise ValueError(
            f"solver: expected a name or a function of the parameters, got {estimator.solver!r}"
        )
    if estimator.module is not None and not callable(estimator.module):
        raise ValueError(
            "module: expected an nn.Module or a function of the numbers of inputs and outputs, got "
            f"{estimator.module!r}"
        )
    size = estimator.batch_size
    if size != "auto" and not (isinstance(size, Integral) and int(size) >= 1):
        raise ValueError(f"batch_size: expected 'auto' or a whole number above 0, got {size!r}")
    hidden_sizes(estimator.hidden_layer_sizes)
    try:
        choose(estimator.learning_rate, RATES, "learning rate")
        if estimator.module is None:
            known = ("identity", *SPELLINGS, *ACTIVATIONS)
            choose(estimator.activation, known, "activation")
        if isinstance(estimator.solver, str):
            choose(estimator.solver, (*OPTIMIZERS, "lbfgs"), "solver")
    except ConfigurationError as error:
        raise ValueError(str(error)) from None


def check_partial(estimator: Any) -> None:
    """Check that an epoch can be trained on some of the samples.

    Raises:
        ValueError: if a parameter is for a whole fit, naming it.
    """
    why = "needs all samples at once"
    if estimator.early_stopping:
        what = "early_stopping=True"
    elif estimator.solver == "lbfgs":
        what = "solver='lbfgs'"
    elif estimator.learning_rate in SCHEDULES and estimator.learning_rate != "constant":
        what, why = f"learning_rate={estimator.learning_rate!r}", "spans all epochs of a fit"
    else:
        return
    raise ValueError(f"partial_fit: {what} {why}; call fit, or set_params first")


def hidden_sizes(sizes: Any) -> list[int]:
    """Return the sizes of the hidden layers, of one number or several.

    Raises:
        ValueError: if one is no whole number above 0.

    >>> hidden_sizes(100), hidden_sizes((64, 32)), hidden_sizes(())
    ([100], [64, 32], [])
    """
    found = list(sizes) if hasattr(sizes, "__iter__") else [sizes]
    if any(not isinstance(one, Integral) or int(one) <= 0 for one in found):
        raise ValueError(f"hidden_layer_sizes: expected whole numbers above 0, got {sizes!r}")
    return [int(one) for one in found]


def solver_options(estimator: Any) -> tuple[Any, dict[str, Any]]:
    """Return the optimizer of an estimator, and its options if it is given by name."""
    if not isinstance(estimator.solver, str):
        return estimator.solver, {}
    name = "sgd" if estimator.solver == "lbfgs" else estimator.solver
    takes = inspect.signature(OPTIMIZERS[name].__init__).parameters
    known = {
        "momentum": estimator.momentum,
        "nesterov": bool(estimator.nesterovs_momentum and estimator.momentum > 0),
        "betas": (estimator.beta_1, estimator.beta_2),
        "eps": estimator.epsilon,
    }
    own = {"sgd": ("momentum", "nesterov"), "adafactor": ()}.get(name, ("betas", "eps"))
    options = {key: known[key] for key in own if key in takes}
    return name, {"lr": estimator.learning_rate_init, **options}
