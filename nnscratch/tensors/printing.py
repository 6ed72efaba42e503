"""How many numbers of a tensor are printed, and with how many digits."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from nnscratch.errors import ConfigurationError

_PROFILES: dict[str, dict[str, Any]] = {
    "default": {},
    "short": {"precision": 2, "threshold": 1000, "edgeitems": 2},
    "full": {"threshold": 2**62},
}
_options: dict[str, Any] = {}


def set_printoptions(
    precision: int | None = None,
    threshold: float | None = None,
    edgeitems: int | None = None,
    linewidth: int | None = None,
    profile: str | None = None,
    sci_mode: bool | None = None,
) -> None:
    """Set how tensors are printed; what is not said stays as NumPy prints arrays.

    Args:
        precision: the most digits behind the point.
        threshold: from how many elements on the middle is left out; infinity for never.
        edgeitems: how many elements then stand at each end.
        linewidth: the characters of a line.
        profile: "default", "short" or "full", which others change.
        sci_mode: True for numbers like 1.2e+03, False for none of these.

    Raises:
        ConfigurationError: if there is no such profile.

    >>> from nnscratch import tensor
    >>> set_printoptions(precision=2)
    >>> tensor([1 / 3])
    tensor([0.33])
    >>> set_printoptions(profile="default")
    """
    if profile is not None:
        if profile not in _PROFILES:
            raise ConfigurationError(
                f"profile is one of {', '.join(_PROFILES)}; got {str(profile)[:40]!r}"
            )
        _options.clear()
        _options.update(_PROFILES[profile])
    if threshold is not None:
        _options["threshold"] = 2**62 if math.isinf(threshold) else int(threshold)
    given = {"precision": precision, "edgeitems": edgeitems, "max_line_width": linewidth}
    _options.update({name: int(value) for name, value in given.items() if value is not None})
    if sci_mode is not None:
        _options.pop("formatter", None)
        _options["suppress_small"] = not sci_mode
        if sci_mode:
            _options["formatter"] = {"float_kind": _scientific, "complex_kind": _both_scientific}


def _scientific(number: Any, sign: bool = False) -> str:
    """Return a number with as many digits behind the point as any other one."""
    if not np.isfinite(number):
        return f"{number:+}" if sign else f"{number}"
    digits = _options.get("precision")
    if digits is None:  # as many as all numbers of the dtype have
        digits = min(np.get_printoptions()["precision"], np.finfo(number.dtype).precision)
    return np.format_float_scientific(number, digits, unique=False, trim="k", sign=sign)


def _both_scientific(number: Any) -> str:
    return f"{_scientific(number.real)}{_scientific(number.imag, sign=True)}j"


def text_of(array: Any, prefix: str) -> str:
    """Return the numbers of an array as text.

    Args:
        array: a NumPy array.
        prefix: what stands before the text, by whose length later lines are indented.

    >>> text_of(np.asarray([1.0, 2.0]), "")
    '[1., 2.]'
    """
    if array.dtype.kind == "V":  # bfloat16, which NumPy prints without its options
        array = array.astype(np.float32)
        return np.array2string(array, separator=", ", prefix=prefix, **{"precision": 4, **_options})
    return np.array2string(array, separator=", ", prefix=prefix, **_options)
