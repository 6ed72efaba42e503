"""Batch normalisation by running statistics, and the update of these after a batch."""

from __future__ import annotations

from typing import Any

from nnscratch.array import array_namespace
from nnscratch.errors import ConfigurationError
from nnscratch.formulas.formula import formula
from nnscratch.formulas.normalization import affine_backward, beside, need_sizes
from nnscratch.formulas.saved import Saved


class BatchNormInferenceSaved(Saved):
    """What the backward of ``batch_norm_inference`` needs."""

    X: Any
    M: Any
    V: Any
    W: Any
    eps: float


def batch_norm_inference_forward(
    X: Any, M: Any, V: Any, W: Any = None, b: Any = None, *, eps: float
) -> tuple[Any, BatchNormInferenceSaved]:
    r"""Compute $Y = W \frac{X - M}{\sqrt{V + \epsilon}} + b$ with a given mean and variance.

    Args:
        X: (N, C, ...).
        M: the mean of each channel, (C,); a constant, as is V.
        V: the variance of each channel, (C,).
        W: the scale, (C,); None for 1.
        b: the shift, (C,); None for 0.
        eps: what is added to V.

    Raises:
        ShapeError: if X has no channels, or the others do not have their number.
        DTypeError: if they are not floating-point numbers of one dtype.
    """
    need_sizes("batch_norm_inference", X, 1, M=M, V=V, W=W, b=b)
    xp = array_namespace(X)
    scale = 1.0 / xp.sqrt(V + eps)
    if W is not None:
        scale = scale * W
    Y = (X - beside(xp, M, X, 1)) * beside(xp, scale, X, 1)
    return Y if b is None else Y + beside(xp, b, X, 1), BatchNormInferenceSaved(X, M, V, W, eps)


def batch_norm_inference_backward(
    dY: Any, saved: BatchNormInferenceSaved, needs: tuple[bool, ...]
) -> tuple[Any, ...]:
    """Return dX = dY W R, dW = Σ dY (X - M) R and db = Σ dY, with R = (V + ε)^(-1/2)."""
    X, M, V, W, eps = saved
    xp = array_namespace(dY)
    R = 1.0 / xp.sqrt(V + eps)
    dX = dW = db = None
    if needs[0]:
        dX = dY * beside(xp, R if W is None else R * W, X, 1)
    if needs[3] or needs[4]:
        N = (X - beside(xp, M, X, 1)) * beside(xp, R, X, 1) if needs[3] else None
        dW, db = affine_backward(xp, dY, N, (1,), needs[3:])
    return dX, None, None, dW, db


BATCH_NORM_INFERENCE = formula(
    batch_norm_inference_forward,
    batch_norm_inference_backward,
    equation=r"Y = W \frac{X - M}{\sqrt{V + \epsilon}} + b",
    gradients={
        "X": r"\frac{W}{\sqrt{V + \epsilon}} \frac{\partial L}{\partial Y}",
        "W": r"\sum \frac{\partial L}{\partial Y} \frac{X - M}{\sqrt{V + \epsilon}}",
        "b": r"\sum \frac{\partial L}{\partial Y}",
    },
    shapes="X (N, C, ...), M, V, W and b (C,) -> Y (N, C, ...)",
    floats=("X", "M", "V", "W", "b"),
    source="Ioffe and Szegedy 2015, arXiv:1502.03167",
    analytic=True,
    derivation=(
        r"Here M and V are given, and do not depend on X. With $R = (V + \epsilon)^{-1/2}$, every "
        "entry, of the sample n, the channel c and the place i, lies on a straight line: "
        "$$Y_{nci} = W_c (X_{nci} - M_c) R_c + b_c$$",
        r"Its slopes are what stands beside each factor: $$\frac{\partial Y_{nci}}{\partial "
        r"X_{nci}} = W_c R_c \\ \frac{\partial Y_{nci}}{\partial W_c} = (X_{nci} - M_c) R_c \\ "
        r"\frac{\partial Y_{nci}}{\partial b_c} = 1$$",
        "X acts on the Y in its own place alone, so the chain rule multiplies entry by entry. "
        "$W_c$ and $b_c$ act on all of their channel: it adds up over n and i.",
        "In training M and V are made of X, and what comes back through them makes the gradient "
        "of standardize longer. Here they are constants, which get no gradient: no step of "
        "training moves them.",
    ),
)


