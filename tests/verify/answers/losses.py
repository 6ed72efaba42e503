"""The answers that the equation pages print for losses, as NumPy; weights of classes are 1."""

from __future__ import annotations

import numpy as np
from verify.answers.spelled import Answers, one_hot, sigmoid, softmax


def of_scores(X, W, b, T):
    return 1 / len(X) * (softmax(X @ W.T + b) - one_hot(T))


def multi_margin(X, T, p, margin):
    N, C = X.shape
    gap = margin - X[range(N), T][:, None] + X
    dX = p / (N * C) * gap ** (p - 1) * (gap > 0) * (np.arange(C) != T[:, None])
    dX[range(N), T] = -dX.sum(1)
    return dX


def multilabel_margin(X, T):
    N, C = X.shape
    dX = np.zeros((N, C))
    for n in range(N):
        labels = [t for t in T[n].tolist()]
        labels = labels[: labels.index(-1)] if -1 in labels else labels
        others = [i for i in range(C) if i not in labels]
        for i in others:
            dX[n, i] = sum(X[n, j] - X[n, i] < 1 for j in labels)
        for i in labels:
            dX[n, i] = -sum(X[n, i] - X[n, k] < 1 for k in others)
    return 1 / (N * C) * dX


def ctc(dL, logP, T, L, blank):
    P, steps = np.exp(logP[:, 0]), len(logP)
    places = [blank, *(one for label in T[0].tolist() for one in (label, blank))]
    S = len(places)

    def before(s):
        jump = s > 1 and places[s] not in (blank, places[s - 2])
        return [r for r in (s, s - 1, s - 2)[: 2 + jump] if r >= 0]

    alpha, beta = np.zeros((steps, S)), np.zeros((steps, S))
    alpha[0, :2] = P[0, places[:2]]
    beta[-1, -2:] = 1
    for t in range(1, steps):
        for s in range(S):
            alpha[t, s] = P[t, places[s]] * sum(alpha[t - 1, r] for r in before(s))
    for t in range(steps - 2, -1, -1):
        for s in range(S):
            for r in before(s):
                beta[t, r] += P[t + 1, places[s]] * beta[t + 1, s]
    dlogP = np.zeros_like(logP)
    for t in range(steps):
        for s in range(S):
            dlogP[t, 0, places[s]] -= dL[0] * alpha[t, s] * beta[t, s] * np.exp(L[0])
    return dlogP


def cosine(X1, X2, T, margin=0.0):
    sizes = [np.sqrt((one**2).sum(1, keepdims=True)) for one in (X1, X2)]
    C = (X1 * X2).sum(1, keepdims=True) / (sizes[0] * sizes[1])
    which = ((T == -1)[:, None] & (C > margin)) * 1.0 - (T == 1)[:, None]
    return 1 / len(T) * which * (X2 / (sizes[0] * sizes[1]) - C * X1 / sizes[0] ** 2)


