"""bfloat16, which NumPy has not: its dtype is that of ``ml_dtypes``, imported when it is wanted."""

from __future__ import annotations

from typing import Any

import numpy as np

from nnscratch.errors import DTypeError


class _Brain:
    """Where the dtype stands; before anybody has asked for it, an object that is no dtype."""

    dtype: Any = object()
    known = False


brain = _Brain()


def bfloat16() -> np.dtype[Any]:
    """Return the dtype of NumPy arrays of bfloat16; from then on NumPy knows its name.

    Raises:
        DTypeError: if ``ml_dtypes`` is not installed.

    >>> bfloat16().itemsize
    2
    """
    if not brain.known:
        try:
            import ml_dtypes
        except ImportError as error:
            raise DTypeError(
                "bfloat16 needs ml_dtypes, which is not installed: "
                "pip install 'nnscratch[bfloat16]'; float16 and float32 need nothing"
            ) from error
        brain.dtype, brain.known = np.dtype(ml_dtypes.bfloat16), True
    return brain.dtype  # type: ignore[no-any-return]


def limits_of(dtype: Any) -> Any:
    """Return what ``numpy.finfo`` says of a floating dtype, given its name.

    >>> float(limits_of("bfloat16").eps)
    0.0078125
    """
    if dtype != "bfloat16":
        return np.finfo(dtype)
    import ml_dtypes

    return ml_dtypes.finfo(bfloat16())
