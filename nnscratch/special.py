"""Special functions, with PyTorch's names: ``nnscratch.special.expit`` and its like."""

import math

from nnscratch.absent import refuse_absent_names
from nnscratch.tensors.functions import log_softmax, logsumexp, softmax, where
from nnscratch.tensors.functions import sigmoid as expit
from nnscratch.tensors.ops.calling import tensor_function
from nnscratch.tensors.ops.elementwise import (
    erf,
    erfc,
    erfinv,
    exp2,
    expm1,
    log1p,
    logit,
    round,
    sinc,
    xlogy,
)
from nnscratch.tensors.tensor import Tensor, as_tensor

__all__ = [
    "entr",
    "erf",
    "erfc",
    "erfinv",
    "exp2",
    "expit",
    "expm1",
    "log1p",
    "log_ndtr",
    "log_softmax",
    "logit",
    "logsumexp",
    "ndtr",
    "ndtri",
    "round",
    "sinc",
    "softmax",
    "xlog1py",
    "xlogy",
]


@tensor_function(method=False)
def ndtr(input: Tensor) -> Tensor:
    r"""Return the standard normal distribution function $\Phi(x)$.

    >>> ndtr(as_tensor([0.0]))
    tensor([0.5])
    """
    return erfc(input._as_float() * -math.sqrt(0.5)) * 0.5


@tensor_function(method=False)
def ndtri(input: Tensor) -> Tensor:
    """Return the number whose normal distribution function is x."""
    return erfinv(input._as_float() * 2.0 - 1.0) * math.sqrt(2.0)


@tensor_function(method=False)
def log_ndtr(input: Tensor) -> Tensor:
    r"""Return $\log \Phi(x)$, of large negative numbers too."""
    x = input._as_float()
    far = x < -20.0
    # The tail's asymptotic series (Abramowitz and Stegun 26.2.12); beyond -20 it is exact.
    z = where(far, x, -20.0)
    s = 1.0 / (z * z)
    series = 1.0 - s * (1.0 - s * (3.0 - s * (15.0 - s * (105.0 - s * 945.0))))
    tail = -0.5 * z * z - (-z).log() - 0.5 * math.log(2.0 * math.pi) + series.log()
    return where(far, tail, ndtr(where(far, 0.0, x)).log())


@tensor_function(method=False)
def entr(input: Tensor) -> Tensor:
    """Return -x log x: 0 at 0 and -infinity below it."""
    x = input._as_float()
    inside = x > 0
    made = where(inside, -x * where(inside, x, 1.0).log(), 0.0)
    made = where(x < 0, -math.inf, made)
    return where(x != x, x, made)


@tensor_function(method=False)
def xlog1py(input: Tensor, other: Tensor) -> Tensor:
    """Return x log(1 + y), 0 where x is 0 and y no NaN."""
    x, y = as_tensor(input)._as_float(), as_tensor(other)._as_float()
    made = x * log1p(where(x == 0, y * 0.0, y))
    return where(y != y, y, made)


refuse_absent_names(__name__)
