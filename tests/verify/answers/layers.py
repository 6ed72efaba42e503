"""The answers that the equation pages print for layers, as NumPy."""

from __future__ import annotations

import numpy as np
from verify.answers.spelled import Answers, softmax


def scale(Q):
    return 1 / np.sqrt(Q.shape[-1])


def of_scores(dY, Q, K, V, M):
    P, dP = softmax(scale(Q) * Q @ K.T + M), dY @ V.T
    return P * (dP - (P * dP).sum(-1, keepdims=True))


def transposed_convolution(dY, W):
    """Put W_ock dY_noi to where i + k is."""
    (N, _, places), (_, C, K) = dY.shape, W.shape
    dX = np.zeros((N, C, places + K - 1))
    for k in range(K):
        for i in range(places):
            dX[:, :, i + k] += dY[:, :, i] @ W[:, :, k]
    return dX


def cross_correlation(X, W):
    """Sum W_ock X_nc,i+k over c and k."""
    K = W.shape[2]
    places = X.shape[2] - K + 1
    return sum(np.einsum("oc,nci->noi", W[:, :, k], X[:, :, k : k + places]) for k in range(K))


def weight_gradient(X, dY):
    """Sum X_nc,i+k dY_noi over n and i."""
    places = dY.shape[2]
    parts = [
        np.einsum("nci,noi->oc", X[:, :, k : k + places], dY)
        for k in range(X.shape[2] - places + 1)
    ]
    return np.stack(parts, axis=2)


def unfold(dY, X, kernel):
    dX = np.zeros_like(X)
    C, K, places = X.shape[1], kernel[0], dY.shape[2]
    for c in range(C):
        for k in range(K):
            for i in range(places):
                dX[:, c, i + k] += dY[:, c * K + k, i]
    return dX


def fold(dY, X, kernel):
    dX = np.zeros_like(X)
    K = kernel[0]
    for c in range(dY.shape[1]):
        for k in range(K):
            for i in range(X.shape[2]):
                dX[:, c * K + k, i] = dY[:, c, i + k]
    return dX


def max_pool(dV, X, I):
    dX = np.zeros_like(X)
    for n, line in enumerate(I):
        for o, i in enumerate(line):
            dX[n, i] += dV[n, o]
    return dX


def resample(dY, X, lines):
    dX = np.zeros_like(X)
    for k in range(len(lines[0].weight)):
        for o in range(dY.shape[1]):
            dX[:, lines[0].index[k, o]] += lines[0].weight[k, o] * dY[:, o]
    return dX


def standardize(dY, dM, dV, X, W, M, V, eps):
    n, R = len(X), 1 / np.sqrt(V + eps)
    X_hat, G = (X - M) * R, W * dY
    one = R * (G - G.mean(0) - X_hat * (G * X_hat).mean(0))
    return one + 1 / n * dM + 2 / n * (X - M) * dV


def root(X, eps):
    return ((X**2).mean(-1, keepdims=True) + eps) ** (-1 / 2)


def rms_norm(dY, X, W, eps):
    R = root(X, eps)
    X_hat, G = X * R, W * dY
    return R * (G - X_hat * (G * X_hat).mean(-1, keepdims=True))


