"""The precision of float32 matrix products on a GPU."""

from __future__ import annotations

from nnscratch.errors import ConfigurationError

PRECISIONS = ("highest", "high", "medium")
_precision = "highest"


def set_float32_matmul_precision(precision: str) -> None:
    """Set the precision of float32 matrix products on a GPU.

    Inputs, results and sums stay float32; only the factors are rounded inside a product.

    Args:
        precision: "highest" for float32; "high" for TensorFloat32, with 10 bits of mantissa;
            "medium" for bfloat16, with 7. A GPU without the latter two multiplies in float32.
            It has no effect on the CPU, on float64, or on the small products that nnscratch's
            tiled kernel computes.

    Raises:
        ConfigurationError: if ``precision`` is none of the three.

    >>> set_float32_matmul_precision("high")
    >>> get_float32_matmul_precision()
    'high'
    >>> set_float32_matmul_precision("highest")
    """
    global _precision
    if precision not in PRECISIONS:
        raise ConfigurationError(
            f"precision must be one of {', '.join(map(repr, PRECISIONS))}, got {precision!r}"
        )
    _precision = precision


def get_float32_matmul_precision() -> str:
    """Return the precision set by ``set_float32_matmul_precision``; "highest" at first."""
    return _precision
