"""Momenta that change from step to step."""

from __future__ import annotations


def nadam_momentum(beta1: float, momentum_decay: float, step: int) -> float:
    r"""Return $\mu_t = \beta_1 (1 - \frac{1}{2} 0.96^{t d})$, the momentum of step t of NAdam.

    >>> round(nadam_momentum(0.9, 4e-3, 1), 6)
    0.450073
    """
    mu: float = beta1 * (1.0 - 0.5 * 0.96 ** (step * momentum_decay))
    return mu
