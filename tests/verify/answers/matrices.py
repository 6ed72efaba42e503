"""The answers that the equation pages print for matrices, as NumPy."""

from __future__ import annotations

import numpy as np
from numpy.linalg import inv
from verify.answers.spelled import Answers


def cholesky(dY, Y):
    M = Y.T @ dY
    G = inv(Y).T @ (np.tril(M, -1) + np.diag(np.diag(M)) / 2) @ inv(Y)
    return (G + G.T) / 2


def _apart(S):
    gap = S[None, :] - S[:, None]
    return np.where(gap == 0, 0.0, 1 / np.where(gap == 0, 1.0, gap))


def eigh(dW, dV, W, V):
    G = V @ (np.diag(dW) + _apart(W) * (V.T @ dV)) @ V.T
    return (G + G.T) / 2


def qr(dQ, dR, Q, R):
    M = R @ dR.T - dQ.T @ Q
    mirrored = np.tril(M) + np.tril(M, -1).T
    return (dQ + Q @ mirrored) @ inv(R).T


def svd(dU, dS, dVh, U, S, Vh):
    F, V, dV, D = _apart(S**2), Vh.T, dVh.T, np.diag(S)
    first, second = U.T @ dU, V.T @ dV
    inside = F * (first - first.T) @ D + D @ (F * (second - second.T)) + np.diag(dS)
    left = (np.eye(len(U)) - U @ U.T) @ dU @ inv(D) @ V.T
    right = U @ inv(D) @ dV.T @ (np.eye(len(V)) - V @ V.T)
    return U @ inside @ V.T + left + right


def pinv(dY, A, Y):
    G, one, other = dY.T, np.eye(len(A)), np.eye(A.shape[1])
    return -Y.T @ dY @ Y.T + (one - A @ Y) @ G @ Y @ Y.T + Y.T @ Y @ G @ (other - Y @ A)


ANSWERS: Answers = {
    "cholesky": {
        "A": (
            r"\tfrac{1}{2} (G + G^\top), \quad G = Y^{-\top} \Phi(Y^\top \frac{\partial L}{\partial Y}) Y^{-1}, \quad \Phi_{ij}(M) = ([i > j] + \tfrac{1}{2} [i = j]) M_{ij}",
            cholesky,
        ),
    },
    "eigh": {
        "A": (
            r"\tfrac{1}{2} (G + G^\top), \quad G = V \left(\operatorname{diag} \frac{\partial L}{\partial W} + F \odot V^\top \frac{\partial L}{\partial V}\right) V^\top, \quad F_{ij} = \frac{1}{W_j - W_i}, \; F_{ii} = 0",
            eigh,
        ),
    },
    "qr": {
        "A": (
            r"\left(\frac{\partial L}{\partial Q} + Q C(M)\right) R^{-\top}, \quad M = R \frac{\partial L}{\partial R}^\top - \frac{\partial L}{\partial Q}^\top Q, \quad C_{ij}(M) = M_{\max(i, j), \min(i, j)}",
            qr,
        ),
    },
    "svd": {
        "A": (
            r"U \left(F \odot \operatorname{skew}(U^\top \frac{\partial L}{\partial U}) S + S F \odot \operatorname{skew}(V^\top \frac{\partial L}{\partial V}) + \operatorname{diag} \frac{\partial L}{\partial S}\right) V^\top + (1 - U U^\top) \frac{\partial L}{\partial U} S^{-1} V^\top + U S^{-1} \frac{\partial L}{\partial V}^\top (1 - V V^\top), \quad F_{ij} = \frac{1}{S_j^2 - S_i^2}, \; F_{ii} = 0, \quad \operatorname{skew} M = M - M^\top",
            svd,
        ),
    },
    "det": {
        "A": (
            r"\frac{\partial L}{\partial Y} \det(A) A^{-\top}",
            lambda dY, A: dY * np.linalg.det(A) * inv(A).T,
        ),
    },
    "pinv": {
        "A": (
            r"-Y^\top G^\top Y^\top + (1 - A Y) G Y Y^\top + Y^\top Y G (1 - Y A), \quad G = \frac{\partial L}{\partial Y}^\top",
            pinv,
        ),
    },
    "slogdet": {
        "A": (
            r"\frac{\partial L}{\partial M} A^{-\top}",
            lambda dM, A: dM * inv(A).T,
        ),
    },
    "solve": {
        "A": (
            r"-A^{-\top} \frac{\partial L}{\partial Y} Y^\top",
            lambda dY, A, Y: -inv(A).T @ dY @ Y.T,
        ),
        "B": (
            r"A^{-\top} \frac{\partial L}{\partial Y}",
            lambda dY, A: inv(A).T @ dY,
        ),
    },
}