ANSWERS: Answers = {
    "bce": {
        "P": (
            r"\frac{w}{n} \frac{P - T}{P (1 - P)}",
            lambda P, T: 1 / P.size * (P - T) / (P * (1 - P)),
        ),
        "T": (
            r"\frac{w}{n} (\log(1 - P) - \log P)",
            lambda P: 1 / P.size * (np.log(1 - P) - np.log(P)),
        ),
    },
    "bce_with_logits": {
        "X": (
            r"\frac{w}{n} \left(1 - T - (1 + (p - 1) T) \sigma(-X)\right)",
            lambda X, T, p=1: 1 / X.size * (1 - T - (1 + (p - 1) * T) * sigmoid(-X)),
        ),
        "T": (
            r"\frac{w}{n} \left((p - 1) \log(1 + e^{-X}) - X\right)",
            lambda X, p=1: 1 / X.size * ((p - 1) * np.log(1 + np.exp(-X)) - X),
        ),
    },
    "cross_entropy": {
        "Z": (
            r"\frac{1}{\sum_m w_{T_m}} \left(P_{nc} \sum_k q_{nk} - q_{nc}\right)",
            lambda P, T, q=one_hot: 1 / len(T) * (P * q(T).sum(1, keepdims=True) - q(T)),
        ),
    },
    "cross_entropy_probabilities": {
        "Z": (
            r"\frac{1}{N} \left(P_{nc} \sum_k w_k q_{nk} - w_c q_{nc}\right)",
            lambda Z, T: 1 / len(Z) * (softmax(Z) * T.sum(1, keepdims=True) - T),
        ),
        "T": (
            r"-\frac{1 - \varepsilon}{N} w_c \log P_{nc}",
            lambda Z: -1 / len(Z) * np.log(softmax(Z)),
        ),
    },
    "nll": {
        "logP": (
            r"-\frac{w_{T_n}}{\sum_m w_{T_m}} [c = T_n]",
            lambda T: -1 / len(T) * one_hot(T),
        ),
    },
    "linear_cross_entropy": {
        "X": (
            r"\frac{\partial L}{\partial Z} W",
            lambda X, W, b, T: of_scores(X, W, b, T) @ W,
        ),
        "W": (
            r"\left(\frac{\partial L}{\partial Z}\right)^\top X",
            lambda X, W, b, T: of_scores(X, W, b, T).T @ X,
        ),
        "b": (
            r"\sum_n \frac{\partial L}{\partial Z_n}, \quad \frac{\partial L}{\partial Z} = \frac{1}{N} (\mathrm{softmax}(Z) - [c = T_n])",
            lambda X, W, b, T: of_scores(X, W, b, T).sum(0),
        ),
    },
    "multi_margin": {
        "X": (
            r"\frac{w_{T_n} p}{N C} (m - X_{n T_n} + X_{nj})^{p-1} [m - X_{n T_n} + X_{nj} > 0] [j \ne T_n], \text{ and minus their sum at } T_n",
            multi_margin,
        ),
    },
    "multilabel_margin": {
        "X": (
            r"\frac{1}{N C} \left([i \notin T_n] \sum_{j \in T_n} [X_{nj} - X_{ni} < 1] - [i \in T_n] \sum_{k \notin T_n} [X_{ni} - X_{nk} < 1]\right)",
            multilabel_margin,
        ),
    },
    "ctc": {
        "logP": (
            r"-\frac{\partial L}{\partial L_n} \sum_{s: l_s = c} \alpha_t(s) \beta_t(s) e^{L_n}",
            ctc,
        ),
    },
    "gaussian_nll": {
        "Y": (
            r"\frac{1}{n} \frac{Y - T}{V}",
            lambda Y, T, V: 1 / Y.size * (Y - T) / V,
        ),
        "T": (
            r"\frac{1}{n} \frac{T - Y}{V}",
            lambda Y, T, V: 1 / Y.size * (T - Y) / V,
        ),
        "V": (
            r"\frac{1}{n} \tfrac{1}{2} \left(\frac{1}{V} - \frac{(Y - T)^2}{V^2}\right)",
            lambda Y, T, V: 1 / Y.size * 1 / 2 * (1 / V - (Y - T) ** 2 / V**2),
        ),
    },
    "huber": {
        "Y": (
            r"\frac{1}{n} \min(\max(D, -\delta), \delta)",
            lambda Y, T, delta: 1 / Y.size * np.minimum(np.maximum(Y - T, -delta), delta),
        ),
        "T": (
            r"\frac{1}{n} \min(\max(-D, -\delta), \delta)",
            lambda Y, T, delta: 1 / Y.size * np.minimum(np.maximum(-(Y - T), -delta), delta),
        ),
    },
    "kl_div": {
        "logP": (
            r"-\frac{1}{n} T",
            lambda T: -1 / T.size * T,
        ),
        "T": (
            r"\frac{1}{n} (\log T + 1 - \log P)",
            lambda logP, T: 1 / T.size * (np.log(T) + 1 - logP),
        ),
    },
    "l1": {
        "Y": (
            r"\frac{1}{n} \mathrm{sign}(Y - T)",
            lambda Y, T: 1 / Y.size * np.sign(Y - T),
        ),
        "T": (
            r"\frac{1}{n} \mathrm{sign}(T - Y)",
            lambda Y, T: 1 / Y.size * np.sign(T - Y),
        ),
    },
    "mse": {
        "Y": (
            r"\frac{1}{n} 2 (Y - T)",
            lambda Y, T: 1 / Y.size * 2 * (Y - T),
        ),
        "T": (
            r"\frac{1}{n} 2 (T - Y)",
            lambda Y, T: 1 / Y.size * 2 * (T - Y),
        ),
    },
    "poisson_nll": {
        "X": (
            r"\frac{1}{n} (e^X - T)",
            lambda X, T: 1 / X.size * (np.exp(X) - T),
        ),
        "T": (
            r"\frac{1}{n} (-X)",
            lambda X: 1 / X.size * -X,
        ),
    },
    "smooth_l1": {
        "Y": (
            r"\frac{1}{n} \min(\max(D / \beta, -1), 1)",
            lambda Y, T, beta: 1 / Y.size * np.minimum(np.maximum((Y - T) / beta, -1), 1),
        ),
        "T": (
            r"\frac{1}{n} \min(\max(-D / \beta, -1), 1)",
            lambda Y, T, beta: 1 / Y.size * np.minimum(np.maximum(-(Y - T) / beta, -1), 1),
        ),
    },
    "cosine_embedding": {
        "X1": (
            r"\frac{1}{n} ([T = -1] [C \ge m] - [T = 1]) \left(\frac{X_2}{|X_1| |X_2|} - C \frac{X_1}{|X_1|^2}\right)",
            lambda X1, X2, T: cosine(X1, X2, T),
        ),
        "X2": (
            r"\frac{1}{n} ([T = -1] [C \ge m] - [T = 1]) \left(\frac{X_1}{|X_1| |X_2|} - C \frac{X_2}{|X_2|^2}\right)",
            lambda X1, X2, T: cosine(X2, X1, T),
        ),
    },
    "hinge_embedding": {
        "X": (
            r"\frac{1}{n} ([T = 1] - [T = -1] [X \le m])",
            lambda X, T, margin: 1 / X.size * ((T == 1) * 1.0 - (T == -1) * (X <= margin)),
        ),
    },
    "margin_ranking": {
        "X1": (
            r"\frac{1}{n} (-T) [T (X_1 - X_2) \le m]",
            lambda X1, X2, T, margin: 1 / T.size * -T * (T * (X1 - X2) <= margin),
        ),
        "X2": (
            r"\frac{1}{n} T [T (X_1 - X_2) \le m]",
            lambda X1, X2, T, margin: 1 / T.size * T * (T * (X1 - X2) <= margin),
        ),
        "T": (
            r"\frac{1}{n} (X_2 - X_1) [T (X_1 - X_2) \le m]",
            lambda X1, X2, T, margin: 1 / T.size * (X2 - X1) * (T * (X1 - X2) <= margin),
        ),
    },
    "soft_margin": {
        "X": (
            r"\frac{1}{n} \frac{-T}{1 + e^{T X}}",
            lambda X, T: 1 / X.size * -T / (1 + np.exp(T * X)),
        ),
    },
}