def running_statistics_update(
    mean: Any,
    var: Any,
    count: Any,
    M: Any,
    V: Any,
    *,
    momentum: float | None,
    correction: float = 1.0,
) -> tuple[Any, Any, Any]:
    r"""Return the running mean and variance after one batch more, $r \leftarrow (1 - m) r + m s$.

    Args:
        mean: the running mean, (C,).
        var: the running variance, (C,).
        count: how many batches there were, an int64 array without axes; None if nobody counts.
        M: the mean of the batch, (C,), or that of each picture in it, (N, C).
        V: its variance (biased), of the shape of M.
        momentum: m; None for 1 / (count + 1), by which the running values are plain averages.
        correction: what V is multiplied by, n / (n - 1) for an unbiased variance.

    Raises:
        ConfigurationError: if there is neither a momentum nor a count.

    >>> import numpy as np
    >>> old, new = np.zeros(1), np.ones(1)
    >>> running_statistics_update(old, old, None, new, new, momentum=0.1, correction=2.0)
    (array([0.1]), array([0.2]), None)
    """
    xp = array_namespace(mean)
    if M.ndim > 1:
        M, V = xp.mean(M, axis=0), xp.mean(V, axis=0)
    if count is not None:
        count = count + 1
    m: Any = momentum
    if m is None:
        if count is None:
            raise ConfigurationError("running_statistics: expected a momentum or a count, got none")
        m = 1.0 / xp.astype(count, mean.dtype)
    return (1.0 - m) * mean + m * M, (1.0 - m) * var + m * (V * correction), count


RUNNING_STATISTICS = formula(
    running_statistics_update,
    equation=r"\mu \leftarrow (1 - m) \mu + m M, \quad \sigma^2 \leftarrow (1 - m) \sigma^2 + m"
    r" \frac{n}{n - 1} V, \quad t \leftarrow t + 1",
    shapes="mean and var (C,), count (), M and V (C,) or (N, C) -> mean, var, count",
    source="Ioffe and Szegedy 2015, arXiv:1502.03167",
    updates=("mean", "var", "count"),
    derivation=(
        "Let s be what a batch has: M, or V with its factor. Written out, with all that went in, "
        r"a running value is $$r_t = (1 - m)^t r_0 + m \sum_{i \le t} (1 - m)^{t - i} s_i$$",
        "The weights of the s add up to $1 - (1 - m)^t$, and with that of the start to 1: it is a "
        r"mean, in which the last $\frac{1}{m}$ or so count, and the start is forgotten.",
        r"Without a momentum m is $1 / t$, which makes it the plain mean of all batches: $$t \, "
        r"r_t = (t - 1) r_{t-1} + s_t \\ r_t = \left(1 - \frac{1}{t}\right) r_{t-1} + \frac{1}{t} "
        "s_t$$",
        "V is of differences from the mean M of the batch, which lies nearer to its entries than "
        r"the true mean $\mu$. With $X - \mu = (X - M) + (M - \mu)$ the products in the squares "
        r"add up to 0, and what is left is $$\sum_i (X_i - \mu)^2 = \sum_i (X_i - M)^2 + n (M - "
        r"\mu)^2$$",
        r"On average the left side is $n \sigma^2$, and the last term is n times the variance of "
        r"a mean of n independent entries, which is $\sigma^2 / n$. So $n V$ is $(n - 1) "
        r"\sigma^2$ on average, and $\frac{n}{n - 1} V$ is $\sigma^2$.",
    ),
)
