"""Special functions, with PyTorch's names: ``nnscratch.special.expit`` and its like."""

import math

from nnscratch.absent import refuse_absent_names
from nnscratch.array.dtypes import HALVES, dtype_name
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
    """Return the number whose normal distribution function is x.

    Below e^-2 it is an expansion in 1 / sqrt(-2 log x) with the coefficients of Cephes (Moshier
    1989), for 2 x - 1 rounds to -1 there.
    """
    x = _single(input)
    low = (x > 0) & (x < math.exp(-2.0))
    y = (where(low, x, 0.1).log() * -2.0).sqrt()
    z = 1.0 / y
    near = y < 8.0
    # Each of the two fractions is 1/y, or less, of the result: no digit is lost by its rounding.
    first = _polynomial(z, _NEAR[0]) / _polynomial(z, (1.0, *_NEAR[1]))
    second = _polynomial(z, _FAR[0]) / _polynomial(z, (1.0, *_FAR[1]))
    tail = y.log() * z - y + z * where(near, first, second)
    made = where(low, tail, erfinv(where(low, 0.5, x) * 2.0 - 1.0) * math.sqrt(2.0))
    return made.to(input._as_float().dtype)


# For y below 8, and beyond.
_NEAR = (
    (
        *(4.05544892305962419923, 31.5251094599893866154, 57.1628192246421288162),
        *(44.0805073893200834700, 14.6849561928858024014, 2.18663306850790267539),
        *(-0.140256079171354495875, -3.50424626827848203418e-2, -8.57456785154685413611e-4),
    ),
    (
        *(15.7799883256466749731, 45.3907635128879210584, 41.3172038254672030440),
        *(15.0425385692907503408, 2.50464946208309415979, -0.142182922854787788574),
        *(-3.80806407691578277194e-2, -9.33259480895457427372e-4),
    ),
)
_FAR = (
    (
        *(3.23774891776946035970, 6.91522889068984211695, 3.93881025292474443415),
        *(1.33303460815807542389, 0.201485389549179081538, 1.23716634817820021358e-2),
        *(3.01581553508235416007e-4, 2.65806974686737550832e-6, 6.23974539184983293730e-9),
    ),
    (
        *(6.02427039364742014255, 3.67983563856160859403, 1.37702099489081330271),
        *(0.216236993594496635890, 1.34204006088543189037e-2, 3.28014464682127739104e-4),
        *(2.89247864745380683936e-6, 6.79019408009981274425e-9),
    ),
)


def _polynomial(z: Tensor, coefficients: tuple[float, ...]) -> Tensor:
    """Return the polynomial with these coefficients, that of the highest power first."""
    made = z * 0.0 + coefficients[0]
    for one in coefficients[1:]:
        made = made * z + one
    return made


def _single(input: Tensor) -> Tensor:
    """Return floats, those of 16 bits as float32: what is computed in steps is rounded once."""
    x = input._as_float()
    return x.float() if dtype_name(x.dtype) in HALVES else x


@tensor_function(method=False)
def log_ndtr(input: Tensor) -> Tensor:
    r"""Return $\log \Phi(x)$, of large negative and of large positive numbers too."""
    x = _single(input)
    # The smallest numbers for which Φ(x) is no subnormal number, or 0, lie well below these.
    edge = -20.0 if str(x.dtype) == "float64" else -10.0
    far, above = x < edge, x > -1.0
    # The tail's asymptotic series (Abramowitz and Stegun 26.2.12); beyond the edge it is exact.
    z = where(far, x, edge)
    s = 1.0 / (z * z)
    series = 1.0 - s * (1.0 - s * (3.0 - s * (15.0 - s * (105.0 - s * 945.0))))
    tail = -0.5 * z * z - (-z).log() - 0.5 * math.log(2.0 * math.pi) + series.log()
    # Φ(x) rounds to 1 where 1 - Φ(x) still has all digits.
    beyond = log1p(ndtr(-where(above, x, 0.0)) * -1.0)
    made = where(above, beyond, ndtr(where(far | above, -1.0, x)).log())
    return where(far, tail, made).to(input._as_float().dtype)


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
