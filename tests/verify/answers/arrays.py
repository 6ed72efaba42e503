"""The answers that the equation pages print for arrays, as NumPy."""

from __future__ import annotations

import numpy as np
from verify.answers.spelled import Answers


def fourier(dY):
    n, dP = len(dY), np.zeros_like(dY)
    numbers = dY[:, 0] + 1j * dY[:, 1]
    for j in range(n):
        total = sum(numbers[k] * np.exp(2j * np.pi * j * k / n) for k in range(n))
        dP[j] = total.real, total.imag
    return dP


def cumulative_logsumexp(dY, A, Y):
    dA = np.zeros_like(A)
    for i in range(A.shape[1]):
        dA[:, i] = sum(dY[:, j] * np.exp(A[:, i] - Y[:, j]) for j in range(i, A.shape[1]))
    return dA


def cumulative_prod(dY, A):
    n, T, dA = A.shape[1], np.zeros_like(A), np.zeros_like(A)
    for i in reversed(range(n)):
        T[:, i] = dY[:, i] + (A[:, i + 1] * T[:, i + 1] if i + 1 < n else 0)
        dA[:, i] = A[:, :i].prod(1) * T[:, i]
    return dA


def prod(dY, A):
    others = [np.delete(A, i, axis=1).prod(1) for i in range(A.shape[1])]
    return dY[:, None] * np.stack(others, axis=1)


def embedding(dY, W, I):
    dW = np.zeros_like(W)
    for k, i in enumerate(I):
        dW[i] += dY[k]
    return dW


def embedding_bag(dY, W, I, S, bags):
    dW = np.zeros_like(W)
    for k, i in enumerate(I):
        dW[i] += S[k] * dY[bags[k]]
    return dW


def getitem(dY, A, index):
    dA = np.zeros_like(A)
    dA[index] = dY
    return dA


def take(dY, A, I):
    return embedding(dY, A, I)


def gather(dY, A, I):
    dA = np.zeros_like(A)
    for i, row in enumerate(I):
        for j, k in enumerate(row):
            dA[i, k] += dY[i, j]
    return dA


def scatter(dY, I):
    dA = dY.copy()
    np.put_along_axis(dA, I, 0.0, axis=1)
    return dA


def extremes(A, I, U, Y):
    """Count the entries that are the extreme of each result."""
    n = (A == Y) * 1.0
    for i, row in enumerate(I):
        for j, k in enumerate(row):
            n[i, k] += U[i, j] == Y[i, k]
    return n


def extreme_of_updates(dY, A, I, U, Y):
    share = np.take_along_axis(dY / extremes(A, I, U, Y), I, axis=1)
    return share * (U == np.take_along_axis(Y, I, axis=1))


def scatter_prod_start(dY, A, I, U):
    dA = dY.copy()
    for i, row in enumerate(I):
        for j, k in enumerate(row):
            dA[i, k] *= U[i, j]
    return dA


def scatter_prod_updates(dY, A, I, U):
    dU = np.take_along_axis(dY * A, I, axis=1)
    for i, row in enumerate(I):
        for j, k in enumerate(row):
            dU[i, j] *= np.prod([U[i, m] for m in range(len(row)) if m != j and row[m] == k])
    return dU


def stride(dY, A, sizes, steps, start):
    dA = np.zeros_like(A)
    for i in np.ndindex(*sizes):
        place = np.array(start) + np.array(i) @ np.array(steps)
        dA[tuple(place)] += dY[i]
    return dA


