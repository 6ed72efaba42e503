"""Lesson cases: for every formula with a derivative one small case, which a learner can work out.

A lesson is two-dimensional where the formula allows it, has at most 12 entries an input, of two
decimals, and the default options unless a term would be too small to see under these. A matrix has
another number of rows than of columns, so that a transpose or a wrong mean shows, unless the
formula takes square ones (and a recurrent layer's state weights and states may be square); with
three axes, 12 entries leave two of them of one length. Inputs that a beginner does not
know, such as the weights of classes, are None. An elementwise formula's lesson is made of its
contract cases; the others are here, as ``LESSONS`` beside the cases of a family, or the case "a
lesson" in a formula's own file.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from nnscratch.formulas import interpolation, pooling_windows
from nnscratch.formulas.case import (
    NONE,
    Build,
    Case,
    given,
    normal,
    positive,
    signs,
    simplex,
    uniform,
)
from nnscratch.formulas.cases import cases
from nnscratch.formulas.cases.derived import DOMAINS
from nnscratch.formulas.cases.factoring import apart, definite
from nnscratch.formulas.cases.functions import fractions
from nnscratch.formulas.cases.moving import distinct
from nnscratch.formulas.cases.solving import regular
from nnscratch.formulas.formula import Formula
from nnscratch.formulas.fused import LINEAR_ACTIVATION
from nnscratch.loading import modules_of

MOST = 12
_ROWS, _COLUMNS = 4, 3
_LABELS = given([2, 0, 1, 2])
_REPEATED = given([2, 0, 2])
_PLACES = given([[2, 0, 2], [0, 2, 1]])


def lesson(formula: Formula) -> Case:
    """Return the lesson case of a formula.

    Raises:
        ValueError: if no case of it is small and smooth.

    >>> from nnscratch.formulas import LINEAR
    >>> [one.shape for one in lesson(LINEAR).build()]
    [(4, 3), (2, 3), (2,)]
    """
    written = written_lessons().get(formula.name)
    if written is not None:
        builds, options = written
        return _rounded(Case("a lesson", builds, options))
    for case in cases(formula.name) if formula.cases is not None else ():
        if case.name == "a lesson":
            return _rounded(case)
    public = formula.public
    if public is not None and public.kind == "activation":
        return _of_activation(formula)
    if public is not None and public.kind == "loss":
        kinds = [DOMAINS[public.domains.get(name, "")] for name in formula.inputs]
        return _rounded(Case("a lesson", tuple(kind(_ROWS, _COLUMNS) for kind in kinds)))
    return _elementwise(formula) or _smallest(formula)


@cache
def written_lessons() -> dict[str, tuple[tuple[Build, ...], dict[str, Any]]]:
    """Return the lessons that are written by hand: here, and beside the cases of a formula."""
    found = dict(LESSONS)
    for family in modules_of("nnscratch.formulas.cases", [str(Path(__file__).parent)]):
        found |= getattr(family, "LESSONS", {})
    return found


def _of_activation(formula: Formula) -> Case:
    """Return numbers on all sides of the kinks, out of order, none of them on one."""
    assert formula.public is not None
    options: Mapping[str, Any] = {}
    if inspect.Parameter.empty in formula.pointwise.options.values():
        options = next(iter(formula.public.variants.values()), {})
    kinks = formula.kinks_at(options) or formula.public.bends
    low, high = min((-1.0, *kinks)) - 1.4, max((1.0, *kinks)) + 1.3
    values = np.linspace(low, high, _ROWS * _COLUMNS)
    for kink in kinks:
        values = np.where(np.abs(values - kink) < 0.1, kink + 0.15, values)
    mixed = np.random.default_rng(0).permutation(values).reshape(_ROWS, _COLUMNS)
    return Case("a lesson", (given(np.round(mixed, 2)),), options)


def _elementwise(formula: Formula) -> Case | None:
    """Return twelve entries of a contract case, from the lowest to the highest, out of order."""
    if formula.pointwise is None:
        return None
    for case in cases(formula.name):
        values = case.build()
        shapes = {np.shape(value) for value in values}
        count = np.size(values[0])
        if case.smooth and not case.options and len(shapes) == 1 and count >= MOST:
            order = np.argsort(np.ravel(values[-1]), kind="stable")
            chosen = order[np.linspace(0, count - 1, MOST).astype(int)]
            chosen = np.random.default_rng(0).permutation(chosen)
            picked = [np.ravel(value)[chosen].reshape(_ROWS, _COLUMNS) for value in values]
            return _rounded(Case("a lesson", tuple(given(one) for one in picked)))
    return None


def _smallest(formula: Formula) -> Case:
    """Return the largest of the smooth cases with no more entries than a lesson has."""
    fit = []
    for case in cases(formula.name):
        sizes = [np.size(value) for value in case.build() if isinstance(value, np.ndarray)]
        if case.smooth and sizes and 0 < max(sizes):
            fit.append((max(sizes) > MOST, bool(case.options), abs(max(sizes) - MOST), case))
    if not fit:
        raise ValueError(f"{formula.name} has no smooth case that a lesson could be made of")
    return min(fit, key=lambda entry: entry[:-1])[-1]


def _rounded(case: Case) -> Case:
    """Return a case whose numbers have two decimals, so that they can be worked with by hand."""
    values = [
        np.round(value, 2) if isinstance(value, np.ndarray) and value.dtype.kind == "f" else value
        for value in case.build()
    ]
    return Case(case.name, tuple(given(value) for value in values), case.options)


def _recurrent(gates: int, hidden: int, cells: bool = False) -> tuple[Build, ...]:
    """Return the inputs of two steps of two sequences of one feature."""
    p = 1 if cells else hidden
    bias = normal(gates * hidden)
    return (
        normal(2, 2, 1), normal(2, p), *((normal(2, hidden),) if cells else ()),
        normal(gates * hidden, 1), normal(gates * hidden, p), bias, normal(gates * hidden),
        *((normal(p, hidden),) if cells else ()), NONE,
    )  # fmt: skip


_MATRIX = normal(_ROWS, _COLUMNS)
_WINDOWS: dict[str, Any] = {"stride": (1,), "padding": ((0, 0),), "dilation": (1,)}
_LINE = {**_WINDOWS, "groups": 1}
_POOL = (pooling_windows.windows(6, 3, 2, 0, 1, 2),)
_WEIGHTS = (interpolation.linear(3, 5, None, False),)
_LAYER = (_MATRIX, normal(2, _COLUMNS), normal(2))
_INDEX = {"axis": 1}
_LAST = {"axis": -1}

LESSONS: dict[str, tuple[tuple[Build, ...], dict[str, Any]]] = {
    # Layers of dense networks.
    "linear": (_LAYER, {}),
    LINEAR_ACTIVATION.name: (_LAYER, {"activation": "tanh"}),
    "matmul": ((_MATRIX, normal(_COLUMNS, 2)), {}),
    "prelu": ((normal(_ROWS, _COLUMNS, away=(0.0,)), normal(_COLUMNS)), {}),
    "dropout": ((_MATRIX,), {"p": 0.3, "seed": 7, "offset": 0}),
    "softmax": ((_MATRIX,), _LAST),
    "log_softmax": ((_MATRIX,), _LAST),
    "logsumexp": ((_MATRIX,), _LAST),
    # Losses of classes; without weights, which are None.
    "cross_entropy": ((_MATRIX, _LABELS, NONE), {}),
    "cross_entropy_probabilities": ((_MATRIX, simplex(_ROWS, _COLUMNS), NONE), {}),
    "nll": ((_MATRIX, _LABELS, NONE), {}),
    "bce": ((uniform(0.05, 0.95, 4, 3), uniform(0.05, 0.95, 4, 3), NONE), {}),
    "bce_with_logits": ((_MATRIX, uniform(0.05, 0.95, 4, 3), NONE, NONE), {}),
    "linear_cross_entropy": ((normal(4, 2), normal(3, 2), _LABELS, normal(3), NONE), {"rows": 3}),
    "hinge_embedding": ((normal(_ROWS, _COLUMNS, away=(1.0,)), signs(_ROWS, _COLUMNS)), {}),
    "kl_div": ((_MATRIX, uniform(0.05, 0.95, 4, 3)), {}),
    "multi_margin": (
        (given([[0.0, 0.6, 2.2], [1.5, 0.2, 0.7], [-0.3, 0.3, 1.1], [0.4, 1.9, -0.2]]), _LABELS,
         NONE),
        {},
    ),
    "multilabel_margin": (
        (given([[0.0, 3.0, 0.4, -2.2], [1.0, 0.2, 0.7, 2.5], [-0.3, 0.3, 5.0, 0.1]]),
         given([[3, 0, -1, 1], [1, -1, -1, -1], [-1, 2, 0, 1]])),
        {},
    ),
    "cosine_embedding": (
        # Of positive numbers, whose cosine is above the margin of 0.
        (positive(_ROWS, _COLUMNS), positive(_ROWS, _COLUMNS), given([1.0, -1.0, -1.0, 1.0])), {},
    ),
    "ctc": (
        (uniform(-2.5, -0.5, 4, 1, 3), given([[1, 2]]), given([4]), given([2])),
        {},
    ),
    # Convolution, pooling, attention, recurrence, lookups.
    "convolution": ((normal(2, 2, 3), normal(3, 2, 2), normal(3)), _LINE),
    "convolution_transpose": ((normal(2, 2, 3), normal(2, 3, 2), normal(3)), _LINE),
    "convolution_weight": ((normal(2, 2, 3), normal(2, 3, 2)), _LINE),
    "unfold": ((normal(1, 2, 4),), {**_WINDOWS, "kernel": (2,)}),
    "fold": ((normal(1, 4, 3),), {**_WINDOWS, "kernel": (2,), "size": (4,)}),
    "max_pool": ((distinct(2, 6),), {"lines": _POOL}),
    "max_unpool": ((normal(2, 3), given([[1, 2, 5], [0, 3, 4]])), {"sizes": (6,)}),
    "resample": ((normal(_ROWS, _COLUMNS),), {"lines": _WEIGHTS}),
    "scaled_dot_product_attention": (
        (normal(3, 2), normal(4, 2), normal(4, 3), normal(3, 4)), {},
    ),
    "rnn": (_recurrent(1, 3), {}),
    "gru": (_recurrent(3, 2), {}),
    "lstm": (_recurrent(4, 2, cells=True), {}),
    "embedding": ((_MATRIX, _REPEATED), {}),
    # Weights are for sums alone.
    "embedding_bag": ((_MATRIX, given([2, 0, 2, 1]), given([0, 1]), normal(4)), {"mode": "sum"}),
    # Reductions, and what runs along an axis.
    **{name: ((_MATRIX,), {}) for name in ("sum", "mean", "var", "var_mean", "std", "norm")},
    **{name: ((distinct(_ROWS, _COLUMNS),), {}) for name in ("max", "min")},
    "sum_to": ((_MATRIX,), {"shape": (_COLUMNS,)}),
    "prod": ((uniform(0.5, 1.5, 3, 4),), _INDEX),
    **{name: ((uniform(0.5, 1.5, 3, 4),), _INDEX)
       for name in ("cumulative_sum", "cumulative_prod", "cumulative_logsumexp")},
    # Moving entries.
    "reshape": ((_MATRIX,), {"shape": (2, 6)}),
    "transpose": ((_MATRIX,), {"axes": (1, 0)}),
    "broadcast_to": ((normal(3),), {"shape": (4, 3)}),
    "concatenate": ((normal(2, 3), normal(1, 3)), {"axis": 0}),
    "stack": ((normal(2, 3), normal(2, 3)), {"axis": 0}),
    "split": ((_MATRIX,), {"sizes": (1, 3), "axis": 0}),
    "getitem": ((_MATRIX,), {"index": (slice(1, 4, 2), slice(None))}),
    "place": ((normal(2, 3),), {"shape": (4, 3), "index": (slice(1, 4, 2), slice(0, 3, 1))}),
    "take": ((_MATRIX, _REPEATED), {"axis": 0}),
    "add_rows": ((normal(3, 2), _REPEATED), {"count": 4}),
    "gather": ((normal(2, 4), _PLACES), _INDEX),
    "scatter": ((normal(2, 4), given([[2, 0, 1], [0, 2, 1]]), normal(2, 3)), _INDEX),
    **{name: ((normal(2, 4), _PLACES, normal(2, 3)), _INDEX)
       for name in ("scatter_add", "scatter_max", "scatter_min", "scatter_prod")},
    "stride": ((normal(3, 4),), {"sizes": (2, 3), "steps": ((1, 1), (0, 1)), "start": (0, 0)}),
    "constant_pad_nd": ((normal(2, 3),), {"pad": (2, 1)}),
    "clip": ((normal(_ROWS, _COLUMNS, scale=1.5, away=(-1.0, 1.0)),), {"min": -1.0, "max": 1.0}),
    **{name: ((fractions(_ROWS, _COLUMNS), given([[2.0, -2.0, 2.0]] * _ROWS)), {})
       for name in ("remainder", "fmod", "floor_divide")},
    "cast": ((_MATRIX,), {"dtype": "float64"}),
    "conjugate": ((_MATRIX,), {}),
    "fourier": ((normal(4, 2),), {"axes": (0,)}),
    # Matrices.
    "cholesky": ((definite(3, 3),), {}),
    "eigh": ((definite(3, 3),), {}),
    "qr": ((apart(4, 3),), {}),
    "svd": ((apart(4, 3),), {}),
    "pinv": ((apart(4, 2),), {}),
    "det": ((regular(3, 3),), {}),
    "slogdet": ((regular(3, 3),), {}),
    "solve": ((regular(3, 3), normal(3, 2)), {}),
}  # fmt: skip