def local_response_norm(dY, X, size, alpha, beta, k):
    C = X.shape[1]
    D, dX = np.zeros_like(X), np.zeros_like(X)
    for c in range(C):
        window = slice(max(0, c - size // 2), c + (size - 1) // 2 + 1)
        D[:, c] = k + alpha / size * (X[:, window] ** 2).sum(1)
    for c in range(C):
        window = slice(max(0, c - (size - 1) // 2), c + size // 2 + 1)
        terms = dY[:, window] * X[:, window] * D[:, window] ** (-beta - 1)
        dX[:, c] = dY[:, c] * D[:, c] ** -beta
        dX[:, c] -= 2 * alpha * beta / size * X[:, c] * terms.sum(1)
    return dX


ANSWERS: Answers = {
    "linear": {
        "X": (
            r"\frac{\partial L}{\partial X} = \frac{\partial L}{\partial Z} W",
            lambda dZ, W: dZ @ W,
        ),
        "W": (
            r"\frac{\partial L}{\partial W} = \frac{\partial L}{\partial Z}^\top X",
            lambda dZ, X: dZ.T @ X,
        ),
        "b": (
            r"\frac{\partial L}{\partial b} = \sum_n \frac{\partial L}{\partial Z_n}",
            lambda dZ: dZ.sum(0),
        ),
    },
    "linear_activation": {
        "X": (
            r"\left(\frac{\partial L}{\partial Y} \odot f'(Z)\right) W",
            lambda dY, W, Y: (dY * (1 - Y**2)) @ W,
        ),
        "W": (
            r"\left(\frac{\partial L}{\partial Y} \odot f'(Z)\right)^\top X",
            lambda dY, X, Y: (dY * (1 - Y**2)).T @ X,
        ),
        "b": (
            r"\sum_n \left(\frac{\partial L}{\partial Y} \odot f'(Z)\right)_n",
            lambda dY, Y: (dY * (1 - Y**2)).sum(0),
        ),
    },
    "matmul": {
        "A": (
            r"\frac{\partial L}{\partial Y} B^\top",
            lambda dY, B: dY @ B.T,
        ),
        "B": (
            r"A^\top \frac{\partial L}{\partial Y}",
            lambda dY, A: A.T @ dY,
        ),
    },
    "softmax": {
        "X": (
            r"Y_i \left(\frac{\partial L}{\partial Y_i} - \sum_j \frac{\partial L}{\partial Y_j} Y_j\right)",
            lambda dY, Y: Y * (dY - (dY * Y).sum(-1, keepdims=True)),
        ),
    },
    "log_softmax": {
        "X": (
            r"\frac{\partial L}{\partial Y_i} - e^{Y_i} \sum_j \frac{\partial L}{\partial Y_j}",
            lambda dY, Y: dY - np.exp(Y) * dY.sum(-1, keepdims=True),
        ),
    },
    "logsumexp": {
        "X": (
            r"\frac{\partial L}{\partial Y} e^{X_i - Y}",
            lambda dY, X, Y: dY[:, None] * np.exp(X - Y[:, None]),
        ),
    },
    "scaled_dot_product_attention": {
        "Q": (
            r"s \frac{\partial L}{\partial S} K",
            lambda dY, Q, K, V, M: scale(Q) * of_scores(dY, Q, K, V, M) @ K,
        ),
        "K": (
            r"s \left(\frac{\partial L}{\partial S}\right)^\top Q",
            lambda dY, Q, K, V, M: scale(Q) * of_scores(dY, Q, K, V, M).T @ Q,
        ),
        "V": (
            r"P^\top \frac{\partial L}{\partial Y}",
            lambda dY, Q, K, M: softmax(scale(Q) * Q @ K.T + M).T @ dY,
        ),
        "M": (
            r"\frac{\partial L}{\partial S} = P \odot \left(\frac{\partial L}{\partial P} - \sum_j P_j \frac{\partial L}{\partial P_j}\right), \quad \frac{\partial L}{\partial P} = \frac{\partial L}{\partial Y} V^\top",
            lambda dY, Q, K, V, M: of_scores(dY, Q, K, V, M),
        ),
    },
    "convolution": {
        "X": (
            r"\sum_{o, \; s i + d k - p = j} W_{o,c,k} \left(\frac{\partial L}{\partial Y}\right)_{n,o,i}",
            lambda dY, X, W: transposed_convolution(dY, W),
        ),
        "W": (
            r"\sum_{n,i} X_{n,c,s i + d k - p} \left(\frac{\partial L}{\partial Y}\right)_{n,o,i}",
            lambda dY, X, W: weight_gradient(X, dY),
        ),
        "b": (
            r"\sum_{n,i} \left(\frac{\partial L}{\partial Y}\right)_{n,o,i}",
            lambda dY: dY.sum((0, 2)),
        ),
    },
    "convolution_transpose": {
        "X": (
            r"\sum_{o,k} W_{c,o,k} \left(\frac{\partial L}{\partial Y}\right)_{n,o,s i + d k - p}",
            lambda dY, W: cross_correlation(dY, W),
        ),
        "W": (
            r"\sum_{n,i} X_{n,c,i} \left(\frac{\partial L}{\partial Y}\right)_{n,o,s i + d k - p}",
            lambda dY, X: weight_gradient(dY, X),
        ),
        "b": (
            r"\sum_{n,j} \left(\frac{\partial L}{\partial Y}\right)_{n,o,j}",
            lambda dY: dY.sum((0, 2)),
        ),
    },
    "convolution_weight": {
        "X": (
            r"\sum_{o, \; s i + d k - p = j} D_{n,o,i} \left(\frac{\partial L}{\partial Y}\right)_{o,c,k}",
            lambda dY, D: transposed_convolution(D, dY),
        ),
        "D": (
            r"\sum_{c,k} X_{n,c,s i + d k - p} \left(\frac{\partial L}{\partial Y}\right)_{o,c,k}",
            lambda dY, X: cross_correlation(X, dY),
        ),
    },
    "unfold": {
        "X": (
            r"\sum_{s i + d k - p = j} \left(\frac{\partial L}{\partial Y}\right)_{n, (c, k), i}",
            unfold,
        ),
    },
    "fold": {
        "X": (
            r"\left(\frac{\partial L}{\partial Y}\right)_{n, c, s i + d k - p}",
            fold,
        ),
    },
    "max_pool": {
        "X": (
            r"\sum_{o: I_o = i} \left(\frac{\partial L}{\partial V}\right)_o",
            max_pool,
        ),
    },
    "max_unpool": {
        "X": (
            r"\left(\frac{\partial L}{\partial Y}\right)_{I_o}",
            lambda dY, I: np.take_along_axis(dY, I, axis=1),
        ),
    },
    "resample": {
        "X": (
            r"\sum_{k, o: i_{k o} = i} w^1_{k_1 o_1} \cdots w^d_{k_d o_d} \left(\frac{\partial L}{\partial Y}\right)_{o_1 \ldots o_d}",
            resample,
        ),
    },
    "standardize": {
        "X": (
            r"R \left(G - \overline{G} - \hat X \, \overline{G \hat X}\right) + \frac{1}{n} \frac{\partial L}{\partial M} + \frac{2}{n} (X - M) \frac{\partial L}{\partial V}, \quad R = \frac{1}{\sqrt{V + \epsilon}}, \; \hat X = (X - M) R, \; G = W \frac{\partial L}{\partial Y}",
            standardize,
        ),
        "W": (
            r"\sum \frac{\partial L}{\partial Y} \hat X",
            lambda dY, X, M, V, eps: (dY * (X - M) / np.sqrt(V + eps)).sum(0),
        ),
        "b": (
            r"\sum \frac{\partial L}{\partial Y}",
            lambda dY: dY.sum(0),
        ),
    },
    "batch_norm_inference": {
        "X": (
            r"\frac{W}{\sqrt{V + \epsilon}} \frac{\partial L}{\partial Y}",
            lambda dY, V, W, eps: W / np.sqrt(V + eps) * dY,
        ),
        "W": (
            r"\sum \frac{\partial L}{\partial Y} \frac{X - M}{\sqrt{V + \epsilon}}",
            lambda dY, X, M, V, eps: (dY * (X - M) / np.sqrt(V + eps)).sum(0),
        ),
        "b": (
            r"\sum \frac{\partial L}{\partial Y}",
            lambda dY: dY.sum(0),
        ),
    },
    "rms_norm": {
        "X": (
            r"R \left(G - \hat X \, \overline{G \hat X}\right), \quad R = \left(\overline{X^2} + \epsilon\right)^{-1/2}, \; \hat X = X R, \; G = W \frac{\partial L}{\partial Y}",
            rms_norm,
        ),
        "W": (
            r"\sum \frac{\partial L}{\partial Y} \hat X",
            lambda dY, X, eps: (dY * X * root(X, eps)).sum(0),
        ),
    },
    "local_response_norm": {
        "X": (
            r"\frac{\partial L}{\partial Y_c} D_c^{-\beta} - \frac{2 \alpha \beta}{s} X_c \sum_{j = c - \lfloor (s - 1) / 2 \rfloor}^{c + \lfloor s / 2 \rfloor} \frac{\partial L}{\partial Y_j} X_j D_j^{-\beta - 1}",
            local_response_norm,
        ),
    },
}
