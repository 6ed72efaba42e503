r"""Optimizer updates: the new parameters and state from the old ones and the gradient.

P is the parameter, G its gradient, $\eta$ the learning rate ``lr``, $\lambda$ the weight decay and
$t$ the step, counted from 1. Decay is added to the gradient, $G \leftarrow G + \lambda P$, unless
it is decoupled, $P \leftarrow P - \eta \lambda P$. ``maximize`` turns the sign of G. Each
function returns the new values in the order of its ``updates`` and changes none of its inputs.

They are the reference as they stand, and the same text becomes a compiled loop
(``nnscratch.kernels.updating``): choices by options and by which state there is are made before it,
and so is arithmetic with numbers. Arrays meet in ``+ - * /`` and the words of
``nnscratch.array.maths``; ``math`` is for numbers.
"""

from __future__ import annotations

import math
from typing import Any

from nnscratch.array.maths import flushed, maximum, sqrt
from nnscratch.formulas.formula import formula


def _gradient(P: Any, G: Any, weight_decay: float, maximize: bool) -> Any:
    if maximize:
        G = -G
    return G + weight_decay * P if weight_decay else G


def sgd_update(
    P: Any,
    G: Any,
    M: Any = None,
    *,
    lr: float,
    momentum: float = 0.0,
    dampening: float = 0.0,
    weight_decay: float = 0.0,
    nesterov: bool = False,
    maximize: bool = False,
    step: int = 1,
) -> tuple[Any, Any]:
    """Return P and M after a step of stochastic gradient descent.

    Args:
        P: the parameter.
        G: its gradient.
        M: the momentum buffer, None without momentum.
        lr: the learning rate.
        momentum: how much of M is kept.
        dampening: how much of G is held back from M; not at the first step, where M becomes G.
        weight_decay: how much of P is added to G.
        nesterov: whether to look ahead, G + momentum · M.
        maximize: whether to ascend.
        step: the number of this step, from 1.

    >>> import numpy as np
    >>> sgd_update(np.array([1.0]), np.array([0.5]), lr=0.1)[0]
    array([0.95])
    """
    G = _gradient(P, G, weight_decay, maximize)
    if M is not None and momentum:
        kept = momentum if step > 1 else 0.0
        added = 1.0 - dampening if step > 1 else 1.0
        M = flushed(kept * M + added * G)
        G = G + momentum * M if nesterov else M
    return P - lr * G, M


SGD = formula(
    sgd_update,
    complexes=True,
    equation=r"M \leftarrow \mu M + (1 - \tau) G, \quad P \leftarrow P - \eta M",
    shapes="P, G and M (any, the same) -> P, M",
    source="document, section 4.3; Robbins and Monro 1951; Sutskever and others 2013 (momentum)",
    updates=("P", "M"),
    elementwise=True,
)


def adam_update(
    P: Any,
    G: Any,
    M: Any,
    V: Any,
    Vmax: Any = None,
    *,
    lr: float,
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    decoupled: bool = False,
    maximize: bool = False,
    step: int,
) -> tuple[Any, Any, Any, Any]:
    """Return P, M, V and Vmax after a step of Adam, or with ``decoupled`` of AdamW.

    Args:
        P: the parameter.
        G: its gradient.
        M: the running mean of G.
        V: the running mean of G².
        Vmax: the largest V so far, for AMSGrad; else None.
        lr: the learning rate.
        beta1: how much of M is kept.
        beta2: how much of V is kept.
        eps: added to the root.
        weight_decay: added to the gradient, or taken from P if ``decoupled``.
        decoupled: whether it is AdamW.
        maximize: whether to ascend.
        step: the number of this step, from 1.
    """
    # Above and below the fraction stands the root of 1 - beta2^t: a division less for each entry.
    root = math.sqrt(1.0 - beta2**step)
    size = lr / (1.0 - beta1**step) * root
    if decoupled:
        G = _gradient(P, G, 0.0, maximize)
        P = P * (1.0 - lr * weight_decay)
    else:
        G = _gradient(P, G, weight_decay, maximize)
    M = flushed(M + (1.0 - beta1) * (G - M))
    V = flushed(beta2 * V + (1.0 - beta2) * G * G)
    largest = V
    if Vmax is not None:
        Vmax = maximum(Vmax, V)
        largest = Vmax
    return P - size * M / (sqrt(largest) + eps * root), M, V, Vmax


