"""NumPy's own BLAS, found at run time: a GEMM that compiled code can call by its address.

NumPy's wheels carry OpenBLAS, already loaded by the time anybody asks; other builds carry other
libraries under other names. ``blas()`` looks them up once. ``None`` means that the products of a
plan run through the kernel ``gemm_plain`` (or through ``np.dot`` in eager code) instead.
"""

from __future__ import annotations

import ctypes
import functools
import glob
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

# (sgemm, dgemm, bits of an integer), in the order of preference
_NAMES = (
    ("scipy_cblas_sgemm64_", "scipy_cblas_dgemm64_", 64),
    ("cblas_sgemm64_", "cblas_dgemm64_", 64),
    ("scipy_cblas_sgemm", "scipy_cblas_dgemm", 32),
    ("cblas_sgemm", "cblas_dgemm", 32),
)
_SET_THREADS = (
    "scipy_openblas_set_num_threads64_",
    "openblas_set_num_threads64_",
    "scipy_openblas_set_num_threads",
    "openblas_set_num_threads",
)
_CONFIG = (
    "scipy_openblas_get_config64_",
    "openblas_get_config64_",
    "scipy_openblas_get_config",
    "openblas_get_config",
)


@dataclass(frozen=True)
class Blas:
    """Addresses of the functions of one BLAS library (0 where it has none)."""

    path: str
    config: str
    sgemm: int
    dgemm: int
    bits: int
    set_threads: int
    get_threads: int

    def gemm(self, dtype: str) -> int:
        """Return the address of ``?gemm`` for a dtype by its name."""
        return self.sgemm if dtype == "float32" else self.dgemm

    def threads(self) -> int:
        """Return how many threads the library would use now, 1 where it cannot tell."""
        if not self.get_threads:
            return 1
        return int(self._get())

    def limit_threads(self, count: int) -> None:
        """Let the library use that many threads from now on, where it has such a switch."""
        if self.set_threads:
            self._set(count)

    @functools.cached_property
    def _get(self) -> Any:
        return ctypes.PYFUNCTYPE(ctypes.c_int)(self.get_threads)

    @functools.cached_property
    def _set(self) -> Any:
        return ctypes.CFUNCTYPE(None, ctypes.c_int)(self.set_threads)


def _candidates() -> Iterator[str]:
    import numpy

    root = os.path.dirname(numpy.__file__)
    beside = os.path.join(os.path.dirname(root), "numpy.libs")
    patterns = (
        os.path.join(beside, "*openblas*"),
        os.path.join(root, ".dylibs", "*openblas*"),
        os.path.join(root, ".libs", "*openblas*"),
    )
    for pattern in patterns:
        yield from sorted(glob.glob(pattern))
    # A NumPy that links a BLAS of the system: its extension module reaches the symbols.
    for pattern in ("_core/_multiarray_umath*", "core/_multiarray_umath*"):
        yield from sorted(glob.glob(os.path.join(root, pattern)))


def _address(library: ctypes.CDLL, name: str) -> int:
    try:
        function = getattr(library, name)
    except AttributeError:
        return 0
    return ctypes.cast(function, ctypes.c_void_p).value or 0


def _first(library: ctypes.CDLL, names: tuple[str, ...]) -> int:
    return next((found for name in names if (found := _address(library, name))), 0)


@functools.cache
def blas() -> Blas | None:
    """Return NumPy's BLAS, or None when its functions cannot be found by name."""
    for path in _candidates():
        try:
            library = ctypes.CDLL(path)
        except OSError:
            continue
        for single, double, bits in _NAMES:
            sgemm, dgemm = _address(library, single), _address(library, double)
            if not (sgemm and dgemm):
                continue
            config = _first(library, _CONFIG)
            text = ctypes.CFUNCTYPE(ctypes.c_char_p)(config)() if config else b""
            get_names = tuple(name.replace("_set_", "_get_") for name in _SET_THREADS)
            return Blas(
                path,
                (text or b"").decode(errors="replace"),
                sgemm,
                dgemm,
                bits,
                _first(library, _SET_THREADS),
                _first(library, get_names),
            )
    return None


@contextmanager
def blas_threads(count: int) -> Iterator[None]:
    """Let NumPy's BLAS use so many threads in the block, where it has a switch for that."""
    library = blas()
    before = None if library is None else library.threads()
    if library is None or before == count:
        yield
        return
    library.limit_threads(count)
    try:
        yield
    finally:
        library.limit_threads(before or 1)
