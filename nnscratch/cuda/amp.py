"""Mixed precision under the names of ``torch.cuda.amp``: switched off, see ``nnscratch.amp``."""

from __future__ import annotations

from typing import Any

from nnscratch import amp
from nnscratch.absent import refuse_absent_names
from nnscratch.amp import custom_bwd, custom_fwd

__all__ = ["GradScaler", "autocast", "custom_bwd", "custom_fwd"]


class autocast(amp.autocast):
    """``nnscratch.amp.autocast`` for "cuda".

    >>> with autocast(enabled=False):
    ...     pass
    """

    def __init__(
        self, enabled: bool = True, dtype: Any = None, cache_enabled: bool | None = True
    ) -> None:
        """Make the context, or the decorator.

        Raises:
            ConfigurationError: if it is enabled and there is a GPU.
        """
        super().__init__("cuda", dtype, enabled, cache_enabled)


class GradScaler(amp.GradScaler):
    """``nnscratch.amp.GradScaler`` for "cuda".

    >>> GradScaler(enabled=False).get_scale()
    1.0
    """

    def __init__(
        self,
        init_scale: float = 2.0**16,
        growth_factor: float = 2.0,
        backoff_factor: float = 0.5,
        growth_interval: int = 2000,
        enabled: bool = True,
    ) -> None:
        """Make the scaler.

        Raises:
            ConfigurationError: if it is enabled and there is a GPU.
        """
        super().__init__(
            "cuda", init_scale, growth_factor, backoff_factor, growth_interval, enabled
        )


refuse_absent_names(__name__)
