"""Which products go to the package's own tiles and which to BLAS, as this machine measures it.

What BLAS does before it multiplies is repaid by large products only, and by how much depends on the
processor, on the library and on which of its kernels it takes. So the first product of some size
measures both, once, and what was found is kept in a small file beside the compiled kernels. Small
products go to tiles unasked.

The choice depends on nothing but the sizes and the dtype, and both kernels give the same bits for
any number of threads: a run repeats. ``NNSCRATCH_PRODUCTS`` = ``tiles`` or ``blas`` decides for all
sizes, for whoever wants the same bits on machines that would choose differently.
Needs no Numba until something is measured.
"""

from __future__ import annotations

import contextlib
import functools
import json
import math
import os
import tempfile
import time
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nnscratch.errors import ConfigurationError

from .blas import blas, blas_threads
from .cache import folder
from .kernel import Kernel
from .processor import description

VARIABLE = "NNSCRATCH_PRODUCTS"
RUNGS = (24, 27, 30)
"""Binary logarithms of the multiplications that are measured: cubes of 256, 512 and 1024."""
UNASKED = 22.5
"""Up to here, a product takes its tiles less time than BLAS takes to prepare."""
ADVANTAGE = 1.5
"""How many times as fast as the tiles BLAS has to be with the cubes that are measured.

They flatter it. On an AMD EPYC (Zen 3) it is 1.2 times as fast with a cube of 256, and a step of
784-512-512-10 with 128 rows takes 5.4 ms by BLAS, 5.1 by tiles, on two threads 2.8 and 2.7.
"""
REPEATS = 3


@dataclass(frozen=True)
class Measured:
    """What was measured for one size, in seconds on one thread.

    Args:
        tiles: the shortest time of the package's own tiles.
        blas: the shortest time of the library.
    """

    tiles: float
    blas: float

    @property
    def in_tiles(self) -> bool:
        """Whether such products go to tiles."""
        return self.tiles <= ADVANTAGE * self.blas


def rung(m: int, n: int, k: int) -> int | None:
    """Return the measured size that stands for the product of (m, k) and (k, n); None for none.

    >>> rung(1000, 10, 10), rung(128, 784, 512), rung(4096, 4096, 4096)
    (None, 27, 30)
    """
    size = math.log2(max(1, m * n * k))
    return None if size < UNASKED else min(RUNGS, key=lambda one: abs(one - size))


def in_tiles(dtype: str, m: int, n: int, k: int) -> bool:
    """Say whether the product of (m, k) and (k, n) is computed in tiles.

    Raises:
        ConfigurationError: if ``NNSCRATCH_PRODUCTS`` is none of auto, tiles, blas.

    >>> in_tiles("float32", 1000, 10, 10)
    True
    """
    if told() != "auto" or blas() is None:
        return told() != "blas" or blas() is None
    size = rung(m, n, k)
    return size is None or chosen(dtype, size).in_tiles


@functools.cache
def told() -> str:
    """Return what ``NNSCRATCH_PRODUCTS`` says: auto, tiles or blas.

    Raises:
        ConfigurationError: if it says anything else.
    """
    text = os.environ.get(VARIABLE, "").strip() or "auto"
    if text not in ("auto", "tiles", "blas"):
        raise ConfigurationError(f"{VARIABLE} must be auto, tiles or blas, got {text!r}")
    return text


@functools.cache
def chosen(dtype: str, size: int) -> Measured:
    """Return what was measured for a size, now or by an earlier process."""
    path = _file()
    if path is None:
        # Every process would measure anew, and might choose anew.
        return Measured(0.0, math.inf)
    found = _read(path)
    name = f"{dtype} 2^{size}"
    if name not in found:
        measured = _measure(dtype, size)
        found = {name: measured, **_read(path)}  # whoever was first decides
        _write(path, found)
    return found[name]


def kept() -> tuple[Path | None, dict[str, Measured]]:
    """Return the file of choices and what it holds by now, for ``nnscratch doctor``."""
    path = _file()
    return path, {} if path is None else _read(path)


def _key() -> str:
    library = blas()
    return f"{description()}; {library.path} {library.config}" if library else description()


@functools.cache
def _file() -> Path | None:
    kernels = folder()
    if kernels is None:
        return None
    return Path(kernels) / f"products-{zlib.crc32(_key().encode()):08x}.json"


def _read(path: Path) -> dict[str, Measured]:
    try:
        saved = json.loads(path.read_text(encoding="utf-8"))
        if saved["measured on"] != _key():
            return {}
        return {name: Measured(*map(float, pair)) for name, pair in saved["seconds"].items()}
    except (OSError, ValueError, TypeError, KeyError, AttributeError):  # none yet, or damaged
        return {}


def _write(path: Path, found: dict[str, Measured]) -> None:
    seconds = {name: [one.tiles, one.blas] for name, one in sorted(found.items())}
    text = json.dumps({"measured on": _key(), "seconds": seconds}, indent=1)
    with contextlib.suppress(OSError):  # it will be measured again
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=path.name)
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text)
            os.replace(name, path)
        except OSError:
            os.unlink(name)
            raise


def _measure(dtype: str, size: int) -> Measured:
    from ..products import by_blas, by_tiles

    side = 1 << size // 3
    A, B, C = (np.ones((side, side), dtype) for _ in range(3))
    best = []
    with blas_threads(1):
        for made, library in (by_tiles(dtype), by_blas(dtype)):
            best.append(min(_seconds(made, library, side, A, B, C) for _ in range(REPEATS + 1)))
    return Measured(*best)


def _seconds(made: Kernel, library: int, side: int, A: Any, B: Any, C: Any) -> float:
    from .eager import call
    from .table import word

    words = (library, 0, 1, side, side, side, A, side, B, side, C, side)
    a = [word(item) for item in words]
    began = time.perf_counter()
    call(made, a, threads=1)
    return time.perf_counter() - began
