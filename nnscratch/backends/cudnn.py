"""The settings of cuDNN, which nnscratch does not use: its convolutions are kernels of its own.

Every setting may be assigned. ``benchmark`` would choose among algorithms; ``deterministic`` would
leave out those whose results depend on the order of threads, as those of no kernel here do.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from nnscratch.absent import refuse_absent_names

enabled = True
benchmark = False
benchmark_limit: int | None = 10
deterministic = True
allow_tf32 = True


def is_available() -> bool:
    """Return False: there is no cuDNN in nnscratch.

    >>> is_available(), version()
    (False, None)
    """
    return False


def version() -> int | None:
    """Return None, as PyTorch does without cuDNN."""
    return None


@contextmanager
def flags(
    enabled: bool = False,
    benchmark: bool = False,
    benchmark_limit: int = 10,
    deterministic: bool = False,
    allow_tf32: bool = True,
    fp32_precision: str = "none",
) -> Iterator[None]:
    """Return a context in which the settings of this module have these values.

    >>> import nnscratch
    >>> with flags(enabled=False):
    ...     nnscratch.backends.cudnn.enabled
    False
    """
    given = {name: value for name, value in locals().items() if name != "fp32_precision"}
    before = {name: globals()[name] for name in given}
    globals().update(given)
    try:
        yield
    finally:
        globals().update(before)


refuse_absent_names(__name__)
