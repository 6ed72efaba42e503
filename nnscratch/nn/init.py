r"""How parameters start, by PyTorch's names; each function fills a tensor and returns it.

The fan-in of a weight (out, in, ...) is in times the size of the rest, the fan-out is out times it.
Numbers come from the default generator unless another is given.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any, TypeVar, cast

import numpy as np

from nnscratch import formulas as f
from nnscratch.absent import refuse_absent_names
from nnscratch.array import Generator
from nnscratch.errors import ConfigurationError, ShapeError, warn
from nnscratch.formulas import Formula
from nnscratch.tensors import Tensor
from nnscratch.tensors.creation import empty, random_tensor
from nnscratch.tensors.creation import eye as identity
from nnscratch.tensors.grad_mode import no_grad

# PyTorch's table, with its names: six of them stand for no formula of one's own, and two of the
# numbers are rules of thumb.
_GAINS = {
    "linear": 1.0,
    "conv1d": 1.0,
    "conv2d": 1.0,
    "conv3d": 1.0,
    "conv_transpose1d": 1.0,
    "conv_transpose2d": 1.0,
    "conv_transpose3d": 1.0,
    "sigmoid": 1.0,
    "tanh": 5.0 / 3.0,
    "relu": math.sqrt(2.0),
    "selu": 0.75,
}


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    r"""Return the factor that keeps the variance through an activation.

    For "leaky_relu" it is $\sqrt{2 / (1 + a^2)}$ with the slope a = ``param``, 0.01 by default.

    Raises:
        ConfigurationError: for an activation that has none.

    >>> calculate_gain("tanh")
    1.6666666666666667
    """
    if nonlinearity == "leaky_relu":
        return math.sqrt(2.0 / (1.0 + (0.01 if param is None else param) ** 2))
    if nonlinearity not in _GAINS:
        known = ", ".join([*_GAINS, "leaky_relu"])
        raise ConfigurationError(f"a gain is known for {known}; got {nonlinearity!r}")
    return _GAINS[nonlinearity]


def _fans(tensor: Tensor) -> dict[str, int]:
    if tensor.ndim < 2:
        raise ShapeError(f"a fan needs a weight of at least 2 dimensions, got {tensor.shape}")
    out_features, in_features, *rest = tensor.shape
    field = math.prod(rest)
    return {"fan_in": in_features * field, "fan_out": out_features * field}


def _fan(tensor: Tensor, mode: str) -> int:
    fans = _fans(tensor)
    if mode not in fans:
        raise ConfigurationError(f"mode is 'fan_in' or 'fan_out', got {mode!r}")
    return fans[mode]


def _is_empty(tensor: Tensor) -> bool:
    """Say whether a weight has no elements, and so perhaps a fan of 0; warn then, as PyTorch."""
    if 0 not in tensor.shape:
        return False
    warn("Initializing zero-element tensors is a no-op")
    return True


def _fill(
    tensor: Tensor, formula: Formula, kind: str, generator: Generator | None, **options: float
) -> Tensor:
    made: dict[str, Any] = {"dtype": tensor.dtype, "device": tensor.device, "generator": generator}
    with no_grad():
        tensor.copy_(random_tensor(formula, kind, tensor.shape, made | options))
    return tensor


def uniform_(
    tensor: Tensor, a: float = 0.0, b: float = 1.0, generator: Generator | None = None
) -> Tensor:
    """Fill with numbers uniform from a to b."""
    return _fill(tensor, f.RANDOM_UNIFORM, "uniform", generator, low=a, high=b)


def normal_(
    tensor: Tensor, mean: float = 0.0, std: float = 1.0, generator: Generator | None = None
) -> Tensor:
    """Fill with normal numbers."""
    return _fill(tensor, f.RANDOM_NORMAL, "normal", generator, mean=mean, std=std)


def constant_(tensor: Tensor, val: float) -> Tensor:
    """Fill with one value."""
    with no_grad():
        return tensor.fill_(val)


def zeros_(tensor: Tensor) -> Tensor:
    """Fill with zeros."""
    return constant_(tensor, 0.0)


def ones_(tensor: Tensor) -> Tensor:
    """Fill with ones."""
    return constant_(tensor, 1.0)


def xavier_uniform_(
    tensor: Tensor, gain: float = 1.0, generator: Generator | None = None
) -> Tensor:
    r"""Fill uniformly in $\pm g \sqrt{6 / (\mathrm{fan_{in}} + \mathrm{fan_{out}})}$.

    Glorot and Bengio 2010.
    """
    bound = gain * math.sqrt(6.0 / sum(_fans(tensor).values()))
    return uniform_(tensor, -bound, bound, generator)


def xavier_normal_(tensor: Tensor, gain: float = 1.0, generator: Generator | None = None) -> Tensor:
    r"""Fill with normal numbers of deviation $g \sqrt{2 / (\mathrm{fan_{in}} +
    \mathrm{fan_{out}})}$.
    """
    return normal_(tensor, 0.0, gain * math.sqrt(2.0 / sum(_fans(tensor).values())), generator)


def kaiming_uniform_(
    tensor: Tensor,
    a: float = 0.0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Generator | None = None,
) -> Tensor:
    r"""Fill uniformly in $\pm g \sqrt{3 / \mathrm{fan}}$, with the gain g of the activation.

    He, Zhang, Ren and Sun 2015. ``a`` is the slope of a leaky ReLU.
    """
    if _is_empty(tensor):
        return tensor
    bound = calculate_gain(nonlinearity, a) * math.sqrt(3.0 / _fan(tensor, mode))
    return uniform_(tensor, -bound, bound, generator)


def kaiming_normal_(
    tensor: Tensor,
    a: float = 0.0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Generator | None = None,
) -> Tensor:
    r"""Fill with normal numbers of deviation $g / \sqrt{\mathrm{fan}}$."""
    if _is_empty(tensor):
        return tensor
    std = calculate_gain(nonlinearity, a) / math.sqrt(_fan(tensor, mode))
    return normal_(tensor, 0.0, std, generator)


def eye_(tensor: Tensor) -> Tensor:
    """Fill a matrix with ones on its diagonal and zeros elsewhere.

    Raises:
        ShapeError: if it has another number of dimensions.
    """
    if tensor.ndim != 2:
        raise ShapeError(f"eye_: expected a tensor of 2 dimensions, got {tensor.shape}")
    with no_grad():
        rows, columns = tensor.shape
        return tensor.copy_(identity(rows, columns, dtype=tensor.dtype, device=tensor.device))


def dirac_(tensor: Tensor, groups: int = 1) -> Tensor:
    """Fill the weight of a convolution so that it passes channels on as they are.

    Args:
        tensor: (O, I, ...) of 3 to 5 dimensions.
        groups: the groups of the convolution; each passes on its own first channels.

    Raises:
        ShapeError: for another number of dimensions, or if the groups do not divide O.
    """
    if tensor.ndim not in (3, 4, 5):
        raise ShapeError(f"dirac_: expected a tensor of 3 to 5 dimensions, got {tensor.shape}")
    outputs, inputs, *size = tensor.shape
    if outputs % groups:
        raise ShapeError(f"dirac_: {groups} groups do not divide {outputs} output channels")
    each = outputs // groups
    made = np.zeros(tensor.shape)
    middle = tuple(n // 2 for n in size)
    for group in range(groups):
        for channel in range(min(each, inputs)):
            made[(group * each + channel, channel, *middle)] = 1.0
    return _copied(tensor, made)


def orthogonal_(tensor: Tensor, gain: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Fill with an orthogonal matrix, of rows or of columns, whichever are fewer.

    It is the Q of a normal matrix, made uniform among all (Saxe, McClelland and Ganguli 2014).

    Args:
        tensor: of at least 2 dimensions; those behind the first count as one.
        gain: what the matrix is multiplied by.
        generator: of the random numbers, the default one unless another is given.

    Raises:
        ShapeError: if there are fewer dimensions.
    """
    if tensor.ndim < 2:
        raise ShapeError(f"orthogonal_: expected at least 2 dimensions, got {tensor.shape}")
    if not tensor.numel():
        return tensor
    rows = tensor.shape[0]
    columns = tensor.numel() // rows
    drawn = normal_(empty(rows, columns, dtype="float64"), generator=generator).numpy()
    q, r = np.linalg.qr(drawn.T if rows < columns else drawn)
    q = q * np.sign(np.diag(r))
    return _copied(tensor, gain * (q.T if rows < columns else q).reshape(tensor.shape))


