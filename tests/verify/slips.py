"""The usual slips in derivatives by their causes, and the words that must name each at level 3."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from verify.answers.spelled import one_hot, sigmoid, softmax


class Slip(NamedTuple):
    """A wrong answer: for which formula, the gradients that it gives, and a pattern of its name."""

    formula: str
    backward: Any
    named: str
    of: str = ""


TRANSPOSE, LENGTH, POWER, OTHER = "transpos", "factor 1?/?N", "power of", "derivative of {}"
ARRAY, DIAGONAL, SUMMED, AXIS = "instead of|uses . where", "diagonal", "un-broadcast|summed", "axis"
SIGN, FACTOR = "sign", "factor"

SLIPS: dict[str, dict[str, Slip]] = {
    "transpose": {
        "dW of a linear layer": Slip("linear", lambda dY, X: X.T @ dY, TRANSPOSE, "W"),
        "dX of a product": Slip("matmul", lambda dY, B: (dY @ B.T).T, TRANSPOSE, "A"),
        "dB of a product": Slip("matmul", lambda dY, A: dY.T @ A, TRANSPOSE, "B"),
        "of a determinant": Slip("det", lambda dY, A, Y: dY * Y * np.linalg.inv(A), TRANSPOSE),
        "of a logarithm of one": Slip("slogdet", lambda dM, A: dM * np.linalg.inv(A), TRANSPOSE),
        "keys": Slip(
            "scaled_dot_product_attention",
            lambda dY, Q, K, M: dY.T @ softmax(Q @ K.T / np.sqrt(2) + M), TRANSPOSE, "V",
        ),
        "not transposed back": Slip("transpose", lambda dY: dY, TRANSPOSE),
    },
    "1/n": {
        "none in mse": Slip("mse", lambda Y, T: 2 * (Y - T), LENGTH, "Y"),
        "twice in mse": Slip("mse", lambda Y, T: 2 * (Y - T) / Y.size**2, LENGTH, "Y"),
        "batch only": Slip("mse", lambda Y, T: 2 * (Y - T) / len(Y), LENGTH, "Y"),
        "none in l1": Slip("l1", lambda Y, T: np.sign(Y - T), LENGTH, "Y"),
        "none in cross-entropy": Slip("cross_entropy", lambda P, T: P - one_hot(T), LENGTH),
        "entries in cross-entropy": Slip(
            "cross_entropy", lambda P, T: (P - one_hot(T)) / P.size, LENGTH
        ),
        "none in bce": Slip(
            "bce_with_logits", lambda X, T: sigmoid(X) - T, LENGTH, "X"
        ),
        "none in a mean": Slip("mean", lambda dY, A: dY * np.ones_like(A), LENGTH),
        "bias as a mean": Slip("linear", lambda dY: dY.mean(0), LENGTH, "b"),
        "weights over the batch": Slip("linear", lambda dY, X: dY.T @ X / len(X), LENGTH, "W"),
        "none in nll": Slip("nll", lambda T: -one_hot(T), LENGTH),
    },
    "factor": {
        "2 in mse": Slip("mse", lambda Y, T: (Y - T) / Y.size, FACTOR, "Y"),
        "2 in var": Slip("var", lambda dY, A: dY * (A - A.mean()) / (A.size - 1), FACTOR),
        "2 in sqrt": Slip("sqrt", lambda dY, Y: dY / Y, FACTOR),
        "log 2": Slip("exp2", lambda dY, Y: dY * Y, FACTOR),
        "log 10": Slip("log10", lambda dY, A: dY / A, FACTOR),
        "root of pi": Slip("erf", lambda dY, A: 2 * dY * np.exp(-(A**2)), FACTOR),
        "one sixth": Slip("hardsigmoid", lambda dY, X: dY * (abs(X) < 3), FACTOR),
        "scale of selu": Slip(
            "selu", lambda dY, X: dY * ((X > 0) + 1.6732632423543772 * np.exp(X) * (X <= 0)), FACTOR
        ),
        "exponent": Slip("power", lambda dY, A, B: dY * A ** (B - 1), "factor B", "A"),
    },
    "power": {
        "of tanh": Slip("tanh", lambda dY, Y: dY * (1 - Y), POWER),
        "of tan": Slip("tan", lambda dY, Y: dY * (1 + Y), POWER),
        "of atan": Slip("atan", lambda dY, A: dY / (1 + A), "power of|derivative of log1p"),
        "of the normal density": Slip(
            "erf", lambda dY, A: dY * 2 / np.sqrt(np.pi) * np.exp(-A), POWER
        ),
        "of a quotient": Slip("divide", lambda dY, A, B: -dY * A / B, POWER, "B"),
        "of tanhshrink": Slip("tanhshrink", lambda dY, X: dY * np.tanh(X), "power|sign"),
        "too many": Slip("tanh", lambda dY, Y: dY * (1 - Y**4), POWER),
        "exponential": Slip(
            "log_softmax", lambda dY, Y: dY - Y * dY.sum(-1, keepdims=True), "exponential"
        ),
    },
    "another function": {
        "sigmoid's": Slip("tanh", lambda dY, X: dY * sigmoid(X) * (1 - sigmoid(X)),
                          OTHER.format("sigmoid")),
        "sigmoid's, of the output": Slip("tanh", lambda dY, Y: dY * Y * (1 - Y),
                                         OTHER.format("sigmoid")),
        "tanh's, of the output": Slip("sigmoid", lambda dY, Y: dY * (1 - Y**2),
                                      OTHER.format("tanh")),
        "cosine's": Slip("sin", lambda dY, A: -dY * np.sin(A), OTHER.format("cos")),
        "arctangent's": Slip("asinh", lambda dY, A: dY / (1 + A**2), OTHER.format("atan")),
        "softplus's": Slip("silu", lambda dY, X: dY * sigmoid(X), OTHER.format("softplus")),
        "relu's": Slip("leaky_relu", lambda dY, X: dY * (X > 0), "derivative of relu|negative"),
        "l1's": Slip("mse", lambda Y, T: np.sign(Y - T) / Y.size, OTHER.format("l1"), "Y"),
        "softmax's": Slip(
            "log_softmax",
            lambda dY, Y: np.exp(Y) * (dY - (dY * np.exp(Y)).sum(-1, keepdims=True)),
            OTHER.format("softmax"),
        ),
    },
    "input and output": {
        "sigmoid at X": Slip("sigmoid", lambda dY, X: dY * X * (1 - X), ARRAY),
        "tanh at X": Slip("tanh", lambda dY, X: dY * (1 - X**2), ARRAY),
        "exp at A": Slip("exp", lambda dY, A: dY * A, ARRAY),
        "log at Y": Slip("log", lambda dY, Y: dY / Y, ARRAY),
        "sqrt at A": Slip("sqrt", lambda dY, A: dY / (2 * A), ARRAY),
        "softmax at X": Slip(
            "softmax", lambda dY, X: X * (dY - (dY * X).sum(-1, keepdims=True)), ARRAY
        ),
        "factors exchanged": Slip("multiply", lambda dY, A: dY * A, "uses|exchanged", "A"),
    },
    "the diagonal alone": {
        "of softmax": Slip("softmax", lambda dY, Y: dY * Y * (1 - Y), DIAGONAL),
        "of log_softmax": Slip("log_softmax", lambda dY, Y: dY * (1 - np.exp(Y)), DIAGONAL),
        "of a running sum": Slip("cumulative_sum", lambda dY: dY, DIAGONAL),
    },
    "sum missing": {
        "of softmax": Slip("softmax", lambda dY, Y: dY * Y, "sum"),
        "of log_softmax": Slip("log_softmax", lambda dY: dY, "sum"),
        "bias": Slip("linear", lambda dY: dY, SUMMED, "b"),
        "slopes": Slip("prelu", lambda dY, X: dY * np.minimum(X, 0), SUMMED, "W"),
        "scale of batch norm": Slip(
            "batch_norm_inference",
            lambda dY, X, M, V, eps: dY * (X - M) / np.sqrt(V + eps), SUMMED, "W",
        ),
        "shift of batch norm": Slip("batch_norm_inference", lambda dY: dY, SUMMED, "b"),
        "mean of layer norm": Slip(
            "standardize",
            lambda dY, X, W, M, V, eps: dY * W / np.sqrt(V + eps), "sum|axis", "X",
        ),
        "repeated rows": Slip("embedding", lambda dY, W, I: assigned(W, I, dY), "twice"),
    },
    "axis": {
        "of softmax": Slip(
            "softmax", lambda dY, Y: Y * (dY - (dY * Y).sum(0, keepdims=True)), AXIS
        ),
        "of log_softmax": Slip(
            "log_softmax", lambda dY, Y: dY - np.exp(Y) * dY.sum(0, keepdims=True), AXIS
        ),
        "of a running sum": Slip("cumulative_sum", lambda dY: dY[::-1].cumsum(0)[::-1], AXIS),
        "of a bias": Slip("linear", lambda dY: dY.sum(1), "axis|shape", "b"),
        "of the concatenation": Slip("split", lambda dpieces: dpieces[0], "shape"),
    },
    "mask or scale": {
        "relu's mask": Slip("relu", lambda dY: dY * 1.0, "negative"),
        "relu6's bound": Slip("relu6", lambda dY, X: dY * (X > 0), "large|derivative of relu"),
        "hardtanh's mask": Slip("hardtanh", lambda dY: dY * 1.0, "large"),
        "dropout's scale": Slip("dropout", lambda dY, M: dY * M, FACTOR),
        "dropout's mask": Slip("dropout", lambda dY, p: dY / (1 - p), "mask"),
        "the condition": Slip("where", lambda dY: dY * 1.0, "mask", "A"),
        "attention's scale": Slip(
            "scaled_dot_product_attention",
            lambda dY, Q, K, V, M: scores(dY, Q, K, V, M) @ K, FACTOR, "Q",
        ),
        "the one-hot labels": Slip("cross_entropy", lambda P, T: P / len(T), "labels"),
        "batch norm's root": Slip("batch_norm_inference", lambda dY, W: dY * W, "axis|factor", "X"),
        "batch norm's scale": Slip(
            "batch_norm_inference", lambda dY, V, eps: dY / np.sqrt(V + eps), "axis|factor", "X"
        ),
    },
    "sign": {
        "cosine": Slip("cos", lambda dY, A: dY * np.sin(A), SIGN),
        "subtraction": Slip("subtract", lambda dY: dY * 1.0, SIGN, "B"),
        "quotient": Slip("divide", lambda dY, A, B: dY * A / B**2, SIGN, "B"),
        "target": Slip("mse", lambda Y, T: 2 * (Y - T) / Y.size, SIGN, "T"),
        "prediction": Slip("cross_entropy", lambda P, T: (one_hot(T) - P) / len(T), SIGN),
        "inside tanh": Slip("tanh", lambda dY, Y: dY * (1 + Y**2), SIGN),
        "inside softmax": Slip(
            "softmax", lambda dY, Y: Y * (dY + (dY * Y).sum(-1, keepdims=True)), "sum|sign"
        ),
        "inside sigmoid": Slip("logsigmoid", lambda dY, X: dY * sigmoid(X), "sign|of softplus"),
        "size of a root": Slip("norm", lambda dY, A, Y: dY * abs(A) / Y, "absolute value"),
        "angle": Slip("atan2", lambda dY, A, B: dY * A / (A**2 + B**2), SIGN, "B"),
    },
    "chain rule": {
        "dY left out": Slip("tanh", lambda Y: 1 - Y**2, "dY"),
        "dY twice": Slip("exp", lambda dY, Y: dY * dY * Y, "dY"),
        "ones for dY": Slip("add", lambda A: np.ones_like(A), "dY", "A"),
    },
}  # fmt: skip


def assigned(W: Any, I: Any, dY: Any) -> Any:
    dW = np.zeros_like(W)
    dW[I] = dY
    return dW


def scores(dY: Any, Q: Any, K: Any, V: Any, M: Any) -> Any:
    P, dP = softmax(Q @ K.T / np.sqrt(Q.shape[1]) + M), dY @ V.T
    return P * (dP - (P * dP).sum(-1, keepdims=True))
