"""How exactly float32 matrices are multiplied on a GPU."""

from __future__ import annotations

from nnscratch.errors import ConfigurationError

PRECISIONS = ("highest", "high", "medium")
_precision = "highest"


def set_float32_matmul_precision(precision: str) -> None:
    """Set how exactly products of float32 matrices are computed on a GPU.

    Inputs, results, weights and sums stay float32; only the factors are rounded inside a product.

    Args:
        precision: "highest", which is float32; "high", TensorFloat32, with 10 bits behind the
            point; "medium", bfloat16, with 7. A GPU that has none of them multiplies in float32.
            On the CPU, for float64, and for the small products of the tiled kernel it changes
            nothing.

    Raises:
        ConfigurationError: if it is none of the three.

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
    """Return what ``set_float32_matmul_precision`` has set; "highest" unless it has."""
    return _precision
