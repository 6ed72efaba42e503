"""Mixed precision, in the one form that nnscratch has: switched off.

Scripts that can do without it run: ``autocast(enabled=False)`` and ``GradScaler(enabled=False)``
change nothing, as in PyTorch. Where there is no GPU, those for "cuda" switch themselves off with a
warning, as in PyTorch too.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Self

from nnscratch.absent import refuse_absent_names
from nnscratch.array.device import cuda_problem
from nnscratch.errors import ConfigurationError, warn

__all__ = ["GradScaler", "autocast", "custom_bwd", "custom_fwd", "is_autocast_available"]


def _check_off(what: str, device_type: str, enabled: bool) -> None:
    """Refuse what is switched on, but for a GPU that is not there, of which a warning tells."""
    if not enabled:
        return
    if str(device_type).startswith("cuda") and cuda_problem() is not None:
        warn(f"{what} is for a GPU, and there is none that can be used; it is switched off")
        return
    raise ConfigurationError(
        f"{what}: nnscratch has no mixed precision. Write {what}(enabled=False) and give the whole "
        "model one dtype: model.float(), or model.half() with its inputs in float16"
    )


def is_autocast_available(device_type: str) -> bool:
    """Return False: no device has mixed precision.

    >>> is_autocast_available("cuda")
    False
    """
    return False


class autocast:
    """A context that changes nothing, the disabled form of PyTorch's.

    >>> from nnscratch import nn, ones
    >>> with autocast("cuda", enabled=False):
    ...     nn.Linear(3, 2)(ones(1, 3)).dtype
    dtype('float32')
    """

    def __init__(
        self,
        device_type: str = "cuda",
        dtype: Any = None,
        enabled: bool = True,
        cache_enabled: bool | None = None,
    ) -> None:
        """Make the context, or the decorator; ``dtype`` and ``cache_enabled`` are not looked at.

        Raises:
            ConfigurationError: if it is enabled and there is such a device.
        """
        _check_off("autocast", device_type, enabled)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        """Leave the context."""

    def __call__(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return the function itself."""
        return function


class GradScaler:
    """Scales losses by 1, the disabled form of PyTorch's.

    >>> from nnscratch import nn, ones, optim
    >>> model, scaler = nn.Linear(3, 1), GradScaler(enabled=False)
    >>> optimizer = optim.SGD(model.parameters(), lr=0.1)
    >>> scaler.scale(model(ones(1, 3)).sum()).backward()
    >>> scaler.step(optimizer)
    >>> scaler.update()
    """

    def __init__(
        self,
        device: str = "cuda",
        init_scale: float = 2.0**16,
        growth_factor: float = 2.0,
        backoff_factor: float = 0.5,
        growth_interval: int = 2000,
        enabled: bool = True,
    ) -> None:
        """Make the scaler; what says how it would scale is not looked at.

        Raises:
            ConfigurationError: if it is enabled and there is such a device.
        """
        _check_off("GradScaler", device, enabled)

    def is_enabled(self) -> bool:
        """Return False."""
        return False

    def get_scale(self) -> float:
        """Return 1."""
        return 1.0

    def scale(self, outputs: Any) -> Any:
        """Return the loss, or the losses, as they are."""
        return outputs

    def unscale_(self, optimizer: Any) -> None:
        """Leave the gradients as they are."""

    def step(self, optimizer: Any, *args: Any, **kwargs: Any) -> Any:
        """Take the optimizer's step, and return what that returns."""
        return optimizer.step(*args, **kwargs)

    def update(self, new_scale: Any = None) -> None:
        """Leave the scale at 1."""

    def state_dict(self) -> dict[str, Any]:
        """Return an empty dictionary."""
        return {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take any state: a scaler that is switched off has none."""


def custom_fwd(
    fwd: Callable[..., Any] | None = None, *, device_type: str = "cuda", cast_inputs: Any = None
) -> Any:
    """Return the forward of an ``autograd.Function`` as it is, outside of ``autocast``."""
    if fwd is None:
        return functools.partial(custom_fwd, device_type=device_type, cast_inputs=cast_inputs)
    return fwd


def custom_bwd(bwd: Callable[..., Any] | None = None, *, device_type: str = "cuda") -> Any:
    """Return the backward of an ``autograd.Function`` as it is, outside of ``autocast``."""
    return functools.partial(custom_bwd, device_type=device_type) if bwd is None else bwd


refuse_absent_names(__name__)