def sparse_(
    tensor: Tensor, sparsity: float, std: float = 0.01, generator: Generator | None = None
) -> Tensor:
    """Fill with normal numbers of which a share in each column is 0.

    Raises:
        ShapeError: if it is no matrix.
    """
    if tensor.ndim != 2:
        raise ShapeError(f"sparse_: expected a tensor of 2 dimensions, got {tensor.shape}")
    rows, columns = tensor.shape
    normal_(tensor, 0.0, std, generator)
    order = uniform_(empty(rows, columns, dtype="float64"), generator=generator).numpy()
    kept = np.argsort(np.argsort(order, axis=0), axis=0) >= math.ceil(sparsity * rows)
    return _copied(tensor, np.where(kept, tensor.detach().cpu().numpy(), 0.0))


def trunc_normal_(
    tensor: Tensor,
    mean: float = 0.0,
    std: float = 1.0,
    a: float = -2.0,
    b: float = 2.0,
    generator: Generator | None = None,
) -> Tensor:
    """Fill with normal numbers, drawn again where they are not between a and b.

    Args:
        tensor: of floating-point numbers.
        mean: of the normal numbers before.
        std: their deviation.
        a: the least number.
        b: the largest number.
        generator: of the random numbers, the default one unless another is given.

    Raises:
        ConfigurationError: if b is not above a.
    """
    if not a < b:
        raise ConfigurationError(f"trunc_normal_: expected a below b, got {a} and {b}")
    shares = [0.5 * (1.0 + math.erf((edge - mean) / (std * math.sqrt(2.0)))) for edge in (a, b)]
    if shares[1] - shares[0] < 1e-12:
        raise ConfigurationError(
            f"trunc_normal_: between {a} and {b} there is next to nothing of a normal distribution "
            f"around {mean} with deviation {std}"
        )
    drawn = empty(*tensor.shape, dtype="float64")
    normal_(drawn, mean, std, generator)
    values = np.array(drawn.numpy())
    flat = values.reshape(-1)
    outside = np.flatnonzero((flat < a) | (flat > b))
    while outside.size:
        # As many again as will do with some to spare, the first of them that fit.
        count = int(outside.size / (shares[1] - shares[0]) * 1.2) + 16
        count = min(count, 1 << 24)
        more = normal_(empty(count, dtype="float64"), mean, std, generator).numpy()
        fitting = more[(more >= a) & (more <= b)][: outside.size]
        flat[outside[: fitting.size]] = fitting
        outside = outside[fitting.size :]
    return _copied(tensor, values)


