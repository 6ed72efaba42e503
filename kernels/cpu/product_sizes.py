"""Which products the package computes in tiles of its own, and which by BLAS. Needs no Numba."""

from __future__ import annotations

import importlib

from .blas import blas


def _measured() -> bool:
    """Say whether the processor is of a kind on which tiles and BLAS were compared."""
    try:
        numpy = importlib.import_module("numpy._core._multiarray_umath")
        return bool(numpy.__cpu_features__.get("AVX2"))
    except (ImportError, AttributeError):  # a NumPy that keeps it elsewhere
        return False


OWN = 1 << 29 if _measured() else 1 << 18
"""Multiplications up to which a product goes to the package's own tiles.

What BLAS does before it multiplies is repaid by large products only. With AVX2 and with AVX-512
that was measured; on other processors the limit is a cautious one.
"""


def in_tiles(m: int, n: int, k: int) -> bool:
    """Say whether the product of (m, k) and (k, n) is computed in tiles.

    >>> in_tiles(1000, 10, 10)
    True
    """
    return m * n * k <= OWN or blas() is None