ADAM = formula(
    adam_update,
    equation=r"M \leftarrow \beta_1 M + (1 - \beta_1) G, \quad V \leftarrow \beta_2 V +"
    r" (1 - \beta_2) G^2, \quad P \leftarrow P - \frac{\eta}{1 - \beta_1^t}"
    r" \frac{M}{\sqrt{V} / \sqrt{1 - \beta_2^t} + \epsilon}",
    shapes="P, G, M, V and Vmax (any, the same) -> P, M, V, Vmax",
    source="Kingma and Ba 2015, arXiv:1412.6980; Reddi, Kale and Kumar 2018 (AMSGrad); "
    "Loshchilov and Hutter 2019, arXiv:1711.05101 (AdamW)",
    updates=("P", "M", "V", "Vmax"),
    elementwise=True,
)


def rmsprop_update(
    P: Any,
    G: Any,
    V: Any,
    M: Any = None,
    Gavg: Any = None,
    *,
    lr: float,
    alpha: float = 0.99,
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    momentum: float = 0.0,
    centered: bool = False,
    maximize: bool = False,
) -> tuple[Any, Any, Any, Any]:
    """Return P, V, M and Gavg after a step of RMSprop.

    Args:
        P: the parameter.
        G: its gradient.
        V: the running mean of G².
        M: the momentum buffer, None without momentum.
        Gavg: the running mean of G, None unless ``centered``.
        lr: the learning rate.
        alpha: how much of V is kept.
        eps: added to the root.
        weight_decay: how much of P is added to G.
        momentum: how much of M is kept.
        centered: whether to divide by the root of the variance, not of the mean square.
        maximize: whether to ascend.
    """
    G = _gradient(P, G, weight_decay, maximize)
    V = flushed(alpha * V + (1.0 - alpha) * G * G)
    mean_square = V
    if centered and Gavg is not None:
        Gavg = flushed(Gavg + (1.0 - alpha) * (G - Gavg))
        mean_square = V - Gavg * Gavg
    if M is not None and momentum:
        M = flushed(momentum * M + G / (sqrt(mean_square) + eps))
        return P - lr * M, V, M, Gavg
    return P - lr * G / (sqrt(mean_square) + eps), V, M, Gavg


RMSPROP = formula(
    rmsprop_update,
    equation=r"V \leftarrow \alpha V + (1 - \alpha) G^2, \quad M \leftarrow \mu M +"
    r" \frac{G}{\sqrt{V} + \epsilon}, \quad P \leftarrow P - \eta M",
    shapes="P, G, V, M and Gavg (any, the same) -> P, V, M, Gavg",
    source="Tieleman and Hinton 2012; Graves 2013, arXiv:1308.0850 (centered)",
    updates=("P", "V", "M", "Gavg"),
    elementwise=True,
)


def adagrad_update(
    P: Any,
    G: Any,
    S: Any,
    *,
    lr: float,
    lr_decay: float = 0.0,
    weight_decay: float = 0.0,
    eps: float = 1e-10,
    maximize: bool = False,
    step: int,
) -> tuple[Any, Any]:
    """Return P and S after a step of Adagrad, where S is the sum of all G² so far."""
    G = _gradient(P, G, weight_decay, maximize)
    S = S + G * G
    rate = lr / (1.0 + (step - 1) * lr_decay)
    return P - rate * G / (sqrt(S) + eps), S


ADAGRAD = formula(
    adagrad_update,
    equation=r"S \leftarrow S + G^2, \quad P \leftarrow P - \frac{\eta}{1 + (t - 1) d}"
    r" \frac{G}{\sqrt{S} + \epsilon}",
    shapes="P, G and S (any, the same) -> P, S",
    source="Duchi, Hazan and Singer 2011",
    updates=("P", "S"),
    elementwise=True,
)


