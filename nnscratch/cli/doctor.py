"""``nnscratch doctor``: what nnscratch needs, what this machine has, and how to get the rest."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import sys
import time
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from nnscratch.array.cuda import cuda_report
from nnscratch.cli.info import pairs

# And the extra that brings each, beyond the engine.
_PACKAGES = {
    **dict.fromkeys(("numpy", "numba", "array-api-compat", "safetensors"), ""),
    **dict.fromkeys(("click", "rich", "pillow"), "cli"),
    "matplotlib": "plots",
    "polars": "parquet",
    **dict.fromkeys(("starlette", "uvicorn", "uvloop", "msgspec"), "serve"),
    "torch": "",
    "onnx": "onnx",
}
_MOST_SIZES = 8
Rows = list[tuple[str, str]]


def doctor() -> None:
    """Print the report; something missing is a line of it, not an error."""
    from rich.console import Console

    console = Console(highlight=False)
    for title, look in (
        ("Versions", _versions),
        ("Sizes", _sizes),
        ("Processor", _processor),
        ("BLAS", _blas),
        ("Kernels", _kernels),
        ("GPU", _gpu),
        ("Several processes", _ranks),
    ):
        pairs(console, title, dict(_guarded(look)))


def _guarded(look: Callable[[], Rows]) -> Rows:
    try:
        return look()
    except Exception as error:  # the doctor reports what is broken, whatever it is
        return [("could not be read", f"{type(error).__name__}: {error}")]


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _versions() -> Rows:
    from nnscratch import __version__

    rows = [
        ("nnscratch", f"{__version__} in {Path(__file__).resolve().parents[1]}"),
        ("Python", f"{platform.python_version()} ({sys.executable})"),
        ("system", platform.platform()),
    ]
    for name, extra in _PACKAGES.items():
        mend = f': pip install "nnscratch[{extra}]"' if extra else ""
        rows.append((name, _version(name) or f"not installed{mend}"))
    return rows


def _sizes() -> Rows:
    """What is installed for this package, as far as pip wrote down the sizes of its files."""
    engine = needed("nnscratch", ())
    rows = [("the engine", _listed(engine)), ("without Numba", _listed(engine, _COMPILER))]
    extras = (("cli", "the command line"), ("plots", "pictures"), ("parquet", "Parquet files"))
    for extra, what in (*extras, ("serve", "the server")):
        more = needed("nnscratch", (extra,)) - engine
        rows.append((f"{what}, besides", _listed(more)))
    return rows


_COMPILER = frozenset({"numba", "llvmlite"})


def _listed(packages: Collection[str], without: Collection[str] = ()) -> str:
    """Return the size of packages together, and those of the largest."""
    sizes = {name: size_of(name) for name in packages if name not in without}
    known = {name: size for name, size in sizes.items() if size is not None}
    largest = sorted(known, key=lambda name: -known[name])[:_MOST_SIZES]
    listed = ", ".join(f"{name} {known[name] / 1e6:.0f}" for name in largest)
    absent = sorted(set(sizes) - set(known))
    more = f"; not installed: {', '.join(absent)}" if absent else ""
    return f"{sum(known.values()) / 1e6:,.0f} MB ({listed}){more}"


def size_of(package: str) -> int | None:
    """Return how many bytes a package's files have, None if it is not installed."""
    try:
        files = importlib.metadata.files(package)
    except importlib.metadata.PackageNotFoundError:
        return None
    return sum(one.size or 0 for one in files or ())


def needed(package: str, extras: Collection[str]) -> set[str]:
    """Return the names of all packages that a package needs, directly or by another.

    What is for another platform or Python is not installed, and so leads to nothing more.
    """
    found: set[str] = set()
    waiting: list[tuple[str, tuple[str, ...]]] = [(package, tuple(extras))]
    while waiting:
        name, wanted = waiting.pop()
        try:
            lines = importlib.metadata.requires(name) or ()
        except importlib.metadata.PackageNotFoundError:
            continue
        for line in lines:
            match = _REQUIREMENT.match(line)
            if match is None:
                continue
            extra = _EXTRA.search(line)
            if extra is not None and extra[1] not in wanted:
                continue
            other = re.sub(r"[-_.]+", "-", match[1]).lower()
            if ";" in line and extra is None and size_of(other) is None:
                continue
            inner = tuple(part.strip() for part in (match[2] or "").split(",") if part.strip())
            if other not in found or inner:
                if other not in found:
                    waiting.append((other, inner))
                found.add(other)
    return found


