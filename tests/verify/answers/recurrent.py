"""The answers that the equation pages print for recurrent layers, as NumPy; lessons have two steps."""

from __future__ import annotations

import numpy as np
from verify.answers.spelled import Answers, part, sigmoid


def rnn(dY, dH_T, X, H, W, U, Y):
    dX, dW, dU, db = np.zeros_like(X), np.zeros_like(W), np.zeros_like(U), np.zeros(len(W))
    back = dH_T
    for t in (1, 0):
        dZ = (dY[t] + back) * (1 - Y[t] ** 2)
        before = Y[0] if t else H
        dX[t], back = dZ @ W, dZ @ U
        dW, dU, db = dW + dZ.T @ X[t], dU + dZ.T @ before, db + dZ.sum(0)
    return dX, back, dW, dU, db, db


def gru(dY, dH_T, X, H, W, U, b, d, Y):
    dX, dW, dU = np.zeros_like(X), np.zeros_like(W), np.zeros_like(U)
    db, dd, back = np.zeros(len(W)), np.zeros(len(W)), dH_T
    for t in (1, 0):
        before = Y[0] if t else H
        A, B = np.split(X[t] @ W.T + b, 3, axis=1), np.split(before @ U.T + d, 3, axis=1)
        r, z = sigmoid(A[0] + B[0]), sigmoid(A[1] + B[1])
        n = np.tanh(A[2] + r * B[2])
        G = dY[t] + back
        dn = G * (1 - z) * (1 - n**2)
        dr, dz = dn * B[2] * r * (1 - r), G * (before - n) * z * (1 - z)
        dA, dB = np.concatenate([dr, dz, dn], 1), np.concatenate([dr, dz, dn * r], 1)
        dX[t], back = dA @ W, G * z + dB @ U
        dW, dU = dW + dA.T @ X[t], dU + dB.T @ before
        db, dd = db + dA.sum(0), dd + dB.sum(0)
    return dX, back, dW, dU, db, dd


def lstm(dY, dH_T, dC_T, X, H, C, W, U, b, d, R, Y):
    dX, dW, dU, dR = (np.zeros_like(one) for one in (X, W, U, R))
    db, back, back_C = np.zeros(len(W)), dH_T, dC_T
    cells, steps = C, []
    for t in (0, 1):
        before = Y[0] if t else H
        Z = np.split(X[t] @ W.T + b + before @ U.T + d, 4, axis=1)
        i, f, g, o = sigmoid(Z[0]), sigmoid(Z[1]), np.tanh(Z[2]), sigmoid(Z[3])
        new = f * cells + i * g
        steps.append((before, cells, new, i, f, g, o))
        cells = new
    for t in (1, 0):
        before, old, new, i, f, g, o = steps[t]
        G = dY[t] + back
        D = back_C + G @ R * o * (1 - np.tanh(new) ** 2)
        dZ = np.concatenate(
            [D * g * i * (1 - i), D * old * f * (1 - f), D * i * (1 - g**2),
             G @ R * np.tanh(new) * o * (1 - o)], 1,
        )  # fmt: skip
        dX[t], back, back_C = dZ @ W, dZ @ U, D * f
        dW, dU, db = dW + dZ.T @ X[t], dU + dZ.T @ before, db + dZ.sum(0)
        dR = dR + G.T @ (o * np.tanh(new))
    return dX, back, back_C, dW, dU, db, db, dR


