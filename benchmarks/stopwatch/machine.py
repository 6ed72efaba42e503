"""What a measurement was made on and with: processor, memory, threads, versions, environment."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from benchmarks.competitors.registry import HERE
from benchmarks.stopwatch.client import PROCESSORS, Client, CompetitorError, busy

PACKAGES = ("nnscratch", "numpy", "numba", "torch", "jax", "jaxlib", "cupy-cuda12x", "cupy-cuda13x")
_VARIABLES = ("NNSCRATCH_", "OMP_", "OPENBLAS_", "MKL_", "NUMBA_", "XLA_", "JAX_", "KMP_", "GOMP_")
# Where things lie on this machine is nobody's business.
_PRIVATE = ("_DIR", "_PATH", "_BENCH_PATH", PROCESSORS)


def versions() -> dict[str, str]:
    """Return the version of Python and of every package that takes part and is installed."""
    found = {"Python": platform.python_version()}
    for name in PACKAGES:
        with suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found


def processor() -> str:
    """Return the name of the CPU."""
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def instructions() -> str:
    """Return the widest vector instructions of the CPU that are of interest."""
    with suppress(OSError):
        flags = Path("/proc/cpuinfo").read_text(encoding="utf-8").split()
        wanted = ("avx2", "fma", "avx512f", "avx512_bf16", "amx_tile", "asimd", "sve")
        return " ".join(flag for flag in wanted if flag in flags)
    return ""


def memory_bytes() -> int:
    """Return how much memory there is, 0 if that cannot be told."""
    with suppress(OSError, ValueError, AttributeError):
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return 0


def gpu(device: str) -> str:
    """Return the name of the GPU, empty on the CPU."""
    if device == "cpu":
        return ""
    from nnscratch.array.device import cupy

    properties = cupy().cuda.runtime.getDeviceProperties(0)
    return properties["name"].decode()  # type: ignore[no-any-return]


def gpu_memory(device: str) -> int:
    """Return how many bytes the GPU holds, 0 on the CPU."""
    if device == "cpu":
        return 0
    from nnscratch.array.device import cupy

    return int(cupy().cuda.runtime.getDeviceProperties(0)["totalGlobalMem"])


def describe(
    variables: Mapping[str, str], device: str = "cpu", seconds: float = 0.3
) -> dict[str, Any]:
    """Return what the measurement is made on, and the machine's own rates.

    The rates are floating-point operations a second of float32 products by their size ("sgemm"),
    on a GPU in the precision of the run, and bytes a second read and written by a copy ("memory").
    Products of each size are measured for some seconds; for 0, as good as one product is.
    """
    threads = int(variables["NNSCRATCH_THREADS"])
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    made: dict[str, Any] = {
        "date": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        "cpu": processor(),
        "instructions": instructions(),
        "processors": os.cpu_count(),
        "usable": min(usable or 1, int(variables.get(PROCESSORS, 1 << 20))),
        "threads": threads,
        "memory": memory_bytes(),
        "gpu": gpu(device),
        "gpu_memory": gpu_memory(device),
        "system": platform.system(),
        "versions": versions(),
        "environment": {
            name: value
            for name, value in sorted({**os.environ, **variables}.items())
            if name.startswith(_VARIABLES) and not name.endswith(_PRIVATE)
        },
        "load": busy(),
        "rates": {},
    }
    arguments = {"device": device, "threads": threads, "seconds": seconds}
    try:
        with Client(f"{HERE}.floor:Machine", arguments, variables) as client:
            found = client.evidence(1)
    except CompetitorError as error:
        made["blas"] = f"could not be measured: {error}"
        return made
    made["blas"] = found["blas"]
    made["rates"] = {"sgemm": found["sgemm"], "memory": found["memory"]}
    return made


def best_rates(machine: Mapping[str, Any]) -> dict[str, float]:
    """Return the largest sgemm rate and the memory rate."""
    rates = machine.get("rates", {})
    if not rates:
        return {}
    return {"sgemm": max(rates["sgemm"].values()), "memory": rates["memory"]}