_REQUIREMENT = re.compile(r"([A-Za-z0-9][\w.-]*)\s*(?:\[([^\]]*)\])?")
_EXTRA = re.compile(r"""extra\s*==\s*['"]([^'"]+)['"]""")


def _processor() -> Rows:
    name = platform.processor() or platform.machine()
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                name = line.partition(":")[2].strip()
                break
    except OSError:
        pass
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    rows = [("CPU", name), ("logical processors", f"{usable} of {os.cpu_count()} usable")]
    variables = (
        "NNSCRATCH_THREADS",
        "NNSCRATCH_KERNELS",
        "NNSCRATCH_PRODUCTS",
        "NNSCRATCH_VECTOR_BYTES",
        "NUMBA_CPU_NAME",
        "NUMBA_CPU_FEATURES",
        "OPENBLAS_CORETYPE",
        "OPENBLAS_NUM_THREADS",
        "OMP_NUM_THREADS",
    )
    return rows + [(name, os.environ[name]) for name in variables if name in os.environ]


def _blas() -> Rows:
    import numpy as np

    config: Any = np.show_config(mode="dicts")
    built = config.get("Build Dependencies", {}).get("blas", {})
    rows = [("NumPy was built with", f"{built.get('name')} {built.get('version')}")]
    from nnscratch.kernels.cpu import blas

    found = blas()
    if found is None:
        rows.append(
            ("called by kernels", "no: its functions were not found; all products go in tiles")
        )
    else:
        rows += [
            ("library", found.path),
            ("configuration", found.config),
            ("threads", str(found.threads())),
        ]
    side = 1024
    a = np.ones((side, side), np.float32)
    a @ a
    began = time.perf_counter()
    for _ in range(3):
        a @ a
    rate = 3 * 2 * side**3 / (time.perf_counter() - began) / 1e9
    return [*rows, (f"{side} x {side} float32", f"{rate:,.0f} GFLOP/s")]


def _kernels() -> Rows:
    from nnscratch.formulas import FORMULAS, registry
    from nnscratch.kernels.cpu import available, cache_status, import_problem, limit
    from nnscratch.kernels.cpu.runtime import processor

    if (why := import_problem()) is not None:
        return [("none", f"{why}: everything is computed by NumPy, several times slower")]
    kernels = [name for name in FORMULAS if registry.implementations(name)]
    rows = [
        ("NNSCRATCH_KERNELS", registry.kernels_mode()),
        ("formulas with kernels", f"{len(kernels)} of {len(FORMULAS)}"),
        ("threads", f"{limit()} of {available()} cores"),
        ("processor, to them", processor.description()),
        *_products(),
    ]
    status = cache_status()
    if status.path is None:
        rows.append(("compiled code", "kept nowhere: every process compiles anew"))
    else:
        mark = "" if status.writable else "; the folder cannot be written to, set NUMBA_CACHE_DIR"
        size = f"{status.entries} functions, {status.bytes / 1e6:.1f} MB"
        rows.append(("compiled code", f"{size} in {status.path}{mark}"))
    return rows


def _products() -> Rows:
    """Which products go to tiles and which to BLAS, and what was measured to decide it."""
    from nnscratch.kernels.cpu import blas
    from nnscratch.kernels.cpu.runtime import product_choice

    told = product_choice.told()
    if blas() is None or told != "auto":
        return [("products", f"all by {'BLAS' if told == 'blas' and blas() else 'tiles'}")]
    path, found = product_choice.kept()
    small = f"2^{product_choice.UNASKED:g} multiplications"
    rows = [("products", f"in tiles up to {small}, beyond as measured at their first use")]
    for name, one in found.items():
        quicker = "tiles" if one.in_tiles else "BLAS"
        times = f"tiles {1e3 * one.tiles:.3g} ms, BLAS {1e3 * one.blas:.3g} ms on one thread"
        rows.append((f"  {name}", f"{quicker}: {times}"))
    if path is None:
        rows.append(("  choices", "kept nowhere: all products go to tiles"))
    elif found:
        rows.append(("  choices", f"kept in {path}"))
    return rows


def _ranks() -> Rows:
    """Whether several processes can train together, found out in a process of its own."""
    from nnscratch.parallel.inquiring import report

    return report()


def _gpu() -> Rows:
    rows: Rows = []
    for finding in cuda_report():
        rows.append((finding.name, finding.found))
        if finding.mend:
            rows.append(("to mend", finding.mend))
    return rows