ANSWERS: Answers = {
    "conjugate": {
        "Z": (
            r"\overline{\frac{\partial L}{\partial Y}}",
            lambda dY: np.conj(dY),
        ),
    },
    "fourier": {
        "P": (
            r"\sum_k \frac{\partial L}{\partial Y_k} e^{2 \pi \mathrm{i} j k / n}",
            fourier,
        ),
    },
    "sum": {
        "A": (
            r"\frac{\partial L}{\partial Y}",
            lambda dY: dY,
        ),
    },
    "mean": {
        "A": (
            r"\frac{1}{n} \frac{\partial L}{\partial Y}",
            lambda dY, A: 1 / A.size * dY,
        ),
    },
    "max": {
        "A": (
            r"\frac{\partial L}{\partial Y} [A_i = Y]",
            lambda dY, A, Y: dY * (A == Y),
        ),
    },
    "min": {
        "A": (
            r"\frac{\partial L}{\partial Y} [A_i = Y]",
            lambda dY, A, Y: dY * (A == Y),
        ),
    },
    "norm": {
        "A": (
            r"\frac{\partial L}{\partial Y} \mathrm{sign}(A) \left(\frac{|A|}{Y}\right)^{p-1}",
            lambda dY, A, Y, p: dY * np.sign(A) * (np.abs(A) / Y) ** (p - 1),
        ),
    },
    "std": {
        "A": (
            r"\frac{A - \bar{A}}{(n - c) Y} \frac{\partial L}{\partial Y}",
            lambda dY, A, Y, correction: (A - A.mean()) / ((A.size - correction) * Y) * dY,
        ),
    },
    "sum_to": {
        "A": (
            r"\frac{\partial L}{\partial Y}",
            lambda dY: dY,
        ),
    },
    "var": {
        "A": (
            r"\frac{2}{n - c} \frac{\partial L}{\partial Y} (A - \bar{A})",
            lambda dY, A, correction: 2 / (A.size - correction) * dY * (A - A.mean()),
        ),
    },
    "var_mean": {
        "A": (
            r"\frac{2}{n - c} \frac{\partial L}{\partial V} (A - M) + \frac{1}{n} \frac{\partial L}{\partial M}",
            lambda dV, dM, A, M, correction: (
                2 / (A.size - correction) * dV * (A - M) + 1 / A.size * dM
            ),
        ),
    },
    "cumulative_logsumexp": {
        "A": (
            r"\sum_{j \ge i} \frac{\partial L}{\partial Y_j} e^{A_i - Y_j}",
            cumulative_logsumexp,
        ),
    },
    "cumulative_prod": {
        "A": (
            r"\prod_{j < i} A_j \cdot T_i, \quad T_i = \frac{\partial L}{\partial Y_i} + A_{i+1} T_{i+1}",
            cumulative_prod,
        ),
    },
    "cumulative_sum": {
        "A": (
            r"\sum_{j \ge i} \frac{\partial L}{\partial Y_j}",
            lambda dY: np.cumsum(dY[:, ::-1], axis=1)[:, ::-1],
        ),
    },
    "prod": {
        "A": (
            r"\frac{\partial L}{\partial Y} \prod_{j \ne i} A_j",
            prod,
        ),
    },
    "embedding": {
        "W": (
            r"\sum_{k: I_k = i} \frac{\partial L}{\partial Y_k}",
            embedding,
        ),
    },
    "embedding_bag": {
        "W": (
            r"\sum_{k: I_k = i} S_k \frac{\partial L}{\partial Y_{b(k)}}",
            embedding_bag,
        ),
        "S": (
            r"W_{I_k} \cdot \frac{\partial L}{\partial Y_{b(k)}}",
            lambda dY, W, I, bags: (W[I] * dY[bags]).sum(1),
        ),
    },
    "getitem": {
        "A": (
            r"\frac{\partial L}{\partial Y} \text{ at } i, 0 \text{ elsewhere}",
            getitem,
        ),
    },
    "place": {
        "X": (
            r"\frac{\partial L}{\partial Y}[i]",
            lambda dY, index: dY[index],
        ),
    },
    "take": {
        "A": (
            r"\sum_{k: I_k = i} \frac{\partial L}{\partial Y_k}",
            take,
        ),
    },
    "add_rows": {
        "rows": (
            r"\left(\frac{\partial L}{\partial Y}\right)_{I_i}",
            lambda dY, I: dY[I],
        ),
    },
    "gather": {
        "A": (
            r"\sum_{j: I_{ij} = k} \frac{\partial L}{\partial Y_{ij}}",
            gather,
        ),
    },
    "scatter": {
        "A": (
            r"\frac{\partial L}{\partial Y} \text{, 0 at } I",
            scatter,
        ),
        "U": (
            r"\left(\frac{\partial L}{\partial Y}\right)_{i I_{ij}}",
            lambda dY, I: np.take_along_axis(dY, I, axis=1),
        ),
    },
    "scatter_add": {
        "A": (
            r"\frac{\partial L}{\partial Y}",
            lambda dY: dY,
        ),
        "U": (
            r"\left(\frac{\partial L}{\partial Y}\right)_{i I_{ij}}",
            lambda dY, I: np.take_along_axis(dY, I, axis=1),
        ),
    },
    "scatter_max": {
        "A": (
            r"\frac{[A = Y]}{n} \frac{\partial L}{\partial Y}, \quad n \text{ entries being the extreme}",
            lambda dY, A, I, U, Y: (A == Y) / extremes(A, I, U, Y) * dY,
        ),
        "U": (
            r"\left(\frac{1}{n} \frac{\partial L}{\partial Y}\right)_{i I_{ij}} [U_{ij} = Y_{i I_{ij}}]",
            extreme_of_updates,
        ),
    },
    "scatter_min": {
        "A": (
            r"\frac{[A = Y]}{n} \frac{\partial L}{\partial Y}, \quad n \text{ entries being the extreme}",
            lambda dY, A, I, U, Y: (A == Y) / extremes(A, I, U, Y) * dY,
        ),
        "U": (
            r"\left(\frac{1}{n} \frac{\partial L}{\partial Y}\right)_{i I_{ij}} [U_{ij} = Y_{i I_{ij}}]",
            extreme_of_updates,
        ),
    },
    "scatter_prod": {
        "A": (
            r"\frac{\partial L}{\partial Y_{ik}} \prod_{j: I_{ij} = k} U_{ij}",
            scatter_prod_start,
        ),
        "U": (
            r"\left(\frac{\partial L}{\partial Y} A\right)_{i I_{ij}} \prod_{l \ne j: I_{il} = I_{ij}} U_{il}",
            scatter_prod_updates,
        ),
    },
    "broadcast_to": {
        "A": (
            r"\sum_i \frac{\partial L}{\partial Y_{ij}}",
            lambda dY: dY.sum(0),
        ),
    },
    "concatenate": {
        "arrays": (
            r"\text{the piece of } \frac{\partial L}{\partial Y} \text{ for each}",
            lambda dY, arrays: np.split(dY, [len(arrays[0])]),
        ),
    },
    "stack": {
        "arrays": (
            r"\left(\frac{\partial L}{\partial Y}\right)_i \text{ for each}",
            lambda dY, arrays: [dY[i] for i in range(len(arrays))],
        ),
    },
    "reshape": {
        "A": (
            r"\frac{\partial L}{\partial Y} \text{ in the shape of } A",
            lambda dY, A: dY.reshape(A.shape),
        ),
    },
    "split": {
        "A": (
            r"\left[\frac{\partial L}{\partial Y_1}, \frac{\partial L}{\partial Y_2}, \ldots\right]",
            lambda dpieces: np.concatenate(dpieces),
        ),
    },
    "transpose": {
        "A": (
            r"\frac{\partial L}{\partial Y}^\top",
            lambda dY: dY.T,
        ),
    },
    "stride": {
        "A": (
            r"\sum_{i: s + S i = k} \frac{\partial L}{\partial Y_i}",
            stride,
        ),
    },
    "constant_pad_nd": {
        "X": (
            r"\left(\frac{\partial L}{\partial Y}\right)_{i + b}",
            lambda dY, X, pad: dY[:, pad[0] : pad[0] + X.shape[1]],
        ),
    },
}