def _copied(tensor: Tensor, values: Any) -> Tensor:
    """Return a tensor after its values were set to those of an array."""
    with no_grad():
        made = Tensor(np.ascontiguousarray(values)).to(tensor.dtype).to(tensor.device)
        return tensor.copy_(made)


F = TypeVar("F", bound=Callable[..., Tensor])


def _of_old(function: F) -> F:
    """Return a function under PyTorch's name of old, without the underscore; it warns."""
    name = function.__name__.removesuffix("_")

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Tensor:
        warn(f"nn.init.{name} is PyTorch's word of old; write nn.init.{name}_", FutureWarning)
        return function(*args, **kwargs)

    call.__name__ = call.__qualname__ = name
    call.__doc__ = f"Call ``{name}_``: PyTorch's word of old, taken with a warning."
    return cast(F, call)


uniform, normal, constant = _of_old(uniform_), _of_old(normal_), _of_old(constant_)
eye, dirac = _of_old(eye_), _of_old(dirac_)
orthogonal, sparse = _of_old(orthogonal_), _of_old(sparse_)
xavier_uniform, xavier_normal = _of_old(xavier_uniform_), _of_old(xavier_normal_)
kaiming_uniform, kaiming_normal = _of_old(kaiming_uniform_), _of_old(kaiming_normal_)

refuse_absent_names(__name__)
