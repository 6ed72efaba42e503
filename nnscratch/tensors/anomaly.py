"""PyTorch's anomaly mode: a backward pass raises where a NaN comes out of a formula's backward."""

from __future__ import annotations

import threading
from typing import Any

from nnscratch.array import array_namespace
from nnscratch.array.addresses import on_device_of
from nnscratch.errors import GradientError


class _Anomaly(threading.local):
    enabled = False
    check_nan = True


anomaly = _Anomaly()


class set_detect_anomaly:
    """Turn the anomaly mode on or off: for good in this thread, or in a ``with`` block.

    In the mode, a backward pass raises a ``GradientError`` at the first node whose backward returns
    a NaN. Compiled steps run eagerly. ``nnscratch.detect_anomaly`` looks at forwards, updates and
    infinities as well, and names the layer and a likely cause.

    >>> import nnscratch
    >>> x = nnscratch.tensor([-1.0, 4.0], requires_grad=True)
    >>> with set_detect_anomaly(True):
    ...     (x**0.5).sum().backward()
    Traceback (most recent call last):
    nnscratch.errors.GradientError: the backward of power returned nan values in its output 0
    """

    def __init__(self, mode: bool, check_nan: bool = True) -> None:
        self._before = anomaly.enabled, anomaly.check_nan
        anomaly.enabled, anomaly.check_nan = mode, check_nan

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        anomaly.enabled, anomaly.check_nan = self._before


class detect_anomaly:
    """The anomaly mode in a ``with`` block; see ``set_detect_anomaly``."""

    def __init__(self, check_nan: bool = True) -> None:
        self._check_nan = check_nan

    def __enter__(self) -> None:
        self._mode = set_detect_anomaly(True, self._check_nan)

    def __exit__(self, *_: object) -> None:
        self._mode.__exit__()


def refuse_nan(name: str, gradients: tuple[Any, ...]) -> None:
    """Raise in the anomaly mode if a gradient of an input has a NaN.

    Args:
        name: of the formula whose backward computed the gradients.
        gradients: arrays or tensors, None for those that nobody asked for.

    Raises:
        GradientError: naming the formula and the first such input.
    """
    if not anomaly.check_nan:
        return
    for index, gradient in enumerate(gradients):
        array = getattr(gradient, "array", gradient)
        if array is not None:
            with on_device_of(array):
                xp = array_namespace(array)
                if bool(xp.any(xp.isnan(array))):
                    raise GradientError(
                        f"the backward of {name} returned nan values in its output {index}"
                    )
