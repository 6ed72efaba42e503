"""Dropout and random arrays, from counter-based numbers: the same on every backend."""

from __future__ import annotations

from typing import Any

from nnscratch.array import Device, array_namespace, normal, uniform
from nnscratch.array.device import current, namespace_on
from nnscratch.errors import ConfigurationError
from nnscratch.formulas.checks import NOTHING, NothingSaved
from nnscratch.formulas.formula import formula
from nnscratch.formulas.saved import Saved


class DropoutSaved(Saved):
    """What the backward of ``dropout`` needs: which entries were kept (bool), and p."""

    M: Any
    p: float


def _scale(p: float) -> float:
    return 1.0 / (1.0 - p) if p < 1 else 0.0


def dropout_forward(X: Any, *, p: float, seed: int, offset: int) -> tuple[Any, DropoutSaved]:
    """Compute X / (1 - p) where entry i is kept, else 0; it is kept if uniform number i >= p.

    The uniform numbers are those of float32 whatever the dtype of X, in row-major order, so that
    one seed and offset drop the same entries everywhere.

    Args:
        X: any shape, floating.
        p: the probability of dropping, from 0 to 1.
        seed: the stream of random numbers.
        offset: how many blocks of it are used up.

    Raises:
        DTypeError: if X holds integers.
        ConfigurationError: if p is not from 0 to 1.

    >>> import numpy as np
    >>> dropout_forward(np.ones(4), p=0.5, seed=0, offset=0)[0]
    array([0., 2., 2., ...])
    """
    if not 0.0 <= p <= 1.0:
        raise ConfigurationError(f"dropout: p is a probability from 0 to 1, got {p}")
    xp = array_namespace(X)
    numbers = uniform(
        xp,
        tuple(X.shape),
        seed=seed,
        offset=offset,
        dtype="float32",
        device=X.device,
    )
    M = numbers >= p
    return xp.where(M, X * _scale(p), 0.0), DropoutSaved(M, p)


def dropout_backward(dY: Any, saved: DropoutSaved, needs: tuple[bool, ...]) -> tuple[Any]:
    """Return dX = dY / (1 - p) where the entry was kept, else 0."""
    M, p = saved
    return (array_namespace(dY).where(M, dY * _scale(p), 0.0),)


DROPOUT = formula(
    dropout_forward,
    dropout_backward,
    equation=r"Y = \frac{M \odot X}{1 - p}, \quad M_i = [u_i \ge p]",
    gradients={"X": r"\frac{\partial L}{\partial Y} \odot \frac{M}{1 - p}"},
    shapes="X (any) -> Y (same)",
    floats=("X",),
    source="Srivastava, Hinton, Krizhevsky, Sutskever and Salakhutdinov 2014",
    analytic=True,
    derivation=(
        "The mask M is drawn and depends on no input: it is a constant. Each output is its "
        r"input times the number $\frac{M_i}{1 - p}$.",
        "That number is the slope. The backward needs the same mask, which is why it is "
        "saved, or drawn again from the same counter.",
    ),
)


def random_uniform_forward(
    *,
    shape: tuple[int, ...],
    dtype: str,
    device: Device | str,
    seed: int,
    offset: int,
    low: float = 0.0,
    high: float = 1.0,
) -> tuple[Any, NothingSaved]:
    """Compute numbers uniform in [low, high), the same on every device.

    Raises:
        DTypeError: if the dtype is not floating.
        DeviceError: if this machine has no such device.
    """
    xp = namespace_on(device)
    with current(device):
        U = uniform(xp, tuple(shape), seed=seed, offset=offset, dtype=dtype)
        if (low, high) != (0.0, 1.0):
            U = U * (high - low) + low
    return U, NOTHING


RANDOM_UNIFORM = formula(
    random_uniform_forward,
    equation=r"Y_i = a + (b - a) u_i",
    shapes="-> Y (any)",
    source="Salmon, Moraes, Dror and Shaw 2011 (Philox)",
)


def random_normal_forward(
    *,
    shape: tuple[int, ...],
    dtype: str,
    device: Device | str,
    seed: int,
    offset: int,
    mean: float = 0.0,
    std: float = 1.0,
) -> tuple[Any, NothingSaved]:
    """Compute normal numbers of that mean and standard deviation, the same on every device.

    Raises:
        DTypeError: if the dtype is not floating.
        DeviceError: if this machine has no such device.
    """
    xp = namespace_on(device)
    with current(device):
        Z = normal(xp, tuple(shape), seed=seed, offset=offset, dtype=dtype)
        if (mean, std) != (0.0, 1.0):
            Z = Z * std + mean
    return Z, NOTHING


RANDOM_NORMAL = formula(
    random_normal_forward,
    equation=r"Y_i = \mu + \sigma z_i",
    shapes="-> Y (any)",
    source="Box and Muller 1958",
)