def adadelta_update(
    P: Any,
    G: Any,
    V: Any,
    D: Any,
    *,
    lr: float = 1.0,
    rho: float = 0.9,
    eps: float = 1e-6,
    weight_decay: float = 0.0,
    maximize: bool = False,
) -> tuple[Any, Any, Any]:
    """Return P, V and D after a step of Adadelta: running means of G² and of the steps squared."""
    G = _gradient(P, G, weight_decay, maximize)
    V = flushed(rho * V + (1.0 - rho) * G * G)
    delta = sqrt(D + eps) / sqrt(V + eps) * G
    D = flushed(rho * D + (1.0 - rho) * delta * delta)
    return P - lr * delta, V, D


ADADELTA = formula(
    adadelta_update,
    equation=r"V \leftarrow \rho V + (1 - \rho) G^2, \quad \Delta = \frac{\sqrt{D + \epsilon}}"
    r"{\sqrt{V + \epsilon}} G, \quad D \leftarrow \rho D + (1 - \rho) \Delta^2,"
    r" \quad P \leftarrow P - \eta \Delta",
    shapes="P, G, V and D (any, the same) -> P, V, D",
    source="Zeiler 2012, arXiv:1212.5701",
    updates=("P", "V", "D"),
    elementwise=True,
)


def nadam_momentum(beta1: float, momentum_decay: float, step: int) -> float:
    r"""Return $\mu_t = \beta_1 (1 - \frac{1}{2} 0.96^{t d})$, the momentum of step t of NAdam.

    >>> round(nadam_momentum(0.9, 4e-3, 1), 6)
    0.450073
    """
    mu: float = beta1 * (1.0 - 0.5 * 0.96 ** (step * momentum_decay))
    return mu


def nadam_update(
    P: Any,
    G: Any,
    M: Any,
    V: Any,
    *,
    lr: float = 2e-3,
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    momentum_decay: float = 4e-3,
    mu_product: float,
    step: int,
    decoupled: bool = False,
    maximize: bool = False,
) -> tuple[Any, Any, Any]:
    """Return P, M and V after a step of NAdam.

    Args:
        P: the parameter.
        G: its gradient.
        M: the running mean of G.
        V: the running mean of G².
        lr: the learning rate.
        beta1: how much of M is kept.
        beta2: how much of V is kept.
        eps: added to the root.
        weight_decay: added to the gradient, or taken from P if ``decoupled``.
        momentum_decay: how fast the momentum warms up.
        mu_product: the product of ``nadam_momentum`` over all steps up to and with this one.
        step: the number of this step, from 1.
        decoupled: whether the decay is taken from P.
        maximize: whether to ascend.
    """
    mu = nadam_momentum(beta1, momentum_decay, step)
    mu_next = nadam_momentum(beta1, momentum_decay, step + 1)
    if decoupled:
        G = _gradient(P, G, 0.0, maximize)
        P = P * (1.0 - lr * weight_decay)
    else:
        G = _gradient(P, G, weight_decay, maximize)
    M = flushed(M + (1.0 - beta1) * (G - M))
    V = flushed(beta2 * V + (1.0 - beta2) * G * G)
    rooted = sqrt(V / (1.0 - beta2**step)) + eps
    P = P - lr * (1.0 - mu) / (1.0 - mu_product) * G / rooted
    return P - lr * mu_next / (1.0 - mu_product * mu_next) * M / rooted, M, V


NADAM = formula(
    nadam_update,
    equation=r"\mu_t = \beta_1 (1 - \tfrac{1}{2} 0.96^{t d}), \quad P \leftarrow P - \eta"
    r" \frac{\frac{1 - \mu_t}{1 - \prod_{i \le t} \mu_i} G + \frac{\mu_{t+1}}"
    r"{1 - \prod_{i \le t+1} \mu_i} M}{\sqrt{V / (1 - \beta_2^t)} + \epsilon}",
    shapes="P, G, M and V (any, the same) -> P, M, V",
    source="Dozat 2016",
    updates=("P", "M", "V"),
    elementwise=True,
)
