"""Faults to plant into formulas: what goes wrong in hand-written derivatives."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from formulas.contract import check_gradients, needs_of

from nnscratch.formulas import FORMULAS, Formula
from nnscratch.formulas.cases import Case, cases

Gradients = tuple[Any, ...]
Backward = Callable[[Any, Any, tuple[bool, ...]], Gradients]


def smooth(name: str) -> Iterator[Case]:
    for case in cases(name):
        if case.smooth and any(needs_of(FORMULAS[name], case.build())):
            yield case


def caught(formula: Formula) -> str | None:
    """Return the name of the first case whose gradient check goes red."""
    for case in smooth(formula.name):
        try:
            check_gradients(formula, case)
        except AssertionError:
            return case.name
    return None


def with_backward(name: str, change: Callable[[Backward], Backward]) -> Formula:
    original = FORMULAS[name].backward
    assert original is not None
    return replace(FORMULAS[name], backward=change(original))


def scaled(index: int, change: Callable[[Any, Any, Any], Any]) -> Callable[[Backward], Backward]:
    """Return a change of one gradient: ``change(gradient, dY, saved)``."""

    def plant(original: Backward) -> Backward:
        def backward(dY: Any, saved: Any, needs: tuple[bool, ...]) -> Gradients:
            found = list(original(dY, saved, needs))
            if found[index] is not None:
                found[index] = change(np.asarray(found[index]), dY, saved)
            return tuple(found)

        return backward

    return plant


def instead(backward: Backward) -> Callable[[Backward], Backward]:
    return lambda original: backward


def saved_with(**changes: Callable[[Any], Any]) -> Callable[[Backward], Backward]:
    """Return a backward that sees other saved values: the derivative at the wrong point."""

    def plant(original: Backward) -> Backward:
        def backward(dY: Any, saved: Any, needs: tuple[bool, ...]) -> Gradients:
            new = {name: change(saved) for name, change in changes.items()}
            return original(dY, saved._replace(**new), needs)

        return backward

    return plant


def _sigmoid(X: Any) -> Any:
    return 1 / (1 + np.exp(-X))


def _swapped(dY: Any, saved: Any, needs: Any) -> Gradients:
    return None, np.where(saved.C, 0.0, dY), np.where(saved.C, dY, 0.0)


def _overwritten(dY: Any, saved: Any, needs: Any) -> Gradients:
    dA = np.zeros(saved.shape)
    # The last of several slices from one index wins, instead of their sum.
    dA[(slice(None),) * saved.axis + (saved.I,)] = dY.reshape(
        *saved.shape[: saved.axis], saved.I.size, *saved.shape[saved.axis + 1 :]
    )
    return dA, None


def _square_transposed(gradient: Any, dY: Any, saved: Any) -> Any:
    return gradient.T if gradient.ndim == 2 and len(set(gradient.shape)) == 1 else gradient


def _pieces_swapped(original: Backward) -> Backward:
    def backward(dY: Any, saved: Any, needs: tuple[bool, ...]) -> Gradients:
        found = original(dY, saved, needs)
        same = len({np.shape(one) for one in found}) == 1
        return tuple(reversed(found)) if same else found

    return backward


MEAN_AS_SUM = saved_with(reduction=lambda saved: "sum")
FAULTS: dict[str, tuple[str, Callable[[Backward], Backward]]] = {
    "sigmoid: wrong sign": ("sigmoid", scaled(0, lambda g, dY, saved: -g)),
    "sigmoid: derivative at the output": ("sigmoid", saved_with(Y=lambda s: _sigmoid(s.Y))),
    "tanh: derivative at the output": ("tanh", saved_with(Y=lambda s: np.tanh(s.Y))),
    "tanh: the square forgotten": ("tanh", instead(lambda dY, s, n: (dY * (1 - s.Y),))),
    "silu: product rule forgotten": ("silu", instead(lambda dY, s, n: (dY * _sigmoid(s.X),))),
    "gelu: the density forgotten": (
        "gelu",
        instead(lambda dY, s, n: (dY * FORMULAS["gelu"].forward(s.X)[0] / s.X,)),
    ),
    "gelu_tanh: the cube forgotten": (
        "gelu_tanh",
        instead(lambda dY, s, n: (dY * 0.5 * (1 + np.tanh(0.7978845608 * s.X)),)),
    ),
    "relu: passes everything": ("relu", instead(lambda dY, s, n: (dY * 1.0,))),
    "leaky_relu: the slope forgotten": ("leaky_relu", saved_with(negative_slope=lambda s: 0.0)),
    "prelu: slopes of another channel": ("prelu", saved_with(W=lambda s: s.W[::-1])),
    "prelu: dW without X": (
        "prelu",
        scaled(1, lambda g, dY, s: np.full(g.shape, np.sum(np.where(s.X > 0, 0, dY)))),
    ),
    "elu: alpha forgotten": ("elu", saved_with(alpha=lambda s: 1.0)),
    "selu: derivative at -X": ("selu", saved_with(X=lambda s: -s.X)),
    "softplus: beta forgotten": ("softplus", saved_with(beta=lambda s: 1.0)),
    "softsign: the square forgotten": (
        "softsign",
        instead(lambda dY, s, n: (dY / (1 + np.abs(s.X)),)),
    ),
    "hardtanh: bounds forgotten": ("hardtanh", saved_with(max_val=lambda s: 1e9)),
    "softmax: only the diagonal": ("softmax", instead(lambda dY, s, n: (dY * s.Y * (1 - s.Y),))),
    "softmax: the wrong axis": (
        "softmax",
        saved_with(axis=lambda s: (s.axis + 1) % s.Y.ndim),
    ),
    "log_softmax: the sum forgotten": ("log_softmax", instead(lambda dY, s, n: (dY * 1.0,))),
    "logsumexp: e^X, not e^(X - Y)": (
        "logsumexp",
        instead(lambda dY, s, n: (dY.reshape(s.Y.shape) * np.exp(s.X),)),
    ),
    "linear: dW transposed": ("linear", scaled(1, _square_transposed)),
    "linear: W transposed in dX": (
        "linear",
        saved_with(W=lambda s: s.W.T if s.W.shape[0] == s.W.shape[1] else s.W),
    ),
    "linear: the bias has no gradient": ("linear", scaled(2, lambda g, dY, s: g * 0.0)),
    "linear: db not summed": (
        "linear",
        scaled(2, lambda g, dY, s: dY.reshape(-1, *g.shape)[0] if dY.size else g),
    ),
    "linear: db is a mean": (
        "linear",
        scaled(2, lambda g, dY, s: g / max(dY.size // max(g.size, 1), 1)),
    ),
    "linear_activation: f' forgotten": (
        "linear_activation",
        lambda original: lambda dY, s, needs: FORMULAS["linear"].backward(dY, (s.X, s.W), needs),  # type: ignore[misc]
    ),
    "matmul: B not transposed": (
        "matmul",
        saved_with(B=lambda s: s.B.T if s.B.ndim == 2 and len(set(s.B.shape)) == 1 else s.B),
    ),
    "matmul: dB transposed": ("matmul", scaled(1, _square_transposed)),
    "multiply: factors exchanged": ("multiply", saved_with(A=lambda s: s.B, B=lambda s: s.A)),
    "subtract: B has the sign of A": ("subtract", instead(lambda dY, s, n: (dY, dY))),
    "divide: the square forgotten": ("divide", scaled(1, lambda g, dY, s: g * s.B)),
    "power: the exponent not lowered": (
        "power",
        scaled(0, lambda g, dY, s: dY * s.B * s.Y),
    ),
    "power: the logarithm forgotten": ("power", scaled(1, lambda g, dY, s: dY * s.Y)),
    "where: branches exchanged": ("where", instead(_swapped)),
    "maximum: the smaller gets it": ("maximum", saved_with(A=lambda s: s.B, B=lambda s: s.A)),
    "exp: derivative at the output": ("exp", saved_with(Y=lambda s: np.exp(s.Y))),
    "log: multiplied": ("log", instead(lambda dY, s, n: (dY * s.A,))),
    "sqrt: factor 2": ("sqrt", scaled(0, lambda g, dY, s: 2 * g)),
    "abs: the sign forgotten": ("abs", instead(lambda dY, s, n: (dY * 1.0,))),
    "clip: bounds exchanged": ("clip", instead(lambda dY, s, n: (dY * 0.0,))),
    "sum: divided by n": ("sum", scaled(0, lambda g, dY, s: g / max(np.size(g), 1))),
    "mean: missing 1/N": ("mean", scaled(0, lambda g, dY, s: g * max(g.size, 1))),
    "var: the correction forgotten": (
        "var",
        scaled(0, lambda g, dY, s: g * s.divisor / (s.divisor + 1)),
    ),
    "var: factor 2": ("var", scaled(0, lambda g, dY, s: g / 2)),
    "var_mean: the gradient of the mean forgotten": (
        "var_mean",
        lambda original: lambda dY, s, needs: original((dY[0], None), s, needs),
    ),
    "split: the pieces in the wrong order": (
        "split",
        lambda original: lambda dY, s, needs: original(dY[::-1], s, needs),
    ),
    "std: not divided by the output": ("std", scaled(0, lambda g, dY, s: g * s.Y)),
    "norm: the power p instead of p - 1": ("norm", scaled(0, lambda g, dY, s: g * np.abs(s.A))),
    "max: another entry gets it": ("max", scaled(0, lambda g, dY, s: np.flip(g))),
    "min: all entries get it": ("min", instead(lambda dY, s, n: (np.resize(dY, s.A.shape),))),
    "transpose: axes not put back": (
        "transpose",
        instead(
            lambda dY, s, n: (
                (np.transpose(np.transpose(dY, s.axes), s.axes),)
                if len(set(dY.shape)) > 1
                else (np.transpose(dY, s.axes),)
            )
        ),
    ),
    "reshape: column-major": (
        "reshape",
        instead(lambda dY, s, n: (np.reshape(dY, s.shape, order="F"),)),
    ),
    "getitem: entries off by one": ("getitem", scaled(0, lambda g, dY, s: np.roll(g, 1))),
    "take: overwritten, not added": ("take", instead(_overwritten)),
    "concatenate: pieces exchanged": ("concatenate", _pieces_swapped),
    "stack: pieces exchanged": ("stack", _pieces_swapped),
    "dropout: not scaled": ("dropout", instead(lambda dY, s, n: (np.where(s.M, dY, 0.0),))),
    "dropout: the mask inverted": ("dropout", saved_with(M=lambda s: ~s.M)),
    "mse: missing 1/N": ("mse", MEAN_AS_SUM),
    "mse: factor 2 forgotten": ("mse", scaled(0, lambda g, dY, s: g / 2)),
    "l1: missing 1/N": ("l1", MEAN_AS_SUM),
    "smooth_l1: beta forgotten": ("smooth_l1", saved_with(beta=lambda s: 1.0)),
    "huber: never bends": ("huber", saved_with(delta=lambda s: 1e9)),
    "huber: missing 1/N": ("huber", MEAN_AS_SUM),
    "kl_div: wrong sign": ("kl_div", scaled(0, lambda g, dY, s: -g)),
    "kl_div: batchmean taken for mean": (
        "kl_div",
        saved_with(reduction=lambda s: "mean" if s.reduction == "batchmean" else s.reduction),
    ),
    "hinge_embedding: the margin forgotten": ("hinge_embedding", saved_with(margin=lambda s: 9.0)),
    "cosine_embedding: the lengths forgotten": (
        "cosine_embedding",
        scaled(0, lambda g, dY, s: g + s.X1),
    ),
    "bce: gradient of the logits": (
        "bce",
        scaled(0, lambda g, dY, s: g * s.P * (1 - s.P)),
    ),
    "bce: weights forgotten": ("bce", saved_with(w=lambda s: None)),
    "bce_with_logits: pos_weight forgotten": (
        "bce_with_logits",
        saved_with(pos_weight=lambda s: None),
    ),
    "bce_with_logits: the target's is the input's": (
        "bce_with_logits",
        lambda original: lambda dY, s, needs: (*[original(dY, s, needs)[0]] * 2, None, None),
    ),
    "nll: weights forgotten": (
        "nll",
        saved_with(weights=lambda s: (s.weights != 0) * 1.0, total=lambda s: s.total),
    ),
    "cross_entropy: missing 1/N": ("cross_entropy", saved_with(total=lambda s: None)),
    "cross_entropy: weights forgotten": ("cross_entropy", saved_with(w=lambda s: None)),
    "cross_entropy: smoothing forgotten": (
        "cross_entropy",
        saved_with(label_smoothing=lambda s: 0.0),
    ),
    "cross_entropy: the ignored count": ("cross_entropy", saved_with(ignore_index=lambda s: -7)),
    "cross_entropy_probabilities: weights forgotten": (
        "cross_entropy_probabilities",
        saved_with(w=lambda s: None),
    ),
    "cross_entropy_probabilities: smoothing forgotten": (
        "cross_entropy_probabilities",
        saved_with(label_smoothing=lambda s: 0.0),
    ),
    "cross_entropy_probabilities: dT is P - T": (
        "cross_entropy_probabilities",
        scaled(1, lambda g, dY, s: np.exp(s.logP) - s.T),
    ),
}
