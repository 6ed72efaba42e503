"""What this processor can do, as far as the kernels may know it: registers, FMA, caches.

Everything that depends on the processor's kind is decided here, and by what it says of itself,
never by its name. Two variables make it look smaller than it is, to try how the kernels behave on
an older one:

- ``NNSCRATCH_VECTOR_BYTES`` = 16, 32 or 64: the largest vector registers that tiles use;
- ``NUMBA_CPU_NAME`` and ``NUMBA_CPU_FEATURES``: what Numba compiles for at all (``generic`` has
  neither wide registers nor fused multiply-adds).

No imports of Numba here; llvmlite is imported at the first question.
"""

from __future__ import annotations

import functools
import glob
import os
import platform
from pathlib import Path

from nnscratch.errors import ConfigurationError

VECTOR_BYTES = "NNSCRATCH_VECTOR_BYTES"
_ARM = ("aarch64", "arm64")
_USUAL_L2 = 512 * 1024


@functools.cache
def features() -> frozenset[str]:
    """Return the instruction sets that Numba compiles for, as LLVM names them."""
    name = os.environ.get("NUMBA_CPU_NAME", "")
    told = os.environ.get("NUMBA_CPU_FEATURES", "" if name.lower() == "generic" else None)
    if told is not None:
        return frozenset(word[1:] for word in told.split(",") if word.startswith("+"))
    try:
        from llvmlite import binding

        return frozenset(name for name, has in binding.get_host_cpu_features().items() if has)
    except (ImportError, RuntimeError):  # llvmlite cannot tell on this processor
        return frozenset()


def has_fma() -> bool:
    """Say whether a multiplication and an addition are one instruction that rounds once."""
    return "fma" in features() or platform.machine() in _ARM


@functools.cache
def vector_bytes() -> int:
    """Return the bytes of the vector registers that tiles use: 16, 32 or 64.

    Raises:
        ConfigurationError: if ``NNSCRATCH_VECTOR_BYTES`` is none of these.
    """
    widest = 64 if "avx512f" in features() else 32 if "avx2" in features() else 16
    text = os.environ.get(VECTOR_BYTES, "").strip()
    if not text:
        return widest
    if text not in ("16", "32", "64"):
        raise ConfigurationError(f"{VECTOR_BYTES} must be 16, 32 or 64, got {text!r}")
    return min(int(text), widest)


def vector_registers() -> int:
    """Return how many vector registers there are."""
    return 32 if "avx512f" in features() or platform.machine() in _ARM else 16


def multiplications() -> float:
    """Return about how many multiplications of float32 a core's tiles do in a nanosecond.

    That is 70 on a Zen 4 with AVX-512, and 45 on a Zen 3 with AVX2.
    """
    return {64: 70.0, 32: 45.0, 16: 22.0}[vector_bytes()]


@functools.cache
def l2_bytes() -> int:
    """Return the bytes of one core's second-level cache, or a usual size where nobody tells."""
    for folder in sorted(glob.glob("/sys/devices/system/cpu/cpu*/cache/index*")):
        try:
            if (Path(folder) / "level").read_text().strip() == "2":
                text = (Path(folder) / "size").read_text().strip()
                return int(text.removesuffix("K")) * 1024
        except (OSError, ValueError):
            continue
    return _USUAL_L2


def description() -> str:
    """Return what was found in one line: it is part of the key of everything that is kept.

    >>> "bytes" in description()
    True
    """
    fma = "with FMA" if has_fma() else "without FMA"
    registers = f"{vector_registers()} vector registers of {vector_bytes()} bytes"
    return f"{registers}, {fma}, {l2_bytes() // 1024} KiB of L2 cache"