ANSWERS: Answers = {
    "rnn": {
        "X": (
            r"\frac{\partial L}{\partial Z_t} W, \quad \frac{\partial L}{\partial Z_t} = \left(\frac{\partial L}{\partial Y_t} + \frac{\partial L}{\partial Z_{t+1}} U\right) \odot (1 - H_t^2)",
            part(rnn, 0),
        ),
        "H": (
            r"\frac{\partial L}{\partial Z_1} U",
            part(rnn, 1),
        ),
        "W": (
            r"\sum_t \frac{\partial L}{\partial Z_t}^\top X_t",
            part(rnn, 2),
        ),
        "U": (
            r"\sum_t \frac{\partial L}{\partial Z_t}^\top H_{t-1}",
            part(rnn, 3),
        ),
        "b": (
            r"\sum_t \sum_n \frac{\partial L}{\partial Z_{tn}}",
            part(rnn, 4),
        ),
        "d": (
            r"\sum_t \sum_n \frac{\partial L}{\partial Z_{tn}}",
            part(rnn, 5),
        ),
    },
    "gru": {
        "X": (
            r"\frac{\partial L}{\partial A_t} W, \quad \frac{\partial L}{\partial A_n} = G \odot (1 - z) \odot (1 - n^2), \quad \frac{\partial L}{\partial A_r} = \frac{\partial L}{\partial A_n} \odot B_n \odot r \odot (1 - r), \quad \frac{\partial L}{\partial A_z} = G \odot (H_{t-1} - n) \odot z \odot (1 - z), \quad G_t = \frac{\partial L}{\partial Y_t} + G_{t+1} \odot z_{t+1} + \frac{\partial L}{\partial B_{t+1}} U",
            part(gru, 0),
        ),
        "H": (
            r"G_1 \odot z_1 + \frac{\partial L}{\partial B_1} U, \quad \frac{\partial L}{\partial B} = \frac{\partial L}{\partial A} \text{, but } \frac{\partial L}{\partial B_n} = \frac{\partial L}{\partial A_n} \odot r",
            part(gru, 1),
        ),
        "W": (
            r"\sum_t \frac{\partial L}{\partial A_t}^\top X_t",
            part(gru, 2),
        ),
        "U": (
            r"\sum_t \frac{\partial L}{\partial B_t}^\top H_{t-1}",
            part(gru, 3),
        ),
        "b": (
            r"\sum_t \sum_n \frac{\partial L}{\partial A_{tn}}",
            part(gru, 4),
        ),
        "d": (
            r"\sum_t \sum_n \frac{\partial L}{\partial B_{tn}}",
            part(gru, 5),
        ),
    },
    "lstm": {
        "X": (
            r"\frac{\partial L}{\partial Z_t} W, \quad \frac{\partial L}{\partial Z_i} = D \odot g \odot i \odot (1 - i), \quad \frac{\partial L}{\partial Z_f} = D \odot C_{t-1} \odot f \odot (1 - f), \quad \frac{\partial L}{\partial Z_g} = D \odot i \odot (1 - g^2), \quad \frac{\partial L}{\partial Z_o} = G R \odot \tanh C_t \odot o \odot (1 - o) \\ D_t = \frac{\partial L}{\partial C_t} = D_{t+1} \odot f_{t+1} + G_t R \odot o \odot (1 - \tanh^2 C_t), \quad G_t = \frac{\partial L}{\partial H_t} = \frac{\partial L}{\partial Y_t} + \frac{\partial L}{\partial Z_{t+1}} U",
            part(lstm, 0),
        ),
        "H": (
            r"\frac{\partial L}{\partial Z_1} U",
            part(lstm, 1),
        ),
        "C": (
            r"\frac{\partial L}{\partial C_1} \odot f_1",
            part(lstm, 2),
        ),
        "W": (
            r"\sum_t \frac{\partial L}{\partial Z_t}^\top X_t",
            part(lstm, 3),
        ),
        "U": (
            r"\sum_t \frac{\partial L}{\partial Z_t}^\top H_{t-1}",
            part(lstm, 4),
        ),
        "b": (
            r"\sum_t \sum_n \frac{\partial L}{\partial Z_{tn}}",
            part(lstm, 5),
        ),
        "d": (
            r"\sum_t \sum_n \frac{\partial L}{\partial Z_{tn}}",
            part(lstm, 6),
        ),
        "R": (
            r"\sum_t \frac{\partial L}{\partial H_t}^\top (o_t \odot \tanh C_t)",
            part(lstm, 7),
        ),
    },
}
